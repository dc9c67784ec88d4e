/* worker.c - opens everything, runs, closes: see worker.h. */
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"

/* ---- Who we are */

static int identify(struct worker *w, struct error *err)
{
    char host[HOST_NAME_MAX + 1] = "";
    int rc = paths_resolve(&w->paths, err);
    if (rc == 0)
        rc = client_config_load(&w->who, w->paths.config, err);
    if (rc == 0)
        rc = clock_boot_id(&w->boot, err);
    if (rc < 0)
        return rc;
    if (w->who.me.role != ROLE_SERVER)
        return error_set(
            err, -EPERM,
            "%s: '%s' is a %s; a worker needs the certificate of a server (lbctl invite "
            "--server NAME, "
            "then lbworker join)",
            w->paths.config, w->who.me.name, role_word(w->who.me.role));
    gethostname(host, sizeof host - 1);
    snprintf(w->process, sizeof w->process, "%s (process %d)", host[0] ? host : "unnamed",
             (int)getpid());
    struct stat st;
    w->apart = stat(w->paths.state, &st) == 0 && st.st_uid != geteuid();
    return 0;
}

/* ---- What the runner says of our jobs */

static void ask_runner(void *self, struct span question)
{
    worker_tell_runner(self, question);
}

static void answers_changed(void *self)
{
    struct worker *w = self;
    jobs_attest_again(w->jobs);
    attest_soon(w, ATTEST_MS);
}

/* ---- Opening */

static void say_shipped(void *self, const char *name)
{
    struct worker *w = self;
    struct buf b = {0};
    s_shipped_encode(&(struct s_shipped){.name = span_str(name)}, &b);
    if (w->runner && runnerlink_send(w->runner, buf_span(&b)))
        runnerlink_flush(w->runner);
    buf_free(&b);
}

static int state_path(const struct worker *w, char path[PATHS_MAX], const char *name,
                      struct error *err)
{
    return path_join(path, PATHS_MAX, err, w->paths.state, name, NULL);
}

static int open_fence(struct worker *w, struct error *err)
{
    char path[PATHS_MAX];
    int rc = w->apart ? path_join(path, PATHS_MAX, err, w->paths.run, "worker/fence", NULL)
                      : state_path(w, path, "spool/fence", err);
    return rc < 0 ? rc : fence_open(&w->fence, path, &w->boot, err);
}

static int open_spool(struct worker *w, struct error *err)
{
    char path[PATHS_MAX], theirs[PATHS_MAX];
    int rc = state_path(w, path, "spool", err);
    if (rc == 0)
        rc = state_path(w, theirs, "keepers", err);
    if (rc == 0)
        rc = spool_open(&w->spool, path, w->apart ? theirs : NULL, err);
    if (rc < 0)
        return rc;
    if (w->apart)
        spool_on_shipped(w->spool, say_shipped, w);
    struct wcore_config config = {.slots = w->options.slots,
                                  .ahead = AHEAD_STEPS,
                                  .spool = spool_id(w->spool),
                                  .boot = w->boot};
    snprintf(config.server, sizeof config.server, "%s", w->who.me.name);
    w->core = wcore_new(&config);
    if ((rc = worker_replay(w, err)) == 0) {
        wcore_set_gap(w->core, spool_rebooted(w->spool), spool_has_gap(w->spool));
        rc = logship_open(&w->logs, w->spool, err);
    }
    return rc < 0 ? rc : open_fence(w, err);
}

/* Files of the runner, which decides with them: it is asked again when one changes. A folder that
 * is missing is watched once it is there. */
static void watch_what_decides(struct worker *w)
{
    static const char *const folders[] = {"trust", "proxies.d", "subsystems.d"};
    const uint32_t changes =
        IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB;
    char path[PATHS_MAX];
    inotify_add_watch(w->watch, w->paths.config, IN_CREATE | IN_MOVED_TO);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (path_join(path, sizeof path, NULL, w->paths.config, folders[i], NULL) == 0)
            inotify_add_watch(w->watch, path, changes);
}

