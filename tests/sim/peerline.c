/* peerline.c - see peerline.h; the states are those of net/dialer.c. */
#include "tests/sim/peerline.h"

#include "common/mem.h"

enum { REST_MIN_MS = 500, REST_MAX_MS = 30000, GREETING_MS = HANDSHAKE_MS + 2000 };

enum state { DOWN, RESTING, GREETING, UP };

struct peerline {
    struct world *w;
    struct network *net;
    struct cable *cable;
    struct process *of;
    const struct peerline_calls *calls;
    void *self;
    enum state state;
    struct conn *conn;
    struct session *session;
    struct event timer;
    int64_t rest_ms, hello_at, ping_at, next_ping, renewed;
    struct buf frame, message;
};

static const struct net_calls net_calls;
static void on_timer(struct world *w, void *self);

struct peerline *peerline_new(struct world *w, struct network *n, struct cable *cable,
                              struct process *of, const struct peerline_calls *calls, void *self)
{
    struct peerline *l = mem_zalloc(1, sizeof *l);
    l->w = w;
    l->net = n;
    l->cable = cable;
    l->of = of;
    l->calls = calls;
    l->self = self;
    return l;
}

void peerline_free(struct peerline **pl)
{
    struct peerline *l = *pl;
    if (!l)
        return;
    peerline_down(l);
    buf_free(&l->frame);
    buf_free(&l->message);
    mem_free(pl);
}

bool peerline_is_up(const struct peerline *l)
{
    return l->state == UP;
}

struct network *peerline_network(const struct peerline *l)
{
    return l->net;
}

int64_t peerline_renewed(const struct peerline *l)
{
    return l->renewed;
}

static void set_timer(struct peerline *l, int64_t boot)
{
    world_at(l->w, &l->timer, world_true_time(l->w, l->of, boot), l->of, on_timer, l);
}

static void rest(struct peerline *l, int64_t ms)
{
    l->state = RESTING;
    set_timer(l, world_boot_ms(l->w, l->of) + ms);
}

static int64_t next_rest(struct peerline *l)
{
    int64_t ms = l->rest_ms / 2 + world_between(l->w, 0, l->rest_ms);
    l->rest_ms = l->rest_ms * 2 > REST_MAX_MS ? REST_MAX_MS : l->rest_ms * 2;
    /* the liveness phase need not wait for the longest rests */
    return l->w->chaos ? ms : ms % 2000;
}

void peerline_start(struct peerline *l)
{
    l->rest_ms = REST_MIN_MS;
    l->renewed = 0;
    rest(l, world_between(l->w, 0, 50));
}

void peerline_down(struct peerline *l)
{
    world_cancel(l->w, &l->timer);
    session_free(&l->session);
    conn_close(&l->conn);
    l->state = DOWN;
}

/* `keep`: the connection is good. */
static void end_session(struct peerline *l, bool keep, int64_t ms, const char *why)
{
    bool was_up = l->state == UP;
    TRACE(l->w, l->of->name, "session ends: %s", why);
    session_free(&l->session);
    if (!keep)
        conn_close(&l->conn);
    rest(l, ms >= 0 ? ms : next_rest(l));
    if (was_up && l->calls->down)
        l->calls->down(l->self);
}

/* ---- Out */
static void send_frames(struct peerline *l)
{
    int64_t now = world_boot_ms(l->w, l->of);
    while (session_frame(l->session, now, &l->frame))
        conn_send(l->conn, TO_BROKER, buf_span(&l->frame));
    if (session_idle_frame(l->session, now, &l->frame))
        conn_send(l->conn, TO_BROKER, buf_span(&l->frame));
}

void peerline_flush(struct peerline *l)
{
    if (l->state != UP)
        return;
    send_frames(l);
    int64_t at = session_deadline(l->session), silence = session_heard(l->session) + LEASE_MS;
    at = at < l->next_ping ? at : l->next_ping;
    set_timer(l, at < silence ? at : silence);
}

void peerline_send(struct peerline *l, struct span message)
{
    if (l->state == UP)
        session_push(l->session, message);
}

static void dial(struct peerline *l)
{
    struct m_hello hello = {
        .major = PROTO_MAJOR, .minor = PROTO_MINOR, .software = span_str("sim")};
    uint64_t id = rng_next(&l->w->rng) | 1;
    if (!l->conn)
        l->conn = network_connect(l->net, l->cable, l->of, &net_calls, l);
    if (!l->conn) {
        rest(l, next_rest(l));
        return;
    }
    if (l->calls->hello)
        l->calls->hello(l->self, &hello);
    buf_clear(&l->message);
    m_hello_encode(&hello, &l->message);
    l->session = session_new(id);
    session_push(l->session, buf_span(&l->message));
    l->hello_at = world_boot_ms(l->w, l->of);
    send_frames(l);
    l->state = GREETING;
    set_timer(l, l->hello_at + GREETING_MS);
}

