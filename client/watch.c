/* watch.c - reports once that the broker is silent, with the reason for each of its addresses, and
 * once that it answers again.
 *
 * The dialer only knows that there was no answer. So after SILENT_MS each address is probed: does
 * its name resolve, is a connection accepted? Nothing here blocks; after LOOK_MS the report is made
 * with what is known. */
#include "client/inner.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    /* how long the broker must be away to be reported; a restart often takes less */
    SILENT_MS = 2000,
    LOOK_MS = 1000,
    TICK_MS = 250
};

/* One address that is probed. */
struct look {
    char *host, *port;
    struct gaicb name, *names[1];
    bool asked; /* a thread of libc resolves it */
    int fd;     /* -1: no connection is being tried */
    const char *why;
};

struct watch {
    struct longboat *lb;
    longboat_say say;
    void *self;
    struct loop_timer timer;
    int64_t down_since;
    bool said;
    struct look *looks;
};

/* ---- Probing */

/* "tcp://host:7411", "[::1]:7411" */
static void split(struct look *l, const char *address)
{
    const char *scheme = strstr(address, "://");
    const char *host = scheme ? scheme + 3 : address, *port = strrchr(host, ':');
    size_t n = port ? (size_t)(port - host) : strlen(host);
    if (n > 1 && host[0] == '[' && host[n - 1] == ']') {
        host++;
        n -= 2;
    }
    l->host = span_dup_str(span_of((const uint8_t *)host, n));
    l->port = mem_strdup(port ? port + 1 : "");
}

static void look_begin(struct look *l, const char *address)
{
    static const struct addrinfo tcp = {.ai_socktype = SOCK_STREAM};
    split(l, address);
    l->fd = -1;
    l->why = "no answer";
    l->name = (struct gaicb){.ar_name = l->host, .ar_service = l->port, .ar_request = &tcp};
    l->names[0] = &l->name;
    l->asked = getaddrinfo_a(GAI_NOWAIT, l->names, 1, NULL) == 0;
}

static const char *why_of(int errno_value)
{
    switch (errno_value) {
    case 0:
        return "it accepts connections, but does not answer as this broker";
    case ECONNREFUSED:
        return "connection refused";
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "no route to it";
    default:
        return "no answer";
    }
}

static void connect_to(struct look *l)
{
    const struct addrinfo *a = l->name.ar_result;
    l->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd >= 0 && connect(l->fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS)
        l->why = why_of(errno);
}

static void look_on(struct look *l)
{
    if (l->asked) {
        int rc = gai_error(&l->name);
        if (rc == EAI_INPROGRESS)
            return;
        l->asked = false;
        if (rc == 0)
            connect_to(l);
        else
            l->why = "the name does not resolve";
    }
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};
    int why = 0;
    socklen_t n = sizeof why;
    if (l->fd >= 0 && poll(&p, 1, 0) == 1 &&
        getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &why, &n) == 0 && strcmp(l->why, "no answer") == 0)
        l->why = why_of(why);
}

static void look_end(struct look *l)
{
    if (l->fd >= 0)
        close(l->fd);
    if (l->name.ar_result)
        freeaddrinfo(l->name.ar_result);
    mem_free(&l->host);
    mem_free(&l->port);
}

static void looks_begin(struct watch *w)
{
    const struct client_config *c = &w->lb->config;
    w->looks = mem_zalloc(c->n_addresses, sizeof *w->looks);
    for (size_t i = 0; i < c->n_addresses; i++)
        look_begin(&w->looks[i], c->addresses[i]);
}

static void looks_end(struct watch *w)
{
    bool left = false;
    for (size_t i = 0; w->looks && i < w->lb->config.n_addresses; i++) {
        struct look *l = &w->looks[i];
        /* memory that libc's thread still uses is not freed */
        if (l->asked && gai_cancel(&l->name) == EAI_NOTCANCELED)
            left = true;
        else
            look_end(l);
    }
    if (left)
        w->looks = NULL;
    else
        mem_free(&w->looks);
}

/* ---- Reporting */

static void say_silent(struct watch *w)
{
    const struct client_config *c = &w->lb->config;
    const char *trouble = longboat_trouble(w->lb);
    struct buf text = {0};
    buf_printf(&text, "broker %s does not answer: ", c->broker.name);
    for (size_t i = 0; i < c->n_addresses; i++)
        buf_printf(&text, "%s%s: %s", i ? "; " : "", c->addresses[i], w->looks[i].why);
    if (strstr(trouble, "refused: "))
        buf_printf(&text, "; %s", trouble);
    buf_add_str(&text, " (still trying)");
    w->said = true;
    w->say(w->self, buf_str(&text));
    buf_free(&text);
}

static void say_back(struct watch *w)
{
    struct buf text = {0};
    buf_printf(&text, "%s answers again", longboat_broker(w->lb));
    w->said = false;
    w->say(w->self, buf_str(&text));
    buf_free(&text);
}

static void on_tick(struct loop *l, struct loop_timer *t, void *arg)
{
    struct watch *w = arg;
    const int64_t now = loop_now(l);
    loop_timer_set(l, t, "client.watch", now + TICK_MS, on_tick, w);
    if (longboat_is_up(w->lb)) {
        w->down_since = 0;
        looks_end(w);
        if (w->said)
            say_back(w);
        return;
    }
    if (!w->down_since)
        w->down_since = now;
    if (w->said || now - w->down_since < SILENT_MS)
        return;
    if (!w->looks)
        looks_begin(w);
    for (size_t i = 0; i < w->lb->config.n_addresses; i++)
        look_on(&w->looks[i]);
    if (now - w->down_since < SILENT_MS + LOOK_MS)
        return;
    say_silent(w);
    looks_end(w);
}

void longboat_watch(struct longboat *lb, longboat_say say, void *self)
{
    struct watch *w = mem_zalloc(1, sizeof *w);
    watch_free(lb);
    lb->watch = w;
    w->lb = lb;
    w->say = say;
    w->self = self;
    w->down_since = loop_now(lb->loop);
    loop_timer_set(lb->loop, &w->timer, "client.watch", w->down_since + TICK_MS, on_tick, w);
}

void watch_free(struct longboat *lb)
{
    if (!lb->watch)
        return;
    loop_timer_stop(lb->loop, &lb->watch->timer);
    looks_end(lb->watch);
    mem_free(&lb->watch);
}
