/* lbbroker.c - the broker's main: reads the options, opens the broker, runs until it is stopped.
 *
 * Exit codes: 0 stopped as asked; 1 it could not continue; 2 wrong usage; 74 the store cannot be
 * relied on (store/store.h). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "broker/broker.h"
#include "broker/check.h"
#include "broker/rotate.h"
#include "common/log.h"
#include "common/options.h"
#include "common/paths.h"
#include "common/termout.h"
#include "trust/secret.h"

static const char EXAMPLES[] =
    "  lbbroker                 run with etc/broker.yaml (made by: lbctl init)\n"
    "  lbbroker check           check configuration, keys, store and port\n"
    "  lbbroker rotate          a new key, with an administrator's help\n"
    "  lbbroker --restored      once, with a backup: hold what was live in it\n"
    "  lbbroker --listen 'tcp://*:7411' --log-level debug\n";

static const struct option_row ROWS[] = {
    {"cluster", 0, OPTION_STR, NULL, 0, 0, true, "NAME", "the cluster that this broker serves"},
    {"name", 0, OPTION_STR, "broker", 0, 0, true, "NAME", "what this broker is called"},
    {"listen", 'l', OPTION_LIST, "tcp://*:7411", 0, 0, true, "ENDPOINT",
     "accept sessions here; may be repeated"},
    {"retention", 0, OPTION_DURATION, "90d", 0, 0, true, "TIME", "how long to keep history"},
    {"history-size", 0, OPTION_SIZE, "10G", 1 << 20, INT64_MAX, true, "SIZE",
     "how much history to keep at most"},
    {"reserve", 0, OPTION_SIZE, "64M", 1 << 20, INT64_MAX, true, "SIZE",
     "refuse new calls when less disk than this is free; results are still kept"},
    {"memory-budget", 0, OPTION_SIZE, "256M", 1 << 20, INT64_MAX, true, "SIZE",
     "memory for live runs, at most a quarter of it for the bytes of their calls; beyond it "
     "callers are asked to try again later"},
    {"max-runs", 0, OPTION_INT, "1000000", 1, 100000000, true, "N",
     "live runs at most; beyond it callers are asked to try again later"},
    {"lost-after", 0, OPTION_DURATION, "5m", LOST_AFTER_MIN_MS, INT64_MAX, true, "TIME",
     "when a server has been silent this long, its attempts are lost"},
    {"lease", 0, OPTION_DURATION, "15s", 1000, 3600000, true, "TIME",
     "when a server has been silent this long, it gets nothing new"},
    {"depot-size", 0, OPTION_SIZE, "20G", 1 << 20, INT64_MAX, true, "SIZE",
     "how much room packages may take"},
    {"logs-size", 0, OPTION_SIZE, "10G", 1 << 20, INT64_MAX, true, "SIZE",
     "how much room the output of children may take"},
    {"logs-retention", 0, OPTION_DURATION, "90d", 0, INT64_MAX, true, "TIME",
     "how long to keep the output of children; 0: as long as there is room"},
    {"budgets", 0, OPTION_LIST, NULL, 0, 0, true, "NAME=LIMIT",
     "what one principal may use (docs/operations.md); may be repeated"},
    {"audit-retention", 0, OPTION_DURATION, "0s", 0, INT64_MAX, true, "TIME",
     "how long to keep the audit trail; 0: for ever"},
    {"audit-copy", 0, OPTION_STR, "none", 0, 0, true, "WHERE",
     "where each audit entry's number and hash also go: none, journald or syslog"},
    {"restored", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "for the first start with a backup: hold every run that was live in it until lbctl release "
     "decides"},
    {"log-level", 0, OPTION_STR, "info", 0, 0, true, "LEVEL", "error, warn, info or debug"},
};

static int read_options(int argc, char **argv, const struct paths *paths, struct option_values *v,
                        int *ret_first, struct error *err)
{
    char file[PATHS_MAX];
    enum log_level level;
    int rc = options_parse(ROWS, COUNT_OF(ROWS), argc, argv, v, ret_first, err);
    if (rc < 0 || opt_flag(v, "help") || opt_flag(v, "version"))
        return rc;
    rc = path_join(file, sizeof file, err, paths->config, "broker.yaml", NULL);
    if (rc == 0)
        rc = options_config_file(v, file, NULL, NULL, err);
    if (rc == -ENOENT)
        rc = 0;
    if (rc == 0)
        rc = log_level_parse(opt_str(v, "log-level"), &level, err);
    if (rc == 0)
        log_set_level(level);
    if (rc == 0 && !opt_str(v, "cluster"))
        rc = error_set(
            err, -EINVAL,
            "the cluster's name is missing in %s (cluster: NAME); lbctl init makes this file",
            file);
    return rc;
}

/* `budgets: [sessions=64, ...]` */
static int read_budgets(const struct option_values *v, struct broker_options *ret,
                        struct error *err)
{
    size_t n;
    const char *const *texts = opt_list(v, "budgets", &n);
    for (size_t i = 0; i < n; i++) {
        enum budget which;
        uint64_t limit;
        int rc = budget_parse(texts[i], &which, &limit, err);
        if (rc < 0)
            return rc;
        ret->budgets[which] = limit;
    }
    return 0;
}

