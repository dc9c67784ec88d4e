/* byhanddoor.c - see byhanddoor.h. */
#include "runner/byhanddoor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/messages.h"
#include "runner/spawn.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

enum { STATUS_BYTES_MAX = 16384 };

extern char **environ;

struct byhanddoor {
    const struct runner_paths *paths;
    struct loop *loop;
    char *program;
    int listening;
    pid_t pids[BYHANDDOOR_MAX]; /* 0: free */
};

/* ---- Who may */

/* False also if nobody can say: the process has ended. */
static bool may_gain_privileges(pid_t pid)
{
    struct buf text = {0};
    char *path = mem_printf("/proc/%d/status", (int)pid);
    bool may = file_read(path, STATUS_BYTES_MAX, &text, NULL) == 0 &&
               strstr(buf_str(&text), "\nNoNewPrivs:\t0\n") != NULL;
    mem_free(&path);
    buf_free(&text);
    return may;
}

/* Its number may belong to another process by now. Kernels before 6.5 cannot tell. */
static bool has_ended(int person)
{
    int fd;
    socklen_t size = sizeof fd;
    if (getsockopt(person, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) < 0)
        return errno != ENOPROTOOPT && errno != EINVAL;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    const bool ended = poll(&p, 1, 0) != 0;
    close(fd);
    return ended;
}

static int judge(const struct byhanddoor *d, int person, struct error *err)
{
    struct ucred who;
    socklen_t size = sizeof who;
    if (getsockopt(person, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
        return error_errno(err, errno, "cannot find out who asks");
    if (who.uid == d->paths->worker.uid || who.uid == d->paths->unpack.uid)
        return error_set(err, -EPERM, "user %u is of the server itself, and runs nothing by hand",
                         (unsigned)who.uid);
    if (!may_gain_privileges(who.pid) || has_ended(person))
        return error_set(err, -EPERM,
                         "process %d of user %u cannot gain privileges (no_new_privs), as a step's "
                         "children: only people run by hand",
                         (int)who.pid, (unsigned)who.uid);
    return 0;
}

/* ---- Coming in */

static int start(struct byhanddoor *d, int person, pid_t *ret_pid, struct error *err)
{
    static char by_hand[] = "--by-hand", home[] = "--home";
    char *at = secure_getenv("LONGBOAT_HOME");
    char *argv[] = {d->program, by_hand, at ? home : NULL, at, NULL};
    struct command c = {.argv = argv, .envp = environ};
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC),
              folder = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const struct spawn s = {.command = &c, .folder = folder, .null = person, .out = null, .err = 2};
    int rc = null < 0 || folder < 0 ? error_errno(err, errno, "cannot start '%s'", d->program)
                                    : spawn_child(&s, ret_pid, err);
    if (null >= 0)
        close(null);
    if (folder >= 0)
        close(folder);
    return rc;
}

/* A sentence for who is turned away, as the runner that they wanted would say it. */
static void turn_away(int person, const struct error *why)
{
    struct buf b = {0};
    struct channel *c = NULL;
    struct span text = span_str(why->text);
    if (text.n > LIMIT_TEXT)
        text.n = LIMIT_TEXT;
    log_warn("by hand: turned away: %s", why->text);
    s_by_hand_end_encode(&(struct s_by_hand_end){.code = REFUSAL_DENIED, .text = text}, &b);
    if (channel_from_fd(person, &c, NULL) == 0)
        channel_send(c, buf_span(&b), NULL);
    else
        close(person);
    channel_close(&c);
    buf_free(&b);
}

static pid_t *free_place(struct byhanddoor *d)
{
    for (unsigned i = 0; i < BYHANDDOOR_MAX; i++)
        if (!d->pids[i])
            return &d->pids[i];
    return NULL;
}

static void on_coming(struct loop *l, int fd, uint32_t events, void *arg)
{
    struct byhanddoor *d = arg;
    int person;
    (void)l;
    (void)events;
    while ((person = accept4(fd, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        struct error err = {0};
        pid_t *place = free_place(d);
        int rc = judge(d, person, &err);
        if (rc == 0 && !place)
            rc = error_set(&err, -EBUSY, "%d runs by hand are on; try again later",
                           (int)BYHANDDOOR_MAX);
        if (rc == 0)
            rc = start(d, person, place, &err);
        if (rc == 0)
            close(person);
        else
            turn_away(person, &err);
    }
}

/* ---- */

int byhanddoor_open(const struct runner_paths *paths, struct loop *loop, struct byhanddoor **ret,
                    struct error *err)
{
    struct byhanddoor *d = mem_zalloc(1, sizeof *d);
    char *path = mem_printf("%s/" BYHANDDOOR_SOCKET, paths->run);
    d->paths = paths;
    d->loop = loop;
    d->program = file_beside_program("lbrunner");
    d->listening = -1;
    int rc = channel_listen(path, &d->listening, err);
    if (rc == 0 && paths->by_hand_group &&
        (chmod(path, 0660) < 0 || lchown(path, (uid_t)-1, paths->by_hand_group) < 0))
        rc = error_errno(err, errno, "cannot let group %u connect to '%s'",
                         (unsigned)paths->by_hand_group, path);
    if (rc == 0)
        rc = loop_add(loop, d->listening, EPOLLIN, on_coming, d, err);
    mem_free(&path);
    if (rc < 0)
        byhanddoor_close(&d);
    *ret = d;
    return rc;
}

void byhanddoor_close(struct byhanddoor **pd)
{
    struct byhanddoor *d = *pd;
    if (!d)
        return;
    if (d->listening >= 0) {
        loop_del(d->loop, d->listening);
        close(d->listening);
    }
    mem_free(&d->program);
    mem_free(pd);
}

void byhanddoor_reaped(struct byhanddoor *d, pid_t pid)
{
    for (unsigned i = 0; d && i < BYHANDDOOR_MAX; i++)
        if (d->pids[i] == pid)
            d->pids[i] = 0;
}
