/* lbworker.c - one for each server: connects to the broker, decides what runs, ships results and
 * logs.
 *
 * Reading order of this room: core/ (what is decided), worker.h (the parts), worker.c (what
 * wakes it), inout.c (the order in which things leave), brokerlink.c and runnerlink.c (its two
 * peers), spool.c, jobs.c, answers.c, desired.c, logship.c. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/options.h"
#include "common/suggest.h"
#include "common/termout.h"
#include "trust/secret.h"
#include "worker/worker.h"

enum { EXIT_DONE, EXIT_FAILED, EXIT_ASKED_WRONGLY, EXIT_NOT_POSSIBLE };

static const struct option_row rows[] = {
    {"slots", 's', OPTION_INT, NULL, 1, LIMIT_SLOTS, true, "N",
     "how many children run at a time; default: two for each processor"},
    {"external-runner", 0, OPTION_FLAG, NULL, 0, 0, true, NULL,
     "do not start lbrunner: systemd or another program does"},
    {"log-level", 0, OPTION_STR, "info", 0, 0, true, "LEVEL", "error, warn, info or debug"},
};

static const char examples[] =
    "Without a command, runs the worker of this server: it connects to the broker,\n"
    "runs the steps of jobs through lbrunner, and sends back results and output.\n"
    "Options can also stand in worker.yaml in the configuration folder.\n"
    "\n"
    "Commands:\n"
    "  join     make this machine a server of a cluster, with a token\n"
    "  rotate   make a new key for this server, with an administrator's help\n"
    "  check    say what is right and what is wrong on this server\n"
    "  run-job  run a job by hand, without a broker, as the runner would run it\n"
    "\n"
    "Signals:\n"
    "  SIGTERM  stop; children go on, and their results wait in the spool\n"
    "  SIGHUP   read the job files again, probe needs, and retry failed packages\n"
    "\n"
    "Examples:\n"
    "  lbctl invite --server etl4 --pools etl | ssh etl4 lbworker join\n"
    "  lbworker check\n"
    "  LONGBOAT_HOME=$HOME/etl4 lbworker --slots 4\n"
    "\n"
    "Exit codes: 0 stopped as asked; 1 failed; 2 bad usage, or started as root;\n"
    "3 not possible here: this machine has not joined, or another lbworker of this\n"
    "server runs, here or from a copy of this home.\n";

static unsigned default_slots(void)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus < 1 ? 2 : cpus * 2 > LIMIT_SLOTS ? LIMIT_SLOTS : (unsigned)cpus * 2;
}

static int read_config(struct option_values *values, struct error *err)
{
    struct paths paths;
    char path[PATHS_MAX];
    int rc = paths_resolve(&paths, err);
    if (rc == 0)
        rc = path_join(path, sizeof path, err, paths.config, "worker.yaml", NULL);
    if (rc == 0)
        rc = options_config_file(values, path, NULL, NULL, err);
    return rc == -ENOENT ? options_config(values, NULL, NULL, err) : rc;
}

static int run(const struct option_values *values, struct error *err)
{
    struct worker *w = NULL;
    const struct worker_options o = {
        .slots = opt_given(values, "slots") ? (unsigned)opt_int(values, "slots") : default_slots(),
        .external_runner = opt_flag(values, "external-runner")};
    int rc = worker_open(&w, &o, err);
    if (rc == 0) {
        secret_warn_unlocked(log_warn);
        rc = worker_run(w, err);
    }
    worker_close(&w);
    return rc;
}

static int serve(int argc, char **argv)
{
    struct option_values values = {0};
    struct error err = {0};
    enum log_level level;
    int first, rc;
    if (options_parse(rows, COUNT_OF(rows), argc, argv, &values, &first, &err) < 0) {
        term_say(stderr, "lbworker: %s\n", err.text);
        return EXIT_ASKED_WRONGLY;
    }
    if (options_answered(&values, "lbworker", "[join | check | rotate | run-job] [options]",
                         examples)) {
        options_free(&values);
        return EXIT_DONE;
    }
    if (first < argc)
        rc =
            error_set(&err, -EINVAL,
                      "unknown command '%s'; expected join, check, rotate or run-job", argv[first]);
    else if ((rc = read_config(&values, &err)) == 0 &&
             (rc = log_level_parse(opt_str(&values, "log-level"), &level, &err)) == 0)
        log_open("lbworker", level);
    if (rc < 0) {
        term_say(stderr, "lbworker: %s\n", err.text);
        options_free(&values);
        return EXIT_ASKED_WRONGLY;
    }
    rc = run(&values, &err);
    options_free(&values);
    if (rc < 0)
        log_error("%s", err.text);
    return rc >= 0                                         ? rc
           : rc == -EBUSY || rc == -ENOENT || rc == -EPERM ? EXIT_NOT_POSSIBLE
                                                           : EXIT_FAILED;
}

/* A network is at its other end. Not even join or check: what they made would belong to root, and
 * what they said would not hold for the worker. */
static bool is_refused(int argc, char **argv)
{
    bool asks = false;
    for (int i = 1; i < argc; i++)
        asks |= strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0 ||
                strcmp(argv[i], "--version") == 0;
    const bool by_hand = argc > 1 && strcmp(argv[1], "run-job") == 0; /* has no network */
    if (geteuid() != 0 || asks || by_hand)
        return false;
    term_say(stderr, "lbworker: does not run as root; run it as this server's ordinary user, for "
                     "example: sudo -u longboat lbworker (what root may start is lbrunner)\n");
    return true;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } verbs[] = {{"join", join_verb},
                 {"check", check_verb},
                 {"rotate", rotate_verb},
                 {"run-job", runjob_verb}};
    secret_begin();
    if (is_refused(argc, argv))
        return EXIT_ASKED_WRONGLY;
    for (unsigned i = 0; argc > 1 && i < COUNT_OF(verbs); i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    return serve(argc, argv);
}
