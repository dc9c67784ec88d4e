/* listener.c - see listener.h. The rules are those of net/server.c. */
#include "tests/sim/listener.h"

#include "common/mem.h"

struct listener_peer {
    uint64_t handle;
    struct conn *conn;
    struct session *session;
    bool full;               /* its window was closed: it will get a `window` */
    const char *drop_reason; /* not NULL: drop it at the next flush */
    struct listener_peer *prev, *next;
};

struct listener {
    struct world *w;
    struct network *net;
    struct process *broker;
    const struct listener_calls *calls;
    void *self;
    struct listener_peer *peers;
    uint64_t handles;
    struct event timer;
    struct buf frame;
};

static void on_frame(void *self, struct conn *c, struct span frame);
static const struct net_calls net_calls = {.frame = on_frame};
static void on_timer(struct world *w, void *self);

struct listener *listener_new(struct world *w, struct network *n, struct process *broker,
                              const struct listener_calls *calls, void *self)
{
    struct listener *l = mem_zalloc(1, sizeof *l);
    l->w = w;
    l->net = n;
    l->broker = broker;
    l->calls = calls;
    l->self = self;
    network_listen(n, broker, &net_calls, l);
    return l;
}

static void peer_free(struct listener *l, struct listener_peer *p)
{
    if (p->prev)
        p->prev->next = p->next;
    else
        l->peers = p->next;
    if (p->next)
        p->next->prev = p->prev;
    session_free(&p->session);
    conn_set_slot(p->conn, NULL);
    mem_free(&p);
}

void listener_free(struct listener **pl)
{
    struct listener *l = *pl;
    if (!l)
        return;
    while (l->peers)
        peer_free(l, l->peers);
    world_cancel(l->w, &l->timer);
    buf_free(&l->frame);
    mem_free(pl);
}

static struct listener_peer *find(const struct listener *l, uint64_t handle)
{
    struct listener_peer *p = l->peers;
    while (p && p->handle != handle)
        p = p->next;
    return p;
}

/* ---- Out */
static void say_last(struct listener *l, struct conn *c, uint64_t session, struct span message)
{
    session_last_word(session, message, &l->frame);
    conn_send(c, TO_PEER, buf_span(&l->frame));
}

static void say_reset(struct listener *l, struct conn *c, uint64_t session, const char *reason)
{
    struct buf message = {0};
    m_reset_encode(&(struct m_reset){.reason = span_str(reason)}, &message);
    say_last(l, c, session, buf_span(&message));
    buf_free(&message);
}

static void drop(struct listener *l, struct listener_peer *p, const char *why)
{
    uint64_t handle = p->handle;
    TRACE(l->w, l->broker->name, "session %llu of %s is dropped: %s", (unsigned long long)handle,
          conn_peer(p->conn), why);
    peer_free(l, p);
    l->calls->down(l->self, handle);
}

void listener_send(struct listener *l, uint64_t peer, struct span message)
{
    struct listener_peer *p = find(l, peer);
    if (p && session_push(p->session, message) < 0)
        p->drop_reason = "it does not take what it was sent";
}

static bool send_waiting(struct listener *l, struct listener_peer *p)
{
    int64_t now = world_boot_ms(l->w, l->broker);
    bool there = true;
    while (there && session_frame(p->session, now, &l->frame))
        there = conn_send(p->conn, TO_PEER, buf_span(&l->frame));
    if (there && session_idle_frame(p->session, now, &l->frame))
        there = conn_send(p->conn, TO_PEER, buf_span(&l->frame));
    return there;
}

void listener_close_peer(struct listener *l, uint64_t peer, struct span last)
{
    struct listener_peer *p = find(l, peer);
    if (!p)
        return;
    if (send_waiting(l, p))
        say_last(l, p->conn, session_id(p->session), last);
    peer_free(l, p);
}

bool listener_window_open(const struct listener *l, uint64_t peer)
{
    const struct listener_peer *p = find(l, peer);
    return p && session_window_open(p->session);
}

/* True: something was reported, so there may be more to do. */
static bool flush_peer(struct listener *l, struct listener_peer *p)
{
    if (!p->drop_reason && !send_waiting(l, p))
        p->drop_reason = "its connection is gone";
    if (p->drop_reason) {
        drop(l, p, p->drop_reason);
        return true;
    }
    l->calls->queued(l->self, p->handle, session_owed(p->session));
    bool open = session_window_open(p->session);
    if (p->full != !open) {
        p->full = !open;
        if (!open)
            world_met(l->w, FAULT_WINDOW_FULL);
        l->calls->window(l->self, p->handle, open);
        return true;
    }
    return false;
}

