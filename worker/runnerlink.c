/* runnerlink.c - see runnerlink.h. */
#include "worker/runnerlink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channelloop.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/paths.h"

enum {
    RETRY_MIN_MS = 50, /* a new runner listens within this time or twice as long */
    RETRY_MAX_MS = 2000,
    SPAWN_MAX_MS = 60000 /* between two starts of a runner that dies at once */
};

extern char **environ;

struct runnerlink {
    struct loop *loop;
    struct runnerlink_calls calls;
    char *socket, *program;
    struct id spool;
    unsigned slots;
    struct channel *channel;
    bool up, writing, strange;
    uint64_t version;
    struct loop_timer retry;
    int64_t retry_ms, spawn_ms, spawn_after;
    pid_t pid; /* of the runner that we started; 0: none is alive */
    char trouble[ERROR_TEXT_MAX];
};

static void try_now(struct runnerlink *l);

static void on_retry(struct loop *loop, struct loop_timer *t, void *arg)
{
    (void)loop;
    (void)t;
    try_now(arg);
}

static void again(struct runnerlink *l, const char *why)
{
    snprintf(l->trouble, sizeof l->trouble, "%s", why);
    loop_timer_set(l->loop, &l->retry, "runner.retry", loop_now(l->loop) + l->retry_ms, on_retry,
                   l);
    l->retry_ms = l->retry_ms * 2 < RETRY_MAX_MS ? l->retry_ms * 2 : RETRY_MAX_MS;
}

static void drop(struct runnerlink *l, const char *why)
{
    bool was_up = l->up;
    channelloop_close(&l->channel, l->loop);
    l->up = l->writing = false;
    l->retry_ms = RETRY_MIN_MS;
    again(l, why);
    if (was_up)
        l->calls.down(l->calls.self, why);
}

/* ---- Starting one */