static int open_state(struct worker *w, struct error *err)
{
    char path[PATHS_MAX], packages[PATHS_MAX], files[PATHS_MAX];
    int rc = w->apart ? 0 : file_make_dirs(w->paths.state, 0700, err);
    if (rc == 0 && !w->apart)
        rc = file_make_dirs(w->paths.run, 0700, err);
    if (rc == 0 && (rc = open_spool(w, err)) == 0 &&
        (rc = state_path(w, path, "revocations", err)) == 0)
        rc = revoked_open(&w->revoked, path, &w->who.anchors, err);
    if (rc == 0 && (rc = state_path(w, path, "incoming", err)) == 0)
        rc = worker_open_desired(w, path, err);
    if (rc == 0 && (rc = state_path(w, path, "secrets", err)) == 0)
        rc = worker_open_secrets(w, path, err);
    if (rc == 0 && (rc = state_path(w, path, "jobs", err)) == 0 &&
        (rc = state_path(w, packages, "packages", err)) == 0 &&
        (rc = path_join(files, sizeof files, err, w->paths.config, "jobs", NULL)) == 0)
        rc = jobs_open(
            &w->jobs, &(struct jobs_folders){files, packages, path, w->apart, w->apart, w->answers},
            err);
    if (rc < 0)
        return rc;
    w->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    uint32_t changes = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE;
    if (w->watch < 0 || inotify_add_watch(w->watch, files, changes) < 0 ||
        inotify_add_watch(w->watch, packages, changes) < 0 ||
        (w->apart && inotify_add_watch(w->watch, path, changes) < 0))
        return error_errno(err, errno, "cannot watch '%s' and '%s'", files, packages);
    watch_what_decides(w);
    return 0;
}

static int open_bell(struct worker *w, struct error *err)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char path[PATHS_MAX];
    int rc = path_join(path, sizeof path, err, w->paths.run, w->apart ? "worker" : "",
                       "worker.bell", NULL);
    if (rc == 0)
        rc = paths_check_socket(path, err);
    if (rc < 0)
        return rc;
    memcpy(at.sun_path, path, strlen(path) + 1); /* it fits: paths_check_socket */
    /* left by a killed worker: we hold the lock of the spool */
    unlink(path);
    w->bell = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(w->apart ? 0117 : 0177); /* the folder gives it to the keepers' group */
    rc = w->bell < 0 || bind(w->bell, (struct sockaddr *)&at, sizeof at) < 0 ? -errno : 0;
    umask(mask);
    if (rc < 0)
        return error_errno(err, -rc, "cannot open the bell '%s'", path);
    w->bell_path = mem_strdup(path);
    return 0;
}

int worker_open(struct worker **ret, const struct worker_options *options, struct error *err)
{
    struct worker *w = mem_zalloc(1, sizeof *w);
    w->options = *options;
    w->bell = w->watch = -1;
    w->loop = loop_new(err);
    if (w->loop)
        w->answers = answers_new(w->loop, &(struct answers_calls){w, ask_runner, answers_changed});
    int rc = w->loop ? identify(w, err) : err->code;
    if (rc == 0)
        rc = open_state(w, err);
    if (rc == 0)
        rc = open_bell(w, err);
    if (rc < 0) {
        worker_close(&w);
        return rc;
    }
    *ret = w;
    return 0;
}

void worker_close(struct worker **pw)
{
    struct worker *w = *pw;
    if (!w)
        return;
    dialer_close(&w->dialer);
    runnerlink_close(&w->runner);
    desired_close(&w->desired);
    secretstore_close(&w->secrets);
    jobs_close(&w->jobs);
    answers_free(&w->answers);
    logship_close(&w->logs);
    fence_close(&w->fence);
    revoked_close(&w->revoked);
    wcore_free(&w->core);
    wcore_out_free(&w->out);
    if (w->bell_path)
        unlink(w->bell_path);
    if (w->bell >= 0)
        close(w->bell);
    if (w->watch >= 0)
        close(w->watch);
    spool_close(&w->spool);
    client_config_free(&w->who);
    buf_free(&w->to_broker.bytes);
    buf_free(&w->to_runner.bytes);
    mem_free(&w->bell_path);
    mem_free(&w->slots_trouble);
    loop_destroy(&w->loop);
    mem_free(pw);
}

/* ---- Jobs and packages */

static bool uses_job(void *self, const struct hash *job)
{
    struct worker *w = self;
    return wcore_uses_job(w->core, job);
}

static void job_trouble(void *self, const char *file, const struct error *why)
{
    (void)self;
    (void)file;
    log_error("%s", why->text);
}

static void reread(struct worker *w)
{
    struct error err = {0};
    w->reread_at = 0;
    int rc = jobs_refresh(w->jobs, loop_now_wall(w->loop), uses_job, job_trouble, w, &err);
    if (rc < 0)
        log_error("%s", err.text);
    if (rc > 0) {
        desired_look(w->desired, loop_now(w->loop));
        attest_soon(w, ATTEST_MS);
    }
    watch_what_decides(w);
    answers_ask_all(w->answers); /* one of those files may have changed, too */
}