void listener_flush(struct listener *l)
{
    int64_t at = INT64_MAX;
    struct listener_peer *p = l->peers, *next;
    for (; p; p = next) {
        next = p->next;
        if (flush_peer(l, p)) {
            next = l->peers; /* anything may have changed: start again */
            at = INT64_MAX;
            continue;
        }
        int64_t expiry = session_heard(p->session) + LEASE_MS,
                deadline = session_deadline(p->session);
        at = deadline < at ? deadline : at;
        at = expiry < at ? expiry : at;
    }
    if (at == INT64_MAX)
        world_cancel(l->w, &l->timer);
    else
        world_at(l->w, &l->timer, world_true_time(l->w, l->broker, at), l->broker, on_timer, l);
}

static void on_timer(struct world *w, void *self)
{
    struct listener *l = self;
    int64_t now = world_boot_ms(w, l->broker);
    for (struct listener_peer *p = l->peers; p; p = p->next)
        if (now - session_heard(p->session) >= LEASE_MS)
            p->drop_reason = "it has been silent for its whole lease";
    l->calls->turn_end(l->self);
}

/* ---- In */
static void deliver(struct listener *l, uint64_t handle, struct span messages, size_t frame_bytes)
{
    struct listener_peer *p;
    uint64_t kind;
    size_t size;
    while (messages.n > 0 && (p = find(l, handle)) &&
           wire_peek(messages, &kind, &size, NULL) == 0) {
        if (kind == KIND_M_BYE) {
            drop(l, p, "it said goodbye");
        } else if (kind == KIND_M_HELLO) {
            say_reset(l, p->conn, session_id(p->session), "HELLO in an open session");
            drop(l, p, "HELLO in an open session");
        } else {
            l->calls->message(l->self, handle, span_of(messages.p, size));
        }
        messages.p += size;
        messages.n -= size;
    }
    if ((p = find(l, handle)))
        session_handled(p->session, frame_bytes, world_boot_ms(l->w, l->broker));
}

static void open_session(struct listener *l, struct conn *c, const struct h_frame *head,
                         struct span frame, struct span hello)
{
    struct listener_peer *p = mem_zalloc(1, sizeof *p);
    struct span messages;
    uint64_t handle = p->handle = ++l->handles;
    p->conn = c;
    p->session = session_new(head->session);
    p->next = l->peers;
    if (p->next)
        p->next->prev = p;
    l->peers = p;
    conn_set_slot(c, p);
    if (session_take(p->session, frame, world_boot_ms(l->w, l->broker), &messages, NULL) !=
        SESSION_MESSAGES) {
        peer_free(l, p);
        return;
    }
    l->calls->hello(l->self, handle, conn_peer(c), hello);
    messages.p += hello.n;
    messages.n -= hello.n;
    deliver(l, handle, messages, frame.n);
}

static void take_stray(struct listener *l, struct conn *c, struct span frame)
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
        open_session(l, c, &head, frame, span_of(rest.p, size));
    else if (!session_is_last_word(frame, &session, &kind, &word))
        say_reset(l, c, head.session, "unknown session");
}

static void take_from_peer(struct listener *l, struct listener_peer *p, struct span frame)
{
    struct span messages;
    struct error err = {0};
    uint64_t session, kind;
    struct conn *c = p->conn;
    if (session_is_last_word(frame, &session, &kind, &messages)) {
        if (session == session_id(p->session))
            drop(l, p, "it said goodbye");
        return;
    }
    switch (session_take(p->session, frame, world_boot_ms(l->w, l->broker), &messages, &err)) {
    case SESSION_MESSAGES:
        deliver(l, p->handle, messages, frame.n);
        break;
    case SESSION_NOTHING:
        break;
    case SESSION_GAP:
        say_reset(l, c, session_id(p->session), "a frame was lost");
        drop(l, p, "a frame was lost");
        break;
    case SESSION_FOREIGN:
        drop(l, p, "another session was opened on its connection");
        take_stray(l, c, frame);
        break;
    case SESSION_EXCESS:
    case SESSION_MALFORMED:
        say_reset(l, c, session_id(p->session), err.text);
        drop(l, p, err.text);
        break;
    }
}

static void on_frame(void *self, struct conn *c, struct span frame)
{
    struct listener *l = self;
    struct listener_peer *p = conn_slot(c);
    if (p)
        take_from_peer(l, p, frame);
    else
        take_stray(l, c, frame);
    l->calls->turn_end(l->self);
}
