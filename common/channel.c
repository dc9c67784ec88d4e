/* channel.c - see channel.h. */
#include "common/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"

enum {
    READ_AT_ONCE = 64 << 10, /* bytes per read; many small messages arrive in one */
    KEPT_BUFFER = 1 << 20,   /* an empty buffer larger than this is freed */
    BACKLOG = 64
};

struct channel {
    int fd;
    uid_t uid;
    pid_t pid;
    struct buf in; /* bytes read; those before in_at are consumed */
    size_t in_at;
    bool drained;   /* the last read got less than it asked for */
    struct buf out; /* bytes to write; those before out_at are written */
    size_t out_at;
};

/* A socket address holds 107 bytes and our path may be longer, so the name is looked up relative to
 * an open folder. */
struct address {
    struct sockaddr_un sun;
    int folder;
};

static int address_of(const char *path, struct address *ret, struct error *err)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    *ret = (struct address){.sun = {.sun_family = AF_UNIX}, .folder = -1};
    if (strlen(path) < sizeof ret->sun.sun_path) {
        memcpy(ret->sun.sun_path, path, strlen(path) + 1);
        return 0;
    }
    char *folder = mem_printf("%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    ret->folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    mem_free(&folder);
    if (ret->folder < 0)
        return error_errno(err, errno, "cannot open the folder of the socket '%s'", path);
    int n = snprintf(ret->sun.sun_path, sizeof ret->sun.sun_path, "/proc/self/fd/%d/%s",
                     ret->folder, name);
    if (n < 0 || (size_t)n >= sizeof ret->sun.sun_path) {
        close(ret->folder);
        return error_set(err, -ENAMETOOLONG, "the socket path '%s' is too long", name);
    }
    return 0;
}

static void address_end(struct address *a)
{
    if (a->folder >= 0)
        close(a->folder);
}

static int new_socket(const char *path, struct address *a, int *ret_fd, struct error *err)
{
    int rc = address_of(path, a, err);
    if (rc < 0)
        return rc;
    *ret_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*ret_fd >= 0)
        return 0;
    rc = error_errno(err, errno, "cannot make a socket for '%s'", path);
    address_end(a);
    return rc;
}

/* Something is at our path. A socket that refuses connections was left by a killed process: remove
 * it. */
static int clear_path(const char *path, const struct address *a, struct error *err)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : error_errno(err, errno, "cannot examine '%s'", path);
    if (!S_ISSOCK(st.st_mode))
        return error_set(err, -EEXIST, "'%s' exists and is not a socket; remove it", path);
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return error_errno(err, errno, "cannot make a socket");
    int rc = connect(probe, (const struct sockaddr *)&a->sun, sizeof a->sun) < 0 ? errno : 0;
    close(probe);
    if (rc != ECONNREFUSED && rc != ENOENT)
        return error_set(err, -EADDRINUSE, "another process listens on '%s'", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return error_errno(err, errno, "cannot remove the old socket '%s'", path);
    return 0;
}

int channel_listen(const char *path, int *ret_fd, struct error *err)
{
    struct address a;
    int fd, rc = new_socket(path, &a, &fd, err);
    if (rc < 0)
        return rc;
    rc = clear_path(path, &a, err);
    if (rc < 0)
        goto fail;
    /* Linux gives the file the socket's own mode, so others can never connect. */
    if (fchmod(fd, 0600) < 0 || bind(fd, (const struct sockaddr *)&a.sun, sizeof a.sun) < 0 ||
        listen(fd, BACKLOG) < 0) {
        rc = error_errno(err, errno, "cannot listen on '%s'", path);
        goto fail;
    }
    address_end(&a);
    *ret_fd = fd;
    return 0;
fail:
    close(fd);
    address_end(&a);
    return rc;
}

int channel_from_fd(int fd, struct channel **ret, struct error *err)
{
    struct ucred who;
    socklen_t n = sizeof who;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return error_errno(err, errno, "cannot use descriptor %d as a channel", fd);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0)
        return error_errno(err, errno,
                           "cannot find out which process is at the other end of a socket");
    struct channel *c = mem_zalloc(1, sizeof *c);
    c->fd = fd;
    c->uid = who.uid;
    c->pid = who.pid;
    *ret = c;
    return 0;
}

int channel_accept(int listening, struct channel **ret, struct error *err)
{
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
        return -EAGAIN;
    if (fd < 0)
        return error_errno(err, errno, "cannot accept a connection");
    int rc = channel_from_fd(fd, ret, err);
    if (rc < 0)
        close(fd);
    return rc;
}