/* ---- What wakes us */

static void on_bell(struct loop *l, int fd, uint32_t events, void *arg)
{
    struct worker *w = arg;
    char ignored[16];
    (void)l;
    (void)events;
    while (recv(fd, ignored, sizeof ignored, 0) >= 0)
        ;
    w->bell_rang = true;
}

static void on_watch(struct loop *l, int fd, uint32_t events, void *arg)
{
    struct worker *w = arg;
    char ignored[4096];
    (void)events;
    while (read(fd, ignored, sizeof ignored) > 0)
        ;
    w->reread_at = loop_now(l) + SETTLE_MS;
}

static void on_look(struct loop *l, struct loop_timer *t, void *arg)
{
    struct worker *w = arg;
    w->bell_rang = true;
    loop_timer_set(l, t, "worker.look", loop_now(l) + LOOK_MS, on_look, w);
}

static bool knows(void *self, struct id run, uint64_t attempt)
{
    struct worker *w = self;
    return wcore_knows(w->core, run, attempt);
}

static void tidy(struct worker *w, bool began)
{
    struct error err = {0};
    if (logship_save(w->logs, &err) < 0 || spool_tidy(w->spool, began, knows, w, &err) < 0)
        log_error("%s", err.text);
}

static void on_tidy(struct loop *l, struct loop_timer *t, void *arg)
{
    tidy(arg, false);
    loop_timer_set(l, t, "worker.tidy", loop_now(l) + TIDY_MS, on_tidy, arg);
}

static void on_signal(struct loop *l, const struct signalfd_siginfo *info, void *arg)
{
    struct worker *w = arg;
    switch (info->ssi_signo) {
    case SIGCHLD:
        runnerlink_reap(w->runner);
        break;
    case SIGHUP:
        w->reread_at = loop_now(l);
        desired_retry(w->desired, loop_now(l));
        break;
    default:
        log_info("stopping; %u attempts stay with their keepers or in the spool",
                 wcore_live(w->core));
        loop_stop(l, 0);
    }
}

/* ---- The runner */

static void runner_up(void *self)
{
    struct worker *w = self;
    log_info("the runner is up");
    worker_feed(w, (struct wcore_event){.kind = WCORE_RUNNER_UP});
    desired_again(w->desired, loop_now(w->loop));
    answers_runner_up(w->answers, runnerlink_version(w->runner) > 1);
    attest_soon(w, ATTEST_MS);
}

static void runner_message(void *self, uint64_t kind, struct span message)
{
    struct worker *w = self;
    struct s_installed s;
    struct s_trouble trouble;
    struct s_probed probed;
    switch (kind) {
    case KIND_S_KEPT:
        worker_feed_spool(w); /* what the keeper wrote before must come first: core.h */
        worker_feed_message(w, WCORE_KEPT, message);
        break;
    case KIND_S_KEPT_END:
        worker_feed_spool(w);
        worker_feed(w, (struct wcore_event){.kind = WCORE_KEPT_END});
        break;
    case KIND_S_INSTALLED:
        if (s_installed_decode(message, &s, NULL) == 0) {
            if (s.code)
                log_error("cannot install a package: " SPAN_FMT, SPAN_ARG(s.text));
            desired_installed(w->desired, &s, loop_now(w->loop));
        }
        break;
    case KIND_S_PROBED:
        if (s_probed_decode(message, &probed, NULL) == 0)
            answers_take(w->answers, &probed);
        break;
    case KIND_S_TROUBLE:
        if (s_trouble_decode(message, &trouble, NULL) == 0) {
            mem_free(&w->slots_trouble);
            if (trouble.slots)
                w->slots_trouble = mem_printf("%llu of %u slots out of service: " SPAN_FMT,
                                              (unsigned long long)trouble.slots, w->options.slots,
                                              SPAN_ARG(trouble.text));
            attest_soon(w, ATTEST_MS);
        }
        break;
    default:
        break;
    }
}

static void runner_down(void *self, const char *why)
{
    struct worker *w = self;
    log_warn("the runner is down: %s", why);
    answers_runner_down(w->answers);
    worker_feed(w, (struct wcore_event){.kind = WCORE_RUNNER_DOWN});
    attest_soon(w, ATTEST_MS);
}

