/* check.c - lbworker check: what is right and what is wrong on this server, and how to fix it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/duration.h"
#include "common/file.h"
#include "common/jsontext.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/options.h"
#include "common/ownfile.h"
#include "common/paths.h"
#include "common/termout.h"
#include "package/signature.h"
#include "worker/refusals.h"
#include "worker/worker.h"

enum { EXIT_DONE, EXIT_FAILED, EXIT_ASKED_WRONGLY };
enum { CONNECT_MS = 5000, EXPIRY_WARNING_MS = 14 * 86400000LL, PROTECTIONS_BYTES_MAX = 8192 };

static const struct option_row rows[] = {
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line: v, check, ok, text"},
};

static const char examples[] =
    "Checks identity, keys, trusted signers, broker, runner, worker, and what the\n"
    "runner would judge at each step: job files and whose they are, packages and\n"
    "whether they were altered, subsystems, proxies, signers, needs. Says for each\n"
    "problem what to do about it. With JOB, a job or package:NAME, only that job and\n"
    "what its steps use. Changes nothing, so it is safe at any time, also while the\n"
    "worker runs.\n"
    "\n"
    "Examples:\n"
    "  lbworker check\n"
    "  lbworker check nightly-extract\n"
    "  lbworker check --json | jq 'select(.ok | not)'\n"
    "\n"
    "Exit codes: 0 all is well; 1 there is a problem; 2 bad usage.\n";

struct check {
    bool json;
    const char *job; /* NULL: all */
    unsigned failed;
    struct paths paths;
    struct client_config who;
    bool known; /* who we are */
};

static void say(struct check *c, bool ok, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void say(struct check *c, bool ok, const char *what, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX * 2];
    struct buf b = {0};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->failed += !ok;
    if (c->json) {
        buf_add_str(&b, "{\"v\":1,\"check\":");
        json_escape(&b, span_str(what));
        buf_printf(&b, ",\"ok\":%s,\"text\":", ok ? "true" : "false");
        json_escape(&b, span_str(text));
        buf_add_str(&b, "}");
        term_say(stdout, "%s\n", buf_str(&b));
    } else {
        term_say(stdout, "%-4s  %-12s  %s\n", ok ? "ok" : "FAIL", what, text);
    }
    buf_free(&b);
}

static void path_of(char path[PATHS_MAX], const char *folder, const char *name)
{
    if (path_join(path, PATHS_MAX, NULL, folder, name, NULL) < 0)
        path[0] = '\0';
}

static void check_identity(struct check *c)
{
    struct error err = {0};
    char left[DURATION_TEXT];
    if (client_config_load(&c->who, c->paths.config, &err) < 0) {
        say(c, false, "identity", "%s", err.text);
        return;
    }
    c->known = true;
    bool server = c->who.me.role == ROLE_SERVER;
    say(c, server, "identity", "%s '%s' of cluster %s%s", role_word(c->who.me.role), c->who.me.name,
        c->who.me.cluster,
        server
            ? ""
            : "; a worker needs the certificate of a server: run lbctl invite --server NAME, then "
              "lbworker join --force");
    int64_t ms = c->who.me.not_after - clock_wall_ms();
    say(c, ms > EXPIRY_WARNING_MS, "certificate", "expires in %s%s", duration_format(ms, left),
        ms > EXPIRY_WARNING_MS ? ""
                               : "; an administrator can renew it: lbctl certificates renew NAME");
}

static void check_key(struct check *c, const char *name)
{
    struct error err = {0};
    char path[PATHS_MAX];
    path_of(path, c->paths.config, name);
    int rc = file_check_private(path, &err);
    say(c, rc == 0, "key", "%s%s", rc == 0 ? path : err.text, rc == 0 ? " is private" : "");
}

