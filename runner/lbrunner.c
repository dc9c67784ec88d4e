/* lbrunner.c - verifies the steps that its worker asks for, and has keepers run them. It has no
 * network, and parses nothing with a library.
 *
 * Reading order of this room: runner.c (the whole), verify.c (may it run?), slots.c (where?),
 * keeper.c (the process of a slot), child.c (the life of a child), spawn.c, output.c, tree.c;
 * beside them policy, proxies, compiled, seen, replay, bind, typed, installed; report.c tells the
 * worker. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/file.h"
#include "common/log.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/termout.h"
#include "proto/messages.h"
#include "runner/byhand.h"
#include "runner/runner.h"
#include "runner/sandbox.h"
#include "trust/keys.h"
#include "trust/secret.h"

enum { EXIT_DONE, EXIT_FAILED, EXIT_ASKED_WRONGLY, EXIT_NOT_POSSIBLE };

static const char help[] =
    "usage: lbrunner [options]\n"
    "\n"
    "Runs the steps of jobs for the worker of this server. It verifies each step\n"
    "first: who called it, that call, job and package are signed, and that this\n"
    "server trusts the signers.\n"
    "\n"
    "Started as root (separated mode), worker, runner, unpacker and the children of\n"
    "each proxy are users of their own, and lbworker is started by itself. Else (user\n"
    "mode) all are one user, and lbworker starts it.\n"
    "\n"
    "  --worker-user USER as root: who lbworker runs as (longboat); a name, or a\n"
    "                     number, which needs no account\n"
    "  --unpack-user USER as root: who packages are unpacked as (longboat-unpack)\n"
    "  --by-hand-group GROUP\n"
    "                     as root: whose members may run by hand here (lbworker\n"
    "                     run-job), as far as proxies list them; without it, only\n"
    "                     root\n"
    "  --home DIR         the same as LONGBOAT_HOME=DIR, but shown by ps\n"
    "  --log-level LEVEL  error, warn, info (default) or debug\n"
    "  -h, --help         show this help\n"
    "  --version          show the version\n"
    "\n"
    "SIGTERM stops it; children go on, and the next lbrunner finds them.\n"
    "\n"
    "lbworker run-job and lbpkg run start one of their own, which runs a single job\n"
    "by hand. It is asked on its standard input:\n"
    "  --by-hand          do that\n"
    "  --undeployed       the package there needs no signer, and the machine is no\n"
    "                     server\n"
    "  --settings DIR     proxies.d/ and subsystems.d/ are there\n"
    "\n"
    "Files, below /etc/longboat, /var/lib/longboat and /run/longboat, for an ordinary\n"
    "user in the XDG folders, or all below LONGBOAT_HOME:\n"
    "  trust/administrators, trust/certificate, trust/signers, proxies.d/,\n"
    "  subsystems.d/, revocations, packages/, jobs/, spool/ or keepers/, runner/,\n"
    "  work/, runner.sock\n"
    "\n"
    "Example:\n"
    "  lbrunner --home $HOME/etl1 --log-level debug\n"
    "\n"
    "Exit codes: 0 stopped as asked; 1 failed; 2 bad usage; 3 another lbrunner runs\n"
    "here.\n";

struct program {
    struct runner *server;
    struct byhand *by_hand;
};

/* What the command line says. */
struct lbrunner_options {
    struct runner_users users;
    bool by_hand;
    struct byhand_options hand;
};

static void on_signal(struct loop *l, const struct signalfd_siginfo *info, void *arg)
{
    struct program *p = arg;
    if (info->ssi_signo == SIGCHLD) {
        if (p->server)
            runner_reap(p->server);
        if (p->by_hand)
            byhand_reap(p->by_hand);
    } else if (p->by_hand) {
        byhand_stop(p->by_hand, true);
    } else if (info->ssi_signo != SIGHUP) /* files are read again whenever they change */
        loop_stop(l, EXIT_DONE);
}

static void say_mode(const struct runner_paths *p)
{
    if (p->separated)
        log_info("separated mode: the worker is user %u, the unpacker %u, and each step runs as "
                 "its proxy's user",
                 (unsigned)p->worker.uid, (unsigned)p->unpack.uid);
    else
        log_info(
            "user mode: worker, runner and children are one user, %s; started as root, lbrunner "
            "would separate them",
            p->user);
}

static int run(const struct runner_paths *paths, struct error *err)
{
    static struct program p; /* outlives the loop, whose callbacks have it */
    struct loop *loop = loop_new(err);
    int rc = loop ? loop_signals(loop, on_signal, &p, err) : -ENOMEM;
    if (rc == 0)
        rc = runner_new(paths, loop, &p.server, err);
    if (rc == 0) {
        log_info("lbrunner " LB_VERSION " in %s", paths->run);
        say_mode(paths);
        rc = loop_run(loop, err);
    }
    runner_free(&p.server);
    loop_destroy(&loop);
    return rc;
}