static void ping(struct peerline *l, int64_t now)
{
    struct m_ping m = {.stamp = (uint64_t)now};
    buf_clear(&l->message);
    m_ping_encode(&m, &l->message);
    if (session_push(l->session, buf_span(&l->message)) == 0)
        l->ping_at = now;
    l->next_ping = now + HEARTBEAT_MS;
}

void peerline_renew(struct peerline *l)
{
    if (l->state == UP)
        ping(l, world_boot_ms(l->w, l->of));
}

static void on_timer(struct world *w, void *self)
{
    struct peerline *l = self;
    int64_t now = world_boot_ms(w, l->of);
    switch (l->state) {
    case DOWN:
        break;
    case RESTING:
        dial(l);
        break;
    case GREETING:
        end_session(l, false, -1, "it answers but does not accept the session");
        break;
    case UP:
        if (now - session_heard(l->session) >= LEASE_MS) {
            end_session(l, false, -1, "the broker has been silent for the whole lease");
            break;
        }
        if (now >= l->next_ping)
            ping(l, now);
        peerline_flush(l);
    }
}

/* ---- In */
static void take_welcome(struct peerline *l, struct span welcome)
{
    l->state = UP;
    l->rest_ms = REST_MIN_MS;
    l->renewed = l->hello_at;
    l->ping_at = l->hello_at;
    l->next_ping = l->hello_at + HEARTBEAT_MS;
    l->calls->up(l->self, welcome);
}

static void take_messages(struct peerline *l, struct span messages, size_t frame_bytes)
{
    const struct session *session = l->session;
    struct m_pong pong;
    uint64_t kind;
    size_t size;
    while (messages.n > 0 && l->session == session &&
           wire_peek(messages, &kind, &size, NULL) == 0) {
        struct span m = {messages.p, size};
        if (l->state == GREETING && kind == KIND_M_WELCOME) {
            take_welcome(l, m);
        } else if (l->state == GREETING || kind == KIND_M_WELCOME) {
            end_session(l, true, -1, "unexpected message from the broker");
            return;
        } else {
            if (kind == KIND_M_PONG && m_pong_decode(m, &pong, NULL) == 0 &&
                (int64_t)pong.stamp <= l->ping_at && (int64_t)pong.stamp > l->renewed)
                l->renewed = (int64_t)pong.stamp;
            l->calls->message(l->self, kind, m);
        }
        messages.p += size;
        messages.n -= size;
    }
    if (l->session == session)
        session_handled(l->session, frame_bytes, world_boot_ms(l->w, l->of));
    if (l->session == session && l->calls->turn_end)
        l->calls->turn_end(l->self);
    peerline_flush(l);
}

static void take_last_word(struct peerline *l, uint64_t kind, struct span message)
{
    struct m_refused refused;
    if (kind == KIND_M_REFUSED && m_refused_decode(message, &refused, NULL) == 0) {
        world_met(l->w, FAULT_REFUSED);
        TRACE(l->w, l->of->name, "is refused: " SPAN_FMT, SPAN_ARG(refused.text));
        int64_t ms = refused.retry_ms < REST_MAX_MS ? (int64_t)refused.retry_ms : REST_MAX_MS;
        end_session(l, false, ms + world_between(l->w, REST_MIN_MS / 2, REST_MIN_MS),
                    refusal_word(refused.code));
    } else if (kind == KIND_M_RESET) {
        end_session(l, true, -1, "reset by the broker");
    }
}

static void on_frame(void *self, struct conn *c, struct span frame)
{
    struct peerline *l = self;
    struct span messages;
    struct error err = {0};
    uint64_t session, kind;
    if (!l->session || c != l->conn)
        return;
    if (session_is_last_word(frame, &session, &kind, &messages)) {
        if (session == session_id(l->session))
            take_last_word(l, kind, messages);
        return;
    }
    switch (session_take(l->session, frame, world_boot_ms(l->w, l->of), &messages, &err)) {
    case SESSION_MESSAGES:
        take_messages(l, messages, frame.n);
        break;
    case SESSION_NOTHING:
        peerline_flush(l);
        break;
    case SESSION_FOREIGN:
        break;
    case SESSION_GAP:
        end_session(l, true, -1, "a frame was lost");
        break;
    case SESSION_EXCESS:
    case SESSION_MALFORMED:
        end_session(l, true, -1, err.text);
        break;
    }
}

static void on_lost(void *self, struct conn *c)
{
    struct peerline *l = self;
    if (c != l->conn)
        return;
    if (l->session)
        end_session(l, false, -1, "the connection was lost");
    else
        conn_close(&l->conn);
}

static const struct net_calls net_calls = {.frame = on_frame, .lost = on_lost};