/* A line for each that is not trusted with everything for ever. */
static void say_signer(struct check *c, const struct builder *b)
{
    char number[MINISIGN_NUMBER_TEXT], until[32] = "";
    const bool over = b->until && clock_wall_ms() >= b->until;
    struct tm t;
    time_t last = (time_t)(b->until / 1000 - 1);
    if (b->until)
        strftime(until, sizeof until, over ? " until %Y-%m-%d: over" : " until %Y-%m-%d",
                 gmtime_r(&last, &t));
    if (b->is_unsigned)
        say(c, true, "signers", "no signature is needed of packages %s%s", b->packages, until);
    else if (b->is_revoked || b->until || b->packages[0])
        say(c, b->is_revoked || !over, "signers", "%s%skey %s: %s%s%s", b->name,
            b->name[0] ? ", " : "", minisign_number(b->key.number, number),
            b->is_revoked ? "revoked" : "packages ",
            b->is_revoked    ? ""
            : b->packages[0] ? b->packages
                             : "of all names",
            b->is_revoked ? "" : until);
}

static void check_signers(struct check *c)
{
    struct error err = {0};
    struct builder *builders = NULL;
    size_t n = 0, trusted = 0;
    char path[PATHS_MAX];
    path_of(path, c->paths.config, "trust/signers");
    int rc = signature_load_signers(path, &builders, &n, &err);
    for (size_t i = 0; i < n; i++)
        trusted += !builders[i].is_revoked && !builders[i].is_unsigned;
    if (rc < 0)
        say(c, false, "signers", "%s; put the builders' minisign public keys there, one a line",
            err.text);
    else
        say(c, n > 0, "signers", "%s: %zu trusted signer%s%s", path, trusted,
            trusted == 1 ? "" : "s",
            n ? ""
              : "; no package can be installed: add the builders' minisign public keys, one a "
                "line");
    for (size_t i = 0; i < n; i++)
        say_signer(c, &builders[i]);
    mem_free(&builders);
}

/* ---- The broker */

/* Greets the broker with a protocol version that does not exist. The broker says so to a peer whose
 * key it knows, and to no other. A real session would end that of the worker that runs here. */
enum { NO_PROTOCOL = 255 };

struct check_answer {
    bool came, good;
    char text[ERROR_TEXT_MAX];
};

static void on_hello(void *self, struct m_hello *m)
{
    (void)self;
    m->major = NO_PROTOCOL;
}

static void on_up(void *self, const struct m_welcome *w)
{
    (void)self;
    (void)w;
}

static void on_message(void *self, uint64_t kind, struct span message)
{
    (void)self;
    (void)kind;
    (void)message;
}

static void on_down(void *self, const char *reason)
{
    (void)self;
    (void)reason;
}

static void on_refused(void *self, const struct m_refused *r)
{
    struct check_answer *a = self;
    a->came = true;
    a->good = r->code == REFUSAL_VERSION;
    snprintf(a->text, sizeof a->text, SPAN_FMT, SPAN_ARG(r->text));
}

static void check_broker(struct check *c)
{
    struct error err = {0};
    struct check_answer a = {.came = false};
    const struct dialer_calls calls = {&a, on_hello, on_up, on_message, on_down, on_refused, NULL};
    const struct dialer_options o = {.addresses = (const char *const *)c->who.addresses,
                                     .n_addresses = (unsigned)c->who.n_addresses,
                                     .broker_key = c->who.broker.transport_key,
                                     .next_key = c->who.broker_next.transport_key,
                                     .secret_transport = c->who.key.transport_secret,
                                     .public_transport = c->who.key.transport.b};
    struct dialer *d = NULL;
    struct loop *l = loop_new(&err);
    if (!l || dialer_open(&d, l, &o, &calls, &err) < 0) {
        say(c, false, "broker", "%s", err.text);
        loop_destroy(&l);
        return;
    }
    int64_t until = clock_boot_ms() + CONNECT_MS;
    while (!a.came && clock_boot_ms() < until && loop_turn(l, until, &err) >= 0)
        ;
    if (a.good)
        say(c, true, "broker", "%s at %s answers", c->who.broker.name, dialer_address(d));
    else
        say(c, false, "broker", "%s at %s: %s", c->who.broker.name, dialer_address(d),
            a.came ? a.text
            : *dialer_trouble(d)
                ? dialer_trouble(d)
                : "no answer within 5 s; is lbbroker running there, and is the port open?");
    dialer_close(&d);
    loop_destroy(&l);
}