int channel_connect(const char *path, struct channel **ret, struct error *err)
{
    struct address a;
    int fd, rc = new_socket(path, &a, &fd, err);
    if (rc < 0)
        return rc;
    /* A unix socket connects at once or not at all; EAGAIN means that the listener's queue is
       full. */
    if (connect(fd, (const struct sockaddr *)&a.sun, sizeof a.sun) < 0)
        rc = error_errno(err, errno, "cannot connect to '%s'", path);
    else
        rc = channel_from_fd(fd, ret, err);
    address_end(&a);
    if (rc < 0)
        close(fd);
    return rc;
}

void channel_close(struct channel **c)
{
    if (!*c)
        return;
    close((*c)->fd);
    buf_free(&(*c)->in);
    buf_free(&(*c)->out);
    mem_free(c);
}

int channel_fd(const struct channel *c)
{
    return c->fd;
}

uid_t channel_peer_uid(const struct channel *c)
{
    return c->uid;
}

pid_t channel_peer_pid(const struct channel *c)
{
    return c->pid;
}

size_t channel_waiting(const struct channel *c)
{
    return c->out.n - c->out_at;
}

bool channel_wants_write(const struct channel *c)
{
    return channel_waiting(c) > 0;
}

/* Drops the first *at bytes and frees the memory that a burst left. */
static void drop_front(struct buf *b, size_t *at)
{
    if (*at == b->n && b->cap > KEPT_BUFFER)
        buf_free(b);
    else if (*at == b->n)
        b->n = 0;
    else if (*at) {
        memmove(b->p, b->p + *at, b->n - *at);
        b->n -= *at;
    }
    *at = 0;
}

int channel_queue(struct channel *c, struct span message, struct error *err)
{
    if (message.n > CHANNEL_MESSAGE_MAX)
        return error_set(err, -EMSGSIZE,
                         "a message of %zu bytes is too large for a channel; the limit is %d",
                         message.n, (int)CHANNEL_MESSAGE_MAX);
    if (c->out.n - c->out_at + message.n > CHANNEL_QUEUE_MAX)
        return error_set(err, -ENOBUFS,
                         "process %d does not read its messages: %zu bytes are queued", (int)c->pid,
                         c->out.n - c->out_at);
    if (c->out_at > c->out.n / 2)
        drop_front(&c->out, &c->out_at);
    uint32_t n = (uint32_t)message.n;
    uint8_t head[4] = {n & 0xff, n >> 8 & 0xff, n >> 16 & 0xff, n >> 24 & 0xff};
    buf_add(&c->out, head, sizeof head);
    buf_add(&c->out, message.p, message.n);
    return 0;
}

int channel_flush(struct channel *c, struct error *err)
{
    while (channel_wants_write(c)) {
        ssize_t n =
            send(c->fd, c->out.p + c->out_at, c->out.n - c->out_at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            c->out_at += (size_t)n;
        else if (errno == EAGAIN)
            return 0;
        else if (errno != EINTR)
            return error_errno(err, errno, "cannot send to process %d", (int)c->pid);
    }
    drop_front(&c->out, &c->out_at);
    return 0;
}

int channel_send(struct channel *c, struct span message, struct error *err)
{
    int rc = channel_queue(c, message, err);
    return rc < 0 ? rc : channel_flush(c, err);
}

/* The size of the first message in what was read, with its four length bytes; 0: the length has not
 * arrived yet. */
static size_t head_length(const struct channel *c)
{
    const uint8_t *p = c->in.p + c->in_at;
    if (c->in.n - c->in_at < 4)
        return 0;
    return 4 + ((size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24);
}

int channel_receive(struct channel *c, struct span *ret, struct error *err)
{
    for (;;) {
        size_t have = c->in.n - c->in_at, want = head_length(c);
        if (want > 4 + (size_t)CHANNEL_MESSAGE_MAX)
            return error_set(err, -EMSGSIZE,
                             "process %d announced a message of %zu bytes; the limit is %d",
                             (int)c->pid, want - 4, (int)CHANNEL_MESSAGE_MAX);
        if (want && have >= want) {
            *ret = span_of(c->in.p + c->in_at + 4, want - 4);
            c->in_at += want;
            return 1;
        }
        drop_front(&c->in, &c->in_at);
        size_t ask = want > have + READ_AT_ONCE ? want - have : READ_AT_ONCE;
        ssize_t n = recv(c->fd, buf_grow(&c->in, ask), ask, MSG_DONTWAIT);
        c->drained = n > 0 && (size_t)n < ask;
        if (n > 0)
            c->in.n += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            return 0;
        else if (n < 0 && errno != EINTR)
            return error_errno(err, errno == EPIPE ? ECONNRESET : errno,
                               "cannot receive from process %d", (int)c->pid);
        else if (n == 0)
            return error_set(err, have ? -EPROTO : -ECONNRESET, "process %d has gone%s",
                             (int)c->pid, have ? " in the middle of a message" : "");
    }
}

bool channel_is_drained(const struct channel *c)
{
    const size_t want = head_length(c);
    return c->drained && (!want || c->in.n - c->in_at < want);
}
