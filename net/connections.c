/* connections.c - see connections.h. */
#include "net/connections.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

enum {
    /* descriptors for connections that are accepted before we hear of them, and for files */
    RESERVE_MAX = 5120,
    /* ZMTP and CURVE around a frame: the header's flags and length (2 or 9), "MESSAGE" and its
     * length, nonce, authenticator, flags */
    WRAPPING = 8 + 8 + 16 + 1,
    SHORT_MAX = 255,
    SHORT_HEAD = 2,
    LONG_HEAD = 9,
    /* of a second: what a peer's libzmq sends by itself, such as heartbeats */
    UNCOUNTED_A_SECOND = 64,
    LOOKED_AT = 512, /* at a time */
    /* what may come late of a session that has ended: its window, or one long frame, and a HELLO */
    QUIET_BYTES_MAX = LIMIT_FRAME + LIMIT_PACK
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
    if (t->next == c)
        t->next = c->hh.next;
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
    c->heard = c->taken;
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
    c->since = now;
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

void connections_took(struct connections *t, int fd, size_t bytes)
{
    struct connection *c = connection_of(t, fd);
    size_t wrapped = bytes + WRAPPING;
    if (!c)
        return;
    c->taken += wrapped + (wrapped > SHORT_MAX ? LONG_HEAD : SHORT_HEAD);
    if (heap_holds(&c->due) && c->taken - c->heard > QUIET_BYTES_MAX)
        shut(t, c);
}

/* What it has received and we have not taken from libzmq. */
static uint64_t unread(const struct connection *c, int64_t now)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    uint64_t known = c->taken + (uint64_t)(now - c->since) / 1000 * UNCOUNTED_A_SECOND;
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 ||
        size < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
        return 0;
    return info.tcpi_bytes_received > known ? info.tcpi_bytes_received - known : 0;
}

/* Is it too much, with what the principal's other connections of this look have? Those that never
 * had a session are nobody's, and together they may have as much as one principal: an honest one
 * has a HELLO there, which is short. */
static bool is_too_much(struct connections *t, const struct connection *c, uint64_t bytes)
{
    const struct peer *p = c->peer ? peers_find(t->peers, c->peer) : NULL;
    struct principal *who = p ? p->of : c->of;
    struct connections_unread *of = who ? &who->unread : &t->of_nobody;
    if (bytes > CONNECTIONS_UNTAKEN_MAX)
        return true;
    if (!t->peers->budgets)
        return false;
    if (of->look != t->look)
        *of = (struct connections_unread){.look = t->look};
    of->bytes += bytes;
    return of->bytes > budgets_limit(t->peers->budgets, BUDGET_BYTES_IN) && bytes > LIMIT_PACK;
}

void connections_look(struct connections *t, int64_t now)
{
    struct connection *c = t->next ? t->next : t->all;
    t->look++;
    for (unsigned i = 0; c && i < LOOKED_AT; i++, c = c->hh.next)
        if (is_too_much(t, c, unread(c, now))) {
            shut(t, c);
            t->untaken++;
        }
    t->next = c;
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
