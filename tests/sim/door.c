/* door.c - see door.h. The rules are those of net/server.c. */
#include "tests/sim/door.h"

#include "common/mem.h"

struct guest {
    uint64_t handle;
    struct conn *conn;
    struct session *session;
    bool full;        /* its window was seen shut: `window` is owed */
    const char *doom; /* it must be dropped at the next flush */
    struct guest *prev, *next;
};

struct door {
    struct world *w;
    struct network *net;
    struct process *broker;
    const struct door_calls *calls;
    void *self;
    struct guest *guests;
    uint64_t handles;
    struct event timer;
    struct buf frame;
};

static void on_frame(void *self, struct conn *c, struct span frame);
static const struct net_calls net_calls = {.frame = on_frame};
static void on_timer(struct world *w, void *self);

struct door *door_new(struct world *w, struct network *n, struct process *broker,
                      const struct door_calls *calls, void *self)
{
    struct door *d = mem_zalloc(1, sizeof *d);
    d->w = w;
    d->net = n;
    d->broker = broker;
    d->calls = calls;
    d->self = self;
    network_listen(n, broker, &net_calls, d);
    return d;
}

static void guest_free(struct door *d, struct guest *g)
{
    if (g->prev)
        g->prev->next = g->next;
    else
        d->guests = g->next;
    if (g->next)
        g->next->prev = g->prev;
    session_free(&g->session);
    conn_set_slot(g->conn, NULL);
    mem_free(&g);
}

void door_free(struct door **pd)
{
    struct door *d = *pd;
    if (!d)
        return;
    while (d->guests)
        guest_free(d, d->guests);
    world_cancel(d->w, &d->timer);
    buf_free(&d->frame);
    mem_free(pd);
}

static struct guest *find(const struct door *d, uint64_t handle)
{
    struct guest *g = d->guests;
    while (g && g->handle != handle)
        g = g->next;
    return g;
}

/* ---- Out */
static void say_last(struct door *d, struct conn *c, uint64_t session, struct span message)
{
    session_last_word(session, message, &d->frame);
    conn_send(c, TO_PEER, buf_span(&d->frame));
}

static void say_reset(struct door *d, struct conn *c, uint64_t session, const char *reason)
{
    struct buf message = {0};
    m_reset_encode(&(struct m_reset){.reason = span_str(reason)}, &message);
    say_last(d, c, session, buf_span(&message));
    buf_free(&message);
}

static void drop(struct door *d, struct guest *g, const char *why)
{
    uint64_t handle = g->handle;
    TRACE(d->w, d->broker->name, "session %llu of %s is dropped: %s", (unsigned long long)handle,
          conn_peer(g->conn), why);
    guest_free(d, g);
    d->calls->down(d->self, handle);
}

void door_send(struct door *d, uint64_t peer, struct span message)
{
    struct guest *g = find(d, peer);
    if (g && session_push(g->session, message) < 0)
        g->doom = "it does not take what it was sent";
}

static bool send_waiting(struct door *d, struct guest *g)
{
    int64_t now = world_boot_ms(d->w, d->broker);
    bool there = true;
    while (there && session_frame(g->session, now, &d->frame))
        there = conn_send(g->conn, TO_PEER, buf_span(&d->frame));
    if (there && session_idle_frame(g->session, now, &d->frame))
        there = conn_send(g->conn, TO_PEER, buf_span(&d->frame));
    return there;
}

void door_close_peer(struct door *d, uint64_t peer, struct span last)
{
    struct guest *g = find(d, peer);
    if (!g)
        return;
    if (send_waiting(d, g))
        say_last(d, g->conn, session_id(g->session), last);
    guest_free(d, g);
}

bool door_window_open(const struct door *d, uint64_t peer)
{
    const struct guest *g = find(d, peer);
    return g && session_window_open(g->session);
}

/* True: something was told, so there may be more to do. */
static bool flush_guest(struct door *d, struct guest *g)
{
    if (!g->doom && !send_waiting(d, g))
        g->doom = "its connection is gone";
    if (g->doom) {
        drop(d, g, g->doom);
        return true;
    }
    d->calls->queued(d->self, g->handle, session_owed(g->session));
    bool open = session_window_open(g->session);
    if (g->full != !open) {
        g->full = !open;
        if (!open)
            world_met(d->w, FAULT_WINDOW_FULL);
        d->calls->window(d->self, g->handle, open);
        return true;
    }
    return false;
}