static int open_runner(struct worker *w, struct error *err)
{
    const struct runnerlink_calls calls = {w, runner_up, runner_message, runner_down};
    char socket_path[PATHS_MAX];
    int rc = path_join(socket_path, sizeof socket_path, err, w->paths.run, "runner.sock", NULL);
    if (rc < 0)
        return rc;
    char *program = w->options.external_runner || w->apart ? NULL : runnerlink_program();
    const struct runnerlink_options o = {socket_path, program, spool_id(w->spool),
                                         w->options.slots};
    rc = runnerlink_open(&w->runner, w->loop, &o, &calls, err);
    mem_free(&program);
    return rc;
}

static int open_dialer(struct worker *w, struct error *err)
{
    struct dialer_calls calls = worker_dialer_calls;
    calls.self = w;
    const struct dialer_options o = {.addresses = (const char *const *)w->who.addresses,
                                     .n_addresses = (unsigned)w->who.n_addresses,
                                     .broker_key = w->who.broker.transport_key,
                                     .next_key = w->who.broker_next.transport_key,
                                     .secret_transport = w->who.key.transport_secret,
                                     .public_transport = w->who.key.transport.b};
    return dialer_open(&w->dialer, w->loop, &o, &calls, err);
}

/* Decides what follows from the spool, and has that on the disk before anybody hears of it. */
static int begin(struct worker *w, struct error *err)
{
    worker_feed(w, (struct wcore_event){.kind = WCORE_TICK});
    if (spool_was_damaged(w->spool))
        worker_feed(w, (struct wcore_event){.kind = WCORE_SPOOL_DAMAGED});
    return spool_begun(w->spool, err);
}

/* With a gap in the spool, keepers may have what we do not know of. The broker would have it run
 * elsewhere, so it hears from us only when that has ended. */
static bool wait_until_alone(const struct worker *w)
{
    return spool_has_gap(w->spool) && !spool_rebooted(w->spool) && !wcore_is_alone(w->core);
}

/* ---- The turn's end */

static void keep_fence(struct worker *w)
{
    int64_t renewed = dialer_renewed(w->dialer);
    if (!dialer_is_up(w->dialer) || renewed == w->renewed || wcore_holds_fence(w->core))
        return;
    struct error err = {0};
    w->renewed = renewed;
    if (fence_set(w->fence, renewed, &err) < 0)
        log_warn("%s", err.text);
}

static void turn_end(struct loop *l, void *arg)
{
    struct worker *w = arg;
    struct error err = {0};
    int64_t now = loop_now(l);
    if (w->bell_rang)
        worker_feed_spool(w);
    if (now >= wcore_deadline(w->core))
        worker_feed(w, (struct wcore_event){.kind = WCORE_TICK});
    if (w->reread_at && now >= w->reread_at)
        reread(w);
    if (now >= desired_deadline(w->desired))
        desired_tick(w->desired, now);
    if (now >= secretstore_deadline(w->secrets))
        secretstore_tick(w->secrets, now);
    if (w->dialer)
        keep_fence(w);
    else if (!wait_until_alone(w) && open_dialer(w, &err) < 0) {
        log_error("%s", err.text);
        loop_stop(l, 1);
    }
    worker_let_go(w);
    if (w->dialer && w->renew &&
        w->to_broker.taken == w->to_broker.bytes.n) { /* it overtakes nothing */
        w->renew = false;
        dialer_renew(w->dialer);
    }
    if (w->attest_at && now >= w->attest_at)
        attest_now(w);
}

int worker_run(struct worker *w, struct error *err)
{
    int rc = loop_signals(w->loop, on_signal, w, err);
    if (rc == 0)
        rc = loop_add(w->loop, w->bell, EPOLLIN, on_bell, w, err);
    if (rc == 0)
        rc = loop_add(w->loop, w->watch, EPOLLIN, on_watch, w, err);
    if (rc == 0)
        rc = begin(w, err);
    if (rc == 0)
        rc = open_runner(w, err);
    if (rc == 0 && !wait_until_alone(w))
        rc = open_dialer(w, err);
    if (rc < 0)
        return rc;
    reread(w);
    tidy(w, true);
    loop_on_turn_end(w->loop, turn_end, w);
    loop_timer_set(w->loop, &w->look, "worker.look", 0, on_look, w);
    loop_timer_set(w->loop, &w->tidy, "worker.tidy", loop_now(w->loop) + TIDY_MS, on_tidy, w);
    log_info("server %s, %u slots, %u attempts in the spool", w->who.me.name, w->options.slots,
             wcore_live(w->core));
    rc = loop_run(w->loop, err);
    return rc == 0 ? spool_finish(w->spool, err) : rc;
}
