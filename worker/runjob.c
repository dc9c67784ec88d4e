/* runjob.c - lbworker run-job: runs a job of this server by hand, as its runner would run it. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/handrun.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/suggest.h"
#include "common/termout.h"
#include "proto/packagejob.h"
#include "worker/worker.h"

static const struct option_row rows[] = {HANDRUN_OPTIONS};

static const char examples[] =
    "  lbworker run-job nightly-extract -p table=orders\n"
    "  lbworker run-job nightly-extract -p table=orders --dry-run\n"
    "  lbworker run-job package:extract -p table=orders -p dsn=@/etc/etl/dsn\n"
    "  sudo -u longboat lbworker run-job nightly-extract --json 2>log | jq .status\n"
    "\n"
    "Runs a job of this server (etc/jobs/JOB.yaml, as it is now) or the one of an\n"
    "installed package (package:NAME), without a broker, on the same path as in\n"
    "earnest: every check of the runner, proxy, subsystem, limits, sandbox, user. The\n"
    "principal is local:USER, you; each step's proxy must list it (the built-in proxy\n"
    "of a server in user mode does). The run has folders of its own and takes no slot\n"
    "from the server, which may be running. What a step leaves in its work folder\n"
    "goes, as in earnest.\n"
    "\n"
    "Where lbrunner was started as root, run this as root, or as a member of the\n"
    "group that its --by-hand-group names.\n"
    "\n" HANDRUN_EXIT_CODES;

static int fail(int code, const struct error *err)
{
    term_say(stderr, "lbworker run-job: %s\n", err->text);
    return code;
}

/* ---- In user mode, who asks may read all of the server: which job may have been meant? */

static void trouble(void *self, const char *file, const struct error *why)
{
    (void)self;
    (void)file;
    (void)why; /* the runner says it of the file that it needs */
}

static int open_jobs(const struct paths *p, struct jobs **ret, struct error *err)
{
    char *files = mem_printf("%s/jobs", p->config), *packages = mem_printf("%s/packages", p->state),
         *compiled = mem_printf("%s/jobs", p->state);
    int rc =
        jobs_open(ret, &(struct jobs_folders){files, packages, compiled, true, false, NULL}, err);
    if (rc == 0)
        rc = jobs_refresh(*ret, clock_wall_ms(), NULL, trouble, NULL, err);
    mem_free(&files);
    mem_free(&packages);
    mem_free(&compiled);
    return rc < 0 ? rc : 0;
}

static const struct job_here *job_named(const struct jobs *jobs, const char *name)
{
    const struct job_here *j;
    for (size_t i = 0; (j = jobs_at(jobs, i)); i++)
        if (!j->older && strcmp(j->name, name) == 0)
            return j;
    return NULL;
}

static void say_nearest(const struct jobs *jobs, const char *name)
{
    const struct job_here *j;
    const char *names[LIMIT_JOBS + 1];
    size_t n = 0;
    for (size_t i = 0; n < LIMIT_JOBS && (j = jobs_at(jobs, i)); i++)
        if (!j->older)
            names[n++] = j->name;
    names[n] = NULL;
    const char *near = suggest(name, names);
    if (near)
        term_say(stderr, "lbworker run-job: did you mean '%s'?\n", near);
}

/* ---- */

static int find_package(const struct paths *p, const char *name, struct hash *ret,
                        struct error *err)
{
    struct installed_store *store = NULL;
    const struct installed_package *found;
    if (geteuid() == 0) /* what the unpacker's user has written is not parsed with rights of root */
        return error_set(err, -EPERM,
                         "root can run jobs by hand, and packages only as a step of one: write "
                         "jobs/NAME.yaml, or run this as an ordinary user in the group of "
                         "lbrunner's --by-hand-group");
    char *folder = mem_printf("%s/packages", p->state);
    int rc = installed_open(folder, &store, err);
    if (rc == 0)
        rc = installed_find(store, name, &found, err);
    if (rc == 0)
        *ret = found->hash;
    installed_close(&store);
    mem_free(&folder);
    return rc;
}

static int run(const struct option_values *values, const char *job)
{
    static struct paths paths; /* too large for the stack */
    struct error err = {0};
    struct stat st = {.st_uid = geteuid()};
    struct jobs *jobs = NULL;
    const size_t prefix = strlen(PACKAGEJOB_PREFIX);
    if (paths_resolve(&paths, &err) < 0)
        return fail(HANDRUN_REFUSED, &err);
    if (stat(paths.state, &st) < 0) {
        error_set(&err, -ENOENT, "there is no server here: '%s' does not exist", paths.state);
        return fail(HANDRUN_REFUSED, &err);
    }
    struct handrun r = {.program = "lbworker run-job", .values = values, .job = job};
    const bool apart = st.st_uid == 0 || st.st_uid != geteuid();
    char *door = mem_printf("%s/byhand.sock", paths.run);
    if (apart && (geteuid() != 0 || access(door, F_OK) == 0))
        r.door = door;
    int code = -1;
    if (strncmp(job, PACKAGEJOB_PREFIX, prefix) == 0 &&
        find_package(&paths, job + prefix, &r.package, &err) < 0)
        code = fail(HANDRUN_REFUSED, &err);
    if (code < 0)
        code = handrun(&r);
    if (code == HANDRUN_REFUSED && !apart && open_jobs(&paths, &jobs, &err) == 0 &&
        !job_named(jobs, job))
        say_nearest(jobs, job);
    jobs_close(&jobs);
    mem_free(&door);
    return code;
}

int runjob_verb(int argc, char **argv)
{
    struct option_values values = {0};
    struct error err = {0};
    int first, code;
    if (options_parse(rows, COUNT_OF(rows), argc, argv, &values, &first, &err) < 0)
        return fail(HANDRUN_ASKED_WRONGLY, &err);
    log_set_level(LOG_LEVEL_ERROR);
    if (options_answered(&values, "lbworker run-job", "JOB [-p NAME=VALUE]... [options]", examples))
        code = HANDRUN_SUCCEEDED;
    else if (argc - first != 1) {
        error_set(&err, -EINVAL, "expected one job; see lbworker run-job --help");
        code = fail(HANDRUN_ASKED_WRONGLY, &err);
    } else
        code = run(&values, argv[first]);
    options_free(&values);
    return code;
}