static int spawn(struct runnerlink *l, struct error *err)
{
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t files;
    sigset_t none, all;
    /* The runner also finds its home in the environment, but the environment of a process that
     * is not dumpable cannot be read. */
    char *home = secure_getenv("LONGBOAT_HOME");
    char *argv[] = {l->program, home ? "--home" : NULL, home, NULL};
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setflags(&attr,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    int why = posix_spawn(&l->pid, l->program, &files, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    if (why) {
        l->pid = 0;
        return error_errno(err, why, "cannot start '%s'", l->program);
    }
    return 0;
}

static void start_one(struct runnerlink *l, struct error *err)
{
    int64_t now = loop_now(l->loop);
    if (!l->program || l->pid || now < l->spawn_after)
        return;
    l->spawn_ms = l->spawn_ms ? (l->spawn_ms * 2 < SPAWN_MAX_MS ? l->spawn_ms * 2 : SPAWN_MAX_MS)
                              : RETRY_MIN_MS;
    l->spawn_after = now + l->spawn_ms;
    if (spawn(l, err) == 0)
        l->retry_ms = RETRY_MIN_MS;
}

void runnerlink_reap(struct runnerlink *l)
{
    int status;
    if (l->pid && waitpid(l->pid, &status, WNOHANG) == l->pid)
        l->pid = 0;
}

char *runnerlink_program(void)
{
    return file_beside_program("lbrunner");
}

/* ---- Talking */

static bool take_attach(struct runnerlink *l, struct span message)
{
    struct s_attach a = {.version = 0};
    struct error err = {0};
    if (s_attach_decode(message, &a, &err) < 0 || a.version < RUNNER_PROTOCOL_MIN ||
        a.version > RUNNER_PROTOCOL) {
        error_set(
            &err, -EPROTO,
            "the lbrunner that runs here speaks version %llu, this lbworker %d to %d: install "
            "both of one release and restart both; children go on meanwhile",
            (unsigned long long)a.version, (int)RUNNER_PROTOCOL_MIN, (int)RUNNER_PROTOCOL);
        drop(l, err.text);
        l->strange = true;
        return false;
    }
    l->up = true;
    l->version = a.version;
    l->strange = false;
    l->trouble[0] = '\0';
    l->retry_ms = RETRY_MIN_MS;
    l->spawn_ms = 0;
    l->calls.up(l->calls.self);
    return true;
}

static void on_readable(struct runnerlink *l)
{
    struct span message;
    struct error err = {0};
    uint64_t kind;
    size_t size;
    int rc;
    while (l->channel && (rc = channel_receive(l->channel, &message, &err)) != 0) {
        if (rc < 0 || wire_peek(message, &kind, &size, &err) < 0) {
            drop(l, err.text);
            return;
        }
        if (l->up)
            l->calls.message(l->calls.self, kind, message);
        else if (!take_attach(l, message))
            return;
        if (l->channel && channel_is_drained(l->channel))
            return;
    }
}

static void on_fd(struct loop *loop, int fd, uint32_t events, void *arg)
{
    struct runnerlink *l = arg;
    (void)loop;
    (void)fd;
    if (events & EPOLLOUT)
        runnerlink_flush(l);
    if (l->channel && (events & ~(uint32_t)EPOLLOUT))
        on_readable(l);
}

static int attach(struct runnerlink *l, struct error *err)
{
    struct buf b = {0};
    struct s_attach a = {.version = RUNNER_PROTOCOL, .spool = l->spool, .slots = l->slots};
    uid_t uid = channel_peer_uid(l->channel);
    if (uid != 0 && uid != geteuid())
        return error_set(err, -EPERM,
                         "'%s' is served by user %u, who is neither root nor this worker's user",
                         l->socket, uid);
    int rc = loop_add(l->loop, channel_fd(l->channel), EPOLLIN, on_fd, l, err);
    if (rc < 0)
        return rc;
    s_attach_encode(&a, &b);
    rc = channel_send(l->channel, buf_span(&b), err);
    buf_free(&b);
    return rc;
}

static void try_now(struct runnerlink *l)
{
    struct error err = {0};
    int rc = channel_connect(l->socket, &l->channel, &err);
    if (rc == 0 && attach(l, &err) == 0)
        return;
    if (rc == 0) {
        drop(l, err.text);
        return;
    }
    if (rc == -ENOENT || rc == -ECONNREFUSED)
        start_one(l, &err);
    again(l, err.text);
}

int runnerlink_open(struct runnerlink **ret, struct loop *loop, const struct runnerlink_options *o,
                    const struct runnerlink_calls *calls, struct error *err)
{
    int rc = paths_check_socket(o->socket, err);
    if (rc < 0)
        return rc;
    struct runnerlink *l = mem_zalloc(1, sizeof *l);
    l->loop = loop;
    l->calls = *calls;
    l->socket = mem_strdup(o->socket);
    l->program = o->program ? mem_strdup(o->program) : NULL;
    l->spool = o->spool;
    l->slots = o->slots;
    l->retry_ms = RETRY_MIN_MS;
    loop_timer_set(loop, &l->retry, "runner.retry", 0, on_retry, l);
    *ret = l;
    return 0;
}

void runnerlink_close(struct runnerlink **pl)
{
    struct runnerlink *l = *pl;
    if (!l)
        return;
    loop_timer_stop(l->loop, &l->retry);
    channelloop_close(&l->channel, l->loop);
    mem_free(&l->socket);
    mem_free(&l->program);
    mem_free(pl);
}

bool runnerlink_is_up(const struct runnerlink *l)
{
    return l->up;
}

uint64_t runnerlink_version(const struct runnerlink *l)
{
    return l->version;
}

bool runnerlink_is_strange(const struct runnerlink *l)
{
    return l->strange;
}

const char *runnerlink_trouble(const struct runnerlink *l)
{
    return l->trouble;
}

bool runnerlink_has_room(const struct runnerlink *l)
{
    return l->up && channel_waiting(l->channel) < RUNNER_QUEUE_MAX;
}

bool runnerlink_send(struct runnerlink *l, struct span message)
{
    struct error err = {0};
    if (!runnerlink_has_room(l))
        return false;
    if (channel_queue(l->channel, message, &err) == 0)
        return true;
    drop(l, err.text);
    return false;
}

void runnerlink_flush(struct runnerlink *l)
{
    struct error err = {0};
    if (!l->channel)
        return;
    if (channel_flush(l->channel, &err) < 0) {
        drop(l, err.text);
        return;
    }
    bool wants = channel_wants_write(l->channel);
    if (wants != l->writing &&
        loop_mod(l->loop, channel_fd(l->channel), EPOLLIN | (wants ? EPOLLOUT : 0), &err) == 0)
        l->writing = wants;
}