/* ---- This server */

/* As the runner has found them at its start: a line "WORD: possible|off: TEXT" each. What is off is
 * no problem by itself: a proxy can require it. */
static void check_protections(struct check *c)
{
    struct buf text = {0};
    char path[PATHS_MAX], *rest = NULL;
    path_of(path, c->paths.run, "protections");
    if (file_read(path, PROTECTIONS_BYTES_MAX, &text, NULL) == 0) {
        char *lines = span_dup_str(buf_span(&text));
        for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
            say(c, true, "protection", "%s", line);
        mem_free(&lines);
    }
    buf_free(&text);
}

/* In separated mode only root can ask the runner's lock: whoever could open it could hold it. */
static bool is_roots(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && st.st_uid == 0;
}

/* By its lock: a connection would count as a new worker's, and the attached one would be
 * dropped. */
static void check_runner(struct check *c)
{
    struct error err = {0};
    char path[PATHS_MAX];
    path_of(path, c->paths.run, "runner.lock");
    int rc = file_lock_is_held(path, &err);
    char *program = runnerlink_program();
    if (rc == -EACCES && is_roots(path)) {
        say(c, true, "runner", "root's: 'systemctl status lbrunner' says whether it runs");
        check_protections(c);
    } else if (rc != 0) {
        say(c, rc > 0, "runner", "%s%s", rc > 0 ? "running: " : "", err.text);
        check_protections(c);
    } else if (access(program, X_OK) == 0)
        say(c, true, "runner", "not running; lbworker will start %s", program);
    else
        say(c, false, "runner", "not running, and lbworker cannot start %s: %s", program,
            strerror(errno));
    mem_free(&program);
}

static void check_worker(struct check *c)
{
    struct error err = {0};
    char path[PATHS_MAX];
    path_of(path, c->paths.state, "spool/worker.lock");
    int rc = file_lock_is_held(path, &err);
    if (rc != 0)
        say(c, rc > 0, "worker", "%s%s", rc > 0 ? "running: " : "", err.text);
    else
        say(c, true, "worker", access(path, F_OK) < 0 ? "has never run here" : "not running");
}

static void check_spool(struct check *c)
{
    char path[PATHS_MAX], text[ERROR_TEXT_MAX];
    path_of(path, c->paths.state, "spool");
    int n = spool_describe_damage(path, text, sizeof text);
    say(c, n == 0, "spool", "%s", n ? text : path);
}

/* A file of a job, or the folder of a package that cannot be used, perhaps since it was altered. */
static void job_trouble(void *self, const char *file, const struct error *why)
{
    struct check *c = self;
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file,
               *suffix = strrchr(name, '.');
    const bool is_job = suffix && strcmp(suffix, ".yaml") == 0;
    const size_t n = is_job ? (size_t)(suffix - name) : 0;
    if (!c->job || (is_job && strlen(c->job) == n && strncmp(name, c->job, n) == 0))
        say(c, false, is_job ? "job" : "package", "%s", why->text);
}

struct check_job {
    struct check *check;
    const char *job;
    struct buf *needs; /* those that were said, each with a newline before and after it */
};

static void step_refused(void *self, struct span step, const struct error *why)
{
    const struct check_job *j = self;
    say(j->check, false, "proxy", "job %s, step " SPAN_FMT ": %s", j->job, SPAN_ARG(step),
        why->text);
}

