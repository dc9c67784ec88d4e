/* connections.c - see connections.h. */
#include "net/connections.h"

#include <sys/resource.h>
#include <sys/socket.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

enum {
    /* descriptors for connections that are accepted before we hear of them, and for files */
    RESERVE_MAX = 5120
};

void connections_begin(struct connections *t, struct peers *peers, int64_t quiet_ms)
{
    struct rlimit files = {.rlim_cur = 1024};
    getrlimit(RLIMIT_NOFILE, &files);
    rlim_t reserve = files.rlim_cur / 4 < RESERVE_MAX ? files.rlim_cur / 4 : RESERVE_MAX;
    t->peers = peers;
    t->quiet_ms = quiet_ms;
    t->most = PEERS_MAX + CONNECTIONS_QUIET_MAX;
    if (files.rlim_cur - reserve < t->most)
        t->most = (unsigned)(files.rlim_cur - reserve);
}

static struct connection *connection_of(const struct connections *t, int fd)
{
    struct connection *c;
    HASH_FIND_INT(t->all, &fd, c);
    return c;
}

static void not_quiet(struct connections *t, struct connection *c)
{
    heap_remove(&t->quiet, &c->due);
    if (c->of)
        peers_count_quiet(t->peers, c->of, -1);
    c->of = NULL;
}

static void forget(struct connections *t, struct connection *c)
{
    not_quiet(t, c);
    HASH_DEL(t->all, c);
    mem_free(&c);
}

void connections_end(struct connections *t)
{
    while (t->all)
        forget(t, t->all);
    heap_free(&t->quiet);
}

unsigned connections_open(const struct connections *t)
{
    return HASH_COUNT(t->all);
}

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

/* libzmq reports its end; until then it stays in the table. */
static void shut(struct connections *t, struct connection *c)
{
    heap_remove(&t->quiet, &c->due);
    if (c->cookie && cookie_of(c->fd) == c->cookie) {
        shutdown(c->fd, SHUT_RDWR);
        t->closed++;
    }
}

static struct connection *oldest_quiet(const struct connections *t)
{
    struct heap_node *first = heap_peek(&t->quiet);
    return first ? heap_entry(first, struct connection, due) : NULL;
}

/* `until`: when it is closed, unless it has a session by then. */
static void make_quiet(struct connections *t, struct connection *c, int64_t until)
{
    heap_insert(&t->quiet, &c->due, until, (uint64_t)c->fd);
    if (t->quiet.n > CONNECTIONS_QUIET_MAX) {
        shut(t, oldest_quiet(t));
        t->too_many++;
    }
}

void connections_opened(struct connections *t, int fd, int64_t now)
{
    struct connection *c;
    connections_closed(t, fd);
    c = mem_zalloc(1, sizeof *c);
    c->fd = fd;
    c->cookie = cookie_of(fd);
    HASH_ADD_INT(t->all, fd, c);
    if (HASH_COUNT(t->all) > t->most) {
        shut(t, c);
        t->too_many++;
    } else {
        make_quiet(t, c, now + t->quiet_ms);
    }
}

void connections_closed(struct connections *t, int fd)
{
    struct connection *c = connection_of(t, fd);
    if (c)
        forget(t, c);
}

bool connections_speaks(struct connections *t, int fd, uint64_t peer)
{
    struct connection *c = connection_of(t, fd);
    if (!c)
        return false;
    bool first = !c->spoke;
    not_quiet(t, c);
    c->spoke = true;
    c->peer = peer;
    return first;
}

void connections_quiet(struct connections *t, const struct peer *p, int64_t now, bool broke)
{
    struct connection *c = connection_of(t, p->fd);
    if (!c || c->peer != p->handle)
        return; /* another session has begun on it, or the number is another connection's */
    c->peer = 0;
    c->of = p->of;
    peers_count_quiet(t->peers, c->of, 1);
    if (c->of->quiet > CONNECTIONS_QUIET_OF_A_KEY_MAX)
        shut(t, c);
    else
        make_quiet(t, c,
                   now + (broke && t->quiet_ms > CONNECTIONS_ENDED_MS ? CONNECTIONS_ENDED_MS
                                                                      : t->quiet_ms));
}

void connections_hurry(struct connections *t, int fd, int64_t at)
{
    struct connection *c = connection_of(t, fd);
    if (c && heap_holds(&c->due) && c->due.key > at)
        heap_change(&t->quiet, &c->due, at);
}

int64_t connections_due(const struct connections *t)
{
    const struct connection *c = oldest_quiet(t);
    return c ? c->due.key : INT64_MAX;
}

void connections_close_due(struct connections *t, int64_t now)
{
    struct connection *c;
    while ((c = oldest_quiet(t)) && c->due.key <= now)
        shut(t, c);
}
