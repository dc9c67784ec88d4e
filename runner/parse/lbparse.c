/* lbparse.c - compiles one file of this server's administrator for lbrunner, in a process that can
 * do nothing else.
 *
 * lbrunner contains no parser of YAML. It opens the file, checks whose it is, and starts this
 * program with it as standard input. Even if a file took over the parser, all that it could do is
 * to print another document, and who can write the file can say so plainly. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/file.h"
#include "common/termout.h"
#include "package/installed.h"
#include "package/jobfile.h"
#include "package/proxyfile.h"
#include "package/subsystemfile.h"
#include "runner/unpack/confine.h"

enum { EXIT_DONE, EXIT_TROUBLE, EXIT_ASKED_WRONGLY, EXIT_REFUSED };
enum { FILE_BYTES_MAX = 1 << 20, CPU_SECONDS = 2 };

/* The store that a job's packages come from; read before rights are dropped. */
static struct installed_store *store;

static int job_compile(const char *name, struct span text, struct buf *out, struct problems *ps)
{
    struct error err = {0};
    struct d_job job;
    const char *slash = strrchr(name, '/');
    const char *file = slash ? slash + 1 : name;
    int rc = jobfile_compile_bytes(name, text, installed_find_package, store, out, ps);
    if (rc < 0)
        return rc;
    if ((rc = d_job_decode(buf_span(out), &job, &err)) == 0 &&
        (strncmp((const char *)job.name.p, file, job.name.n) != 0 ||
         strcmp(file + job.name.n, ".yaml") != 0))
        rc = error_set(&err, -EINVAL, "%s: job '" SPAN_FMT "' must lie in " SPAN_FMT ".yaml", name,
                       SPAN_ARG(job.name), SPAN_ARG(job.name));
    if (rc < 0)
        problems_add_error(ps, &err);
    return rc;
}

/* What can be compiled. */
static const struct lbparse_kind {
    const char *word;
    int (*compile)(const char *name, struct span text, struct buf *out, struct problems *ps);
    bool packages; /* with a third argument */
} kinds[] = {
    {"proxy", proxyfile_compile, false},
    {"subsystem", subsystemfile_compile, false},
    {"job", job_compile, true},
};

static const char help[] =
    "usage: lbparse KIND NAME [PACKAGES] <FILE >DOCUMENT\n"
    "\n"
    "Compiles a file of this server's administrator to the document that lbrunner\n"
    "reads. Before it reads the file it drops every right that it does not need.\n"
    "lbrunner starts it.\n"
    "\n"
    "  KIND      proxy (proxies.d/NAME.yaml), subsystem (subsystems.d/NAME.yaml) or\n"
    "            job (jobs/NAME.yaml)\n"
    "  NAME      what messages call the file; what stands behind its last slash is\n"
    "            NAME.yaml\n"
    "  PACKAGES  of a job: the folder of installed packages\n"
    "\n"
    "Example:\n"
    "  lbparse proxy proxies.d/etl.yaml </etc/longboat/proxies.d/etl.yaml | wc -c\n"
    "\n"
    "Exit codes: 0 compiled; 1 not possible here; 2 bad usage; 3 the file is wrong:\n"
    "all of its errors are on stderr, each with line and column.\n";

static int fail(const struct error *err, int code)
{
    term_say(stderr, "lbparse: %s\n", err->text);
    return code;
}

static const struct lbparse_kind *find_kind(const char *word)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].word, word) == 0)
            return &kinds[i];
    return NULL;
}

/* A parser that loops must end, whoever waits for it. */
static int limit_time(struct error *err)
{
    const struct rlimit cpu = {CPU_SECONDS, CPU_SECONDS};
    return setrlimit(RLIMIT_CPU, &cpu) == 0
               ? 0
               : error_errno(err, errno, "cannot set a resource limit");
}

static int read_input(struct buf *text, struct error *err)
{
    ssize_t n = file_read_all(0, buf_grow(text, FILE_BYTES_MAX + 1), FILE_BYTES_MAX + 1);
    if (n < 0)
        return error_errno(err, (int)-n, "cannot read the file");
    if (n > FILE_BYTES_MAX)
        return error_set(err, -EFBIG, "the file is larger than %d bytes", (int)FILE_BYTES_MAX);
    text->n = (size_t)n;
    return 0;
}

static int compile(const struct lbparse_kind *kind, const char *name, struct error *err)
{
    struct buf text = {0}, out = {0};
    struct problems ps = {0};
    int code = EXIT_TROUBLE;
    if (read_input(&text, err) < 0)
        code = fail(err, EXIT_TROUBLE);
    else if (kind->compile(name, buf_span(&text), &out, &ps) < 0) {
        for (size_t i = 0; i < ps.n; i++)
            if (!ps.v[i].warning)
                term_say(stderr, "%s\n", ps.v[i].text);
        code = EXIT_REFUSED;
    } else if (!term_bytes(stdout, buf_span(&out)) || fflush(stdout) != 0) {
        error_errno(err, errno, "cannot write the document");
        code = fail(err, EXIT_TROUBLE);
    } else
        code = EXIT_DONE;
    problems_free(&ps);
    buf_free(&text);
    buf_free(&out);
    return code;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    const char *const no_files[] = {NULL};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        term_put(stdout, span_str(help));
        return EXIT_DONE;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        term_say(stdout, "lbparse %s\n", LB_VERSION);
        return EXIT_DONE;
    }
    const struct lbparse_kind *kind = argc >= 3 ? find_kind(argv[1]) : NULL;
    if (!kind || argc != (kind->packages ? 4 : 3)) {
        term_say(stderr, "lbparse: expected KIND NAME [PACKAGES]; see lbparse --help\n");
        return EXIT_ASKED_WRONGLY;
    }
    if (limit_time(&err) < 0 || (kind->packages && installed_open(argv[3], &store, &err) < 0) ||
        confine(no_files, NULL, &err) < 0)
        return fail(&err, EXIT_TROUBLE);
    return compile(kind, argv[2], &err);
}