static void step_needs(void *self, const char *name, bool holds, const char *trouble)
{
    const struct check_job *j = self;
    char *line = mem_printf("\n%s\n", name);
    if (!strstr(buf_str(j->needs), line)) {
        buf_add_str(j->needs, line);
        say(j->check, holds, "need", "%s%s%s", name, holds ? "" : ": ", holds ? "" : trouble);
    }
    mem_free(&line);
}

static bool is_meant(const struct check *c, const struct job_here *j)
{
    return !c->job || strcmp(c->job, j->name) == 0;
}

/* As the runner does at each step. Older versions of jobs are run, too. */
static void check_steps(struct check *c, const struct jobs *jobs)
{
    struct refusals *refusals = refusals_new(&c->paths, jobs_packages(jobs));
    struct buf needs = {0};
    struct check_job with = {.check = c, .needs = &needs};
    const struct refusals_calls calls = {&with, step_refused, step_needs};
    const struct job_here *j;
    unsigned refused = 0, n = 0;
    for (size_t i = 0; (j = jobs_at(jobs, i)); i++) {
        if (!is_meant(c, j))
            continue;
        with.job = j->name;
        refused += refusals_judge(refusals, buf_span(&j->bytes), &calls);
        n++;
    }
    if (n && !refused)
        say(c, true, "proxy", "the proxies here allow every step of %s",
            n == 1 ? "the job" : "all jobs");
    buf_free(&needs);
    refusals_free(&refusals);
}

static int cannot_fetch(void *self, struct span message)
{
    (void)self, (void)message;
    return -ENOTCONN;
}

/* As the worker has last fetched them. */
static void check_secrets(struct check *c, const struct jobs *jobs)
{
    const struct secretstore_calls calls = {c, cannot_fetch, NULL};
    struct secretstore *store = NULL;
    struct buf items = {0};
    const struct wire_list secrets = jobs_secrets(jobs, &items);
    struct error err = {0};
    struct span need;
    char path[PATHS_MAX], trouble[ERROR_TEXT_MAX];
    path_of(path, c->paths.state, "secrets");
    if (secrets.count && c->known &&
        secretstore_open(&store, path, &c->who.anchors, &c->who.me, &calls, &err) < 0)
        say(c, false, "secrets", "%s", err.text);
    for (struct wire_iter it = wire_iter(&secrets); store && wire_next(&it, &need);) {
        const bool holds = secretstore_holds(store, need, trouble, sizeof trouble);
        say(c, holds, "need", SPAN_FMT "%s%s", SPAN_ARG(need), holds ? "" : ": ", trouble);
    }
    secretstore_close(&store);
    buf_free(&items);
}

/* Where root decides, the runner reads only a file that nobody else can have written; in user mode
 * the worker has asked that already. */
static void check_job_file(struct check *c, const struct job_here *j)
{
    struct error err = {0};
    struct stat st;
    char path[PATHS_MAX], name[LIMIT_JOB + sizeof "jobs/.yaml"];
    if (j->older || strchr(j->name, ':') || stat(c->paths.state, &st) < 0 || st.st_uid != 0)
        return; /* a package's own has no file */
    snprintf(name, sizeof name, "jobs/%s.yaml", j->name);
    path_of(path, c->paths.config, name);
    if (ownfile_stat(path, 0, &st, &err) < 0)
        say(c, false, "job file", "%s", err.text);
}

static bool uses(const struct job_here *j, const struct installed_package *p)
{
    struct d_job d;
    struct d_step s;
    struct span item;
    if (d_job_decode(buf_span(&j->bytes), &d, NULL) < 0)
        return false;
    for (struct wire_iter it = wire_iter(&d.steps); wire_next(&it, &item);)
        if (d_step_decode(item, &s, NULL) == 0 && hash_eq(&s.package, &p->hash))
            return true;
    return false;
}

/* Does any job that is meant use it? */
static bool is_used(const struct check *c, const struct jobs *jobs,
                    const struct installed_package *p)
{
    const struct job_here *j;
    bool used = !c->job;
    for (size_t i = 0; !used && (j = jobs_at(jobs, i)); i++)
        used = is_meant(c, j) && uses(j, p);
    return used;
}