/* -1: go on; otherwise the exit code. */
static int read_options(int argc, char **argv, struct lbrunner_options *o)
{
    static const struct option rows[] = {{"help", no_argument, NULL, 'h'},
                                         {"version", no_argument, NULL, 'v'},
                                         {"home", required_argument, NULL, 'o'},
                                         {"log-level", required_argument, NULL, 'l'},
                                         {"worker-user", required_argument, NULL, 'w'},
                                         {"unpack-user", required_argument, NULL, 'u'},
                                         {"by-hand-group", required_argument, NULL, 'g'},
                                         {"by-hand", no_argument, NULL, 'b'},
                                         {"undeployed", no_argument, NULL, 'd'},
                                         {"settings", required_argument, NULL, 's'},
                                         {0}};
    struct error err = {0};
    enum log_level level = LOG_LEVEL_INFO;
    for (int c; (c = getopt_long(argc, argv, "h", rows, NULL)) != -1;)
        switch (c) {
        case 'h':
            term_put(stdout, span_str(help));
            return EXIT_DONE;
        case 'v':
            term_say(stdout, "lbrunner %s\n", LB_VERSION);
            return EXIT_DONE;
        case 'o':
            setenv("LONGBOAT_HOME", optarg, 1);
            break;
        case 'w':
            o->users.worker = optarg;
            break;
        case 'u':
            o->users.unpack = optarg;
            break;
        case 'g':
            o->users.by_hand = optarg;
            break;
        case 'b':
            o->by_hand = true;
            break;
        case 'd':
            o->hand.undeployed = true;
            break;
        case 's':
            o->hand.settings = optarg;
            break;
        case 'l':
            if (log_level_parse(optarg, &level, &err) == 0)
                break;
            term_say(stderr, "lbrunner: %s\n", err.text);
            return EXIT_ASKED_WRONGLY;
        default:
            term_say(stderr, "see lbrunner --help\n");
            return EXIT_ASKED_WRONGLY;
        }
    if (optind < argc) {
        term_say(stderr, "lbrunner: unexpected argument '%s'; see lbrunner --help\n", argv[optind]);
        return EXIT_ASKED_WRONGLY;
    }
    log_open("lbrunner", level);
    return -1;
}

/* Held until the process ends. */
static int take_lock(const struct runner_paths *paths, struct error *err)
{
    int lock;
    struct error held = {0};
    char *path = mem_printf("%s/runner.lock", paths->run);
    int rc = file_lock(path, &lock, &held);
    if (rc == -EBUSY)
        error_set(err, rc,
                  "a runner for this home already runs; stop the worker that started it first: %s",
                  held.text);
    else if (rc < 0)
        error_set(err, rc, "%s", held.text);
    mem_free(&path);
    return rc;
}

/* What is said of a run by hand that could not begin; its standard error is nobody's page. */
static void tell_person(int person, const struct error *why)
{
    struct buf b = {0};
    struct channel *c = NULL;
    struct span text = span_str(why->text);
    if (text.n > LIMIT_TEXT)
        text.n = LIMIT_TEXT;
    s_by_hand_end_encode(&(struct s_by_hand_end){.code = REFUSAL_INTERNAL, .text = text}, &b);
    if (channel_from_fd(person, &c, NULL) == 0)
        channel_send(c, buf_span(&b), NULL);
    channel_close(&c);
    buf_free(&b);
}

/* One job, for the person at standard input. */
static int run_by_hand(const struct runner_paths *paths, int person, struct error *err)
{
    static struct program p; /* outlives the loop, whose callbacks have it */
    struct loop *loop = loop_new(err);
    int rc = loop ? loop_signals(loop, on_signal, &p, err) : -ENOMEM;
    if (rc == 0)
        rc = byhand_open(paths, loop, person, &p.by_hand, err);
    if (rc == 0)
        rc = loop_run(loop, err);
    else
        tell_person(person, err);
    byhand_close(&p.by_hand);
    loop_destroy(&loop);
    return rc;
}

static int serve_by_hand(const struct lbrunner_options *o, struct error *err)
{
    struct runner_paths paths = {0};
    int rc = 0;
    if (o->hand.undeployed && geteuid() == 0)
        rc = error_set(err, -EPERM,
                       "a package that nobody has signed does not run as root: run this as an "
                       "ordinary user");
    if (rc == 0)
        rc = byhand_paths_open(&paths, &o->hand, err);
    if (rc < 0) {
        tell_person(o->hand.person, err);
        return rc;
    }
    rc = take_lock(&paths, err);
    if (rc == 0) {
        sandbox_survey(&paths);
        rc = run_by_hand(&paths, o->hand.person, err);
    }
    byhand_paths_remove(&paths);
    runner_paths_free(&paths);
    return rc;
}

static int serve(const struct lbrunner_options *o, struct error *err)
{
    struct runner_paths paths = {0};
    int rc = runner_paths_open(&paths, geteuid() == 0 ? &o->users : NULL, err);
    if (rc == 0)
        rc = take_lock(&paths, err);
    if (rc == 0) {
        sandbox_survey(&paths);
        rc = run(&paths, err);
    }
    if (rc == 0)
        runner_paths_leave_memory(&paths);
    runner_paths_free(&paths);
    return rc;
}

int main(int argc, char **argv)
{
    struct lbrunner_options o = {.users = {.worker = "longboat", .unpack = "longboat-unpack"}};
    struct error err = {0};
    int code = read_options(argc, argv, &o);
    if (code >= 0)
        return code;
    secret_begin();
    int rc = trust_init(&err);
    if (rc == 0 && geteuid() == 0)
        rc = privilege_keep(PRIVILEGE_RUNNER, &err);
    if (rc == 0)
        rc = o.by_hand ? serve_by_hand(&o, &err) : serve(&o, &err);
    if (rc < 0)
        log_error("%s", err.text);
    return rc == 0 ? EXIT_DONE : rc == -EBUSY ? EXIT_NOT_POSSIBLE : EXIT_FAILED;
}