static int broker_options_from(const struct option_values *v, const struct paths *paths,
                               struct broker_options *ret, struct error *err)
{
    size_t n;
    *ret = (struct broker_options){.cluster = opt_str(v, "cluster"),
                                   .name = opt_str(v, "name"),
                                   .config = paths->config,
                                   .state = paths->state,
                                   .retention_ms = (uint64_t)opt_int(v, "retention"),
                                   .history_bytes = (uint64_t)opt_int(v, "history-size"),
                                   .reserve_bytes = (uint64_t)opt_int(v, "reserve"),
                                   .memory_budget = (uint64_t)opt_int(v, "memory-budget"),
                                   .max_runs = (uint64_t)opt_int(v, "max-runs"),
                                   .lease_ms = (uint64_t)opt_int(v, "lease"),
                                   .lost_after_ms = (uint64_t)opt_int(v, "lost-after"),
                                   .depot_bytes = (uint64_t)opt_int(v, "depot-size"),
                                   .logs_bytes = (uint64_t)opt_int(v, "logs-size"),
                                   .logs_keep_ms = (uint64_t)opt_int(v, "logs-retention"),
                                   .restored = opt_flag(v, "restored")};
    ret->listen = opt_list(v, "listen", &n);
    ret->n_listen = (unsigned)n;
    ret->audit_retention_ms = (uint64_t)opt_int(v, "audit-retention");
    int rc = copy_parse(opt_str(v, "audit-copy"), &ret->audit_copy, err);
    return rc < 0 ? rc : read_budgets(v, ret, err);
}

static void on_signal(struct loop *l, const struct signalfd_siginfo *info, void *arg)
{
    (void)arg;
    if (info->ssi_signo == SIGTERM || info->ssi_signo == SIGINT) {
        log_info("stopping on signal %u", info->ssi_signo);
        loop_stop(l, 0);
    }
}

/* Each session takes a descriptor, so the soft limit of 1024 would be reached first. */
static void raise_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max < 65536 ? r.rlim_max : 65536;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static int run(const struct broker_options *o)
{
    struct error err = {0};
    struct broker *b = NULL;
    struct loop *loop = loop_new(&err);
    int rc = loop ? loop_signals(loop, on_signal, NULL, &err) : err.code;
    if (rc == 0)
        rc = trust_init(&err);
    if (rc == 0)
        rc = broker_open(&b, loop, o, &err);
    if (rc == 0) {
        secret_warn_unlocked(log_warn);
        for (unsigned i = 0; i < o->n_listen; i++)
            log_info("broker '%s' of cluster '%s' listens on %s", o->name, o->cluster,
                     broker_endpoint(b, i));
        sd_notify(0, "READY=1");
        loop_count_cpu(loop);
        rc = loop_run(loop, &err);
        sd_notify(0, "STOPPING=1");
    }
    if (rc < 0)
        log_error("%s", err.text);
    broker_close(&b);
    loop_destroy(&loop);
    log_flush(1);
    return rc < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct paths paths;
    struct option_values v = {0};
    struct broker_options o;
    int first = argc, code;
    secret_begin();
    if (argc > 1 && strcmp(argv[1], "rotate") == 0)
        return broker_rotate(argc - 1, argv + 1);
    log_open("lbbroker", LOG_LEVEL_INFO);
    int rc = paths_resolve(&paths, &err);
    if (rc == 0)
        rc = read_options(argc, argv, &paths, &v, &first, &err);
    if (rc == 0 && options_answered(&v, "lbbroker", "[check | rotate] [options]", EXAMPLES)) {
        options_free(&v);
        return 0;
    }
    if (rc == 0 && first < argc && (strcmp(argv[first], "check") != 0 || first + 1 < argc))
        rc =
            error_set(&err, -EINVAL, "unknown command '%s'; expected check or rotate", argv[first]);
    if (rc == 0)
        rc = broker_options_from(&v, &paths, &o, &err);
    if (rc < 0) {
        term_say(stderr, "lbbroker: %s\n", err.text);
        options_free(&v);
        return 2;
    }
    raise_descriptors();
    code = first < argc ? broker_check(&o) : run(&o);
    options_free(&v);
    return code;
}