void door_flush(struct door *d)
{
    int64_t at = INT64_MAX;
    struct guest *g = d->guests, *next;
    for (; g; g = next) {
        next = g->next;
        if (flush_guest(d, g)) {
            next = d->guests; /* anything may have changed: from the beginning */
            at = INT64_MAX;
            continue;
        }
        int64_t expiry = session_heard(g->session) + LEASE_MS,
                deadline = session_deadline(g->session);
        at = deadline < at ? deadline : at;
        at = expiry < at ? expiry : at;
    }
    if (at == INT64_MAX)
        world_cancel(d->w, &d->timer);
    else
        world_at(d->w, &d->timer, world_true_time(d->w, d->broker, at), d->broker, on_timer, d);
}

static void on_timer(struct world *w, void *self)
{
    struct door *d = self;
    int64_t now = world_boot_ms(w, d->broker);
    for (struct guest *g = d->guests; g; g = g->next)
        if (now - session_heard(g->session) >= LEASE_MS)
            g->doom = "it has been silent for its whole lease";
    d->calls->turn_end(d->self);
}

/* ---- In */
static void deliver(struct door *d, uint64_t handle, struct span messages)
{
    struct guest *g;
    uint64_t kind;
    size_t size;
    while (messages.n > 0 && (g = find(d, handle)) &&
           wire_peek(messages, &kind, &size, NULL) == 0) {
        if (kind == KIND_M_BYE) {
            drop(d, g, "it said goodbye");
        } else if (kind == KIND_M_HELLO) {
            say_reset(d, g->conn, session_id(g->session), "HELLO in an open session");
            drop(d, g, "HELLO in an open session");
        } else {
            d->calls->message(d->self, handle, span_of(messages.p, size));
        }
        messages.p += size;
        messages.n -= size;
    }
}

static void open_session(struct door *d, struct conn *c, const struct h_frame *head,
                         struct span frame, struct span hello)
{
    struct guest *g = mem_zalloc(1, sizeof *g);
    struct span messages;
    uint64_t handle = g->handle = ++d->handles;
    g->conn = c;
    g->session = session_new(head->session);
    g->next = d->guests;
    if (g->next)
        g->next->prev = g;
    d->guests = g;
    conn_set_slot(c, g);
    if (session_take(g->session, frame, world_boot_ms(d->w, d->broker), &messages, NULL) !=
        SESSION_MESSAGES) {
        guest_free(d, g);
        return;
    }
    d->calls->hello(d->self, handle, conn_peer(c), hello);
    messages.p += hello.n;
    messages.n -= hello.n;
    deliver(d, handle, messages);
}

static void take_stray(struct door *d, struct conn *c, struct span frame)
{
    struct h_frame head;
    struct span word;
    uint64_t kind, session;
    size_t head_size, size;
    if (session_peek(frame, &head, NULL) < 0 || wire_peek(frame, &kind, &head_size, NULL) < 0)
        return;
    struct span rest = {frame.p + head_size, frame.n - head_size};
    if (head.number == 1 && rest.n && wire_peek(rest, &kind, &size, NULL) == 0 &&
        kind == KIND_M_HELLO)
        open_session(d, c, &head, frame, span_of(rest.p, size));
    else if (!session_is_last_word(frame, &session, &kind, &word))
        say_reset(d, c, head.session, "unknown session");
}

static void take_of_guest(struct door *d, struct guest *g, struct span frame)
{
    struct span messages;
    struct error err = {0};
    uint64_t session, kind;
    struct conn *c = g->conn;
    if (session_is_last_word(frame, &session, &kind, &messages)) {
        if (session == session_id(g->session))
            drop(d, g, "it said goodbye");
        return;
    }
    switch (session_take(g->session, frame, world_boot_ms(d->w, d->broker), &messages, &err)) {
    case SESSION_MESSAGES:
        deliver(d, g->handle, messages);
        break;
    case SESSION_NOTHING:
        break;
    case SESSION_GAP:
        say_reset(d, c, session_id(g->session), "a frame was lost");
        drop(d, g, "a frame was lost");
        break;
    case SESSION_FOREIGN:
        drop(d, g, "another session was opened on its connection");
        take_stray(d, c, frame);
        break;
    case SESSION_MALFORMED:
        say_reset(d, c, session_id(g->session), err.text);
        drop(d, g, err.text);
        break;
    }
}

static void on_frame(void *self, struct conn *c, struct span frame)
{
    struct door *d = self;
    struct guest *g = conn_slot(c);
    if (g)
        take_of_guest(d, g, frame);
    else
        take_stray(d, c, frame);
    d->calls->turn_end(d->self);
}