/* Those that cannot be used, as they were altered for one, have been said (job_trouble). */
static void check_packages(struct check *c, const struct jobs *jobs)
{
    const struct installed_package *p;
    unsigned good = 0;
    for (size_t i = 0; (p = installed_at(jobs_packages(jobs), i)); i++)
        good += !p->trouble && is_used(c, jobs, p);
    if (good)
        say(c, true, "package", "%u unaltered since %s installed", good,
            good == 1 ? "it was" : "they were");
}

static void check_each_job(struct check *c, const struct jobs *jobs)
{
    char hex[2 * sizeof(struct hash) + 1];
    const struct job_here *j;
    unsigned n = 0;
    for (size_t i = 0; (j = jobs_at(jobs, i)); i++) {
        if (!is_meant(c, j))
            continue;
        n++;
        say(c, true, "job", "%s blake2b:%.16s%s", j->name,
            hex_format(j->hash.b, sizeof j->hash.b, hex),
            j->older ? " (an older version, for calls that were signed for it)" : "");
        check_job_file(c, j);
    }
    if (c->job && !n)
        say(c, false, "job",
            "'%s' cannot run here: this server has no such job, or its file is wrong", c->job);
}

static void check_jobs(struct check *c)
{
    char files[PATHS_MAX], packages[PATHS_MAX], compiled[PATHS_MAX];
    struct error err = {0};
    struct jobs *jobs = NULL;
    path_of(files, c->paths.config, "jobs");
    path_of(packages, c->paths.state, "packages");
    path_of(compiled, c->paths.state, "jobs");
    int rc = jobs_open(&jobs, &(struct jobs_folders){files, packages, compiled, true, false, NULL},
                       &err);
    if (rc == 0)
        rc = jobs_refresh(jobs, clock_wall_ms(), NULL, job_trouble, c, &err);
    if (rc < 0)
        say(c, false, "jobs", "%s", err.text);
    else {
        check_each_job(c, jobs);
        check_steps(c, jobs);
        check_packages(c, jobs);
        check_secrets(c, jobs);
    }
    jobs_close(&jobs);
}

/* Who it is, whom it trusts, and what runs. */
static void check_server(struct check *c)
{
    check_identity(c);
    check_key(c, SIGN_KEY_FILE);
    check_key(c, SEAL_KEY_FILE);
    check_signers(c);
    if (c->known)
        check_broker(c);
    check_runner(c);
    check_worker(c);
    check_spool(c);
}

int check_verb(int argc, char **argv)
{
    struct option_values values = {0};
    struct error err = {0};
    struct check c = {0};
    int first;
    if (options_parse(rows, COUNT_OF(rows), argc, argv, &values, &first, &err) < 0 ||
        (first + 1 < argc &&
         error_set(&err, -EINVAL, "unexpected argument '%s'", argv[first + 1]) < 0)) {
        term_say(stderr, "lbworker check: %s\n", err.text);
        options_free(&values);
        return EXIT_ASKED_WRONGLY;
    }
    if (options_answered(&values, "lbworker check", "[JOB] [--json]", examples)) {
        options_free(&values);
        return EXIT_DONE;
    }
    c.json = opt_flag(&values, "json");
    c.job = first < argc ? argv[first] : NULL;
    options_free(&values);
    log_set_level(LOG_LEVEL_ERROR);
    if (paths_resolve(&c.paths, &err) < 0) {
        say(&c, false, "folders", "%s", err.text);
        return EXIT_FAILED;
    }
    say(&c, true, "folders", "%s, %s, %s", c.paths.config, c.paths.state, c.paths.run);
    if (!c.job)
        check_server(&c);
    check_jobs(&c);
    if (c.known)
        client_config_free(&c.who);
    return c.failed ? EXIT_FAILED : EXIT_DONE;
}
