/* session.c - see session.h. The queue is one run of bytes with the messages' sizes beside it, so
 * that packing a frame is one copy; what is in flight is a ring of frame sizes, because
 * acknowledgements come in order. */
#include "net/session.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/mem.h"

enum {
    HEAD_MAX = 2 + 3 * 9, /* array and kind, and three u64 at their longest */
    /* an answer usually comes sooner and carries the acknowledgement */
    ACK_DELAY_MS = 50,
    /* three quarters of the sender's window are left while the ack travels */
    ACK_FRAMES = LIMIT_WINDOW_FRAMES / 4,
    ACK_BYTES = LIMIT_WINDOW / 4,
    /* A peer may send its PINGs of a lease beyond the window, and count without the heads. */
    SLACK_FRAMES = LEASE_MS / HEARTBEAT_MS + 1,
    SLACK_BYTES = SLACK_FRAMES * 2 * HEAD_MAX,
    QUEUE_KEEP = 128 << 10 /* an empty queue keeps this much memory, for the next burst */
};

struct session {
    uint64_t id;
    /* out */
    struct buf queue;
    size_t queue_at; /* bytes of `queue` that have left */
    uint32_t *sizes; /* of the messages from queue_at on: sizes[sizes_at .. sizes_at + n_sizes) */
    size_t sizes_at, n_sizes, cap_sizes;
    uint64_t sent, acked; /* numbers of frames */
    /* bytes of the frames acked + 1 .. sent, by number modulo */
    uint32_t in_flight[LIMIT_WINDOW_FRAMES];
    size_t in_flight_bytes;
    /* the last frame of any kind, or the first one heard: silence counts from here */
    int64_t sent_at;
    /* in */
    uint64_t taken;   /* the last number received in order */
    uint64_t handled; /* the last whose messages have been handled: our ack */
    uint64_t told;    /* the ack of our last frame */
    /* bytes of the frames told + 1 .. taken, which the sender cannot know to be acknowledged, and
     * of those among them that are handled */
    size_t untold_bytes, handled_bytes;
    int64_t ack_due, heard;
    bool begun; /* a frame came or went: sent_at is meaningful */
};

struct session *session_new(uint64_t id)
{
    struct session *s = mem_zalloc(1, sizeof *s);
    s->id = id;
    s->ack_due = INT64_MAX;
    return s;
}

void session_free(struct session **s)
{
    if (!*s)
        return;
    buf_free(&(*s)->queue);
    mem_free(&(*s)->sizes);
    mem_free(s);
}

uint64_t session_id(const struct session *s)
{
    return s->id;
}

size_t session_waiting(const struct session *s)
{
    return s->queue.n - s->queue_at;
}

size_t session_owed(const struct session *s)
{
    return session_waiting(s) + s->n_sizes * sizeof *s->sizes + s->in_flight_bytes;
}

uint64_t session_acked(const struct session *s)
{
    return s->acked;
}

int64_t session_heard(const struct session *s)
{
    return s->heard;
}

/* ---- Out */

static unsigned frames_in_flight(const struct session *s)
{
    return (unsigned)(s->sent - s->acked);
}

static bool room_for(const struct session *s, size_t bytes)
{
    if (frames_in_flight(s) == 0)
        return true; /* a message longer than the window travels alone */
    return frames_in_flight(s) < LIMIT_WINDOW_FRAMES && s->in_flight_bytes + bytes <= LIMIT_WINDOW;
}

bool session_window_open(const struct session *s)
{
    size_t waiting = session_waiting(s);
    /* Two neighbouring packs are together longer than one full pack, so this many frames are
       enough. */
    size_t frames = waiting > 0 ? 2 * (waiting / LIMIT_PACK) + 2 : 1;
    if (frames_in_flight(s) == 0 && waiting == 0)
        return true;
    return frames_in_flight(s) + frames <= LIMIT_WINDOW_FRAMES &&
           s->in_flight_bytes + waiting + frames * HEAD_MAX + LIMIT_PACK <= LIMIT_WINDOW;
}

int session_push(struct session *s, struct span message)
{
    if (message.n == 0 || message.n > LIMIT_FRAME - HEAD_MAX)
        return -EMSGSIZE;
    if (session_waiting(s) + message.n > LIMIT_SESSION_QUEUE)
        return -ENOBUFS;
    if (s->queue_at > 0 && s->queue_at >= s->queue.n / 2) {
        /* each byte moves at most once for each that left */
        memmove(s->queue.p, s->queue.p + s->queue_at, s->queue.n - s->queue_at);
        s->queue.n -= s->queue_at;
        s->queue_at = 0;
    }
    buf_add(&s->queue, message.p, message.n);
    if (s->sizes_at + s->n_sizes == s->cap_sizes) {
        if (s->sizes_at > s->cap_sizes / 2) {
            memmove(s->sizes, s->sizes + s->sizes_at, s->n_sizes * sizeof *s->sizes);
            s->sizes_at = 0;
        } else {
            s->cap_sizes = s->cap_sizes ? s->cap_sizes * 2 : 16;
            s->sizes = mem_realloc(s->sizes, s->cap_sizes, sizeof *s->sizes);
        }
    }
    s->sizes[s->sizes_at + s->n_sizes++] = (uint32_t)message.n;
    return 0;
}

static void write_head(struct session *s, int64_t now, struct buf *frame)
{
    struct h_frame head = {.session = s->id, .number = s->sent, .ack = s->handled};
    buf_clear(frame);
    h_frame_encode(&head, frame);
    s->begun = true;
    s->sent_at = now;
    s->told = s->handled;
    s->untold_bytes -= s->handled_bytes;
    s->handled_bytes = 0;
    s->ack_due = INT64_MAX;
}

/* How many of the waiting messages the next frame takes, and their bytes. */
static size_t next_pack(const struct session *s, size_t *ret_bytes)
{
    size_t n = 1, bytes = s->sizes[s->sizes_at];
    while (n < s->n_sizes && HEAD_MAX + bytes + s->sizes[s->sizes_at + n] <= LIMIT_PACK)
        bytes += s->sizes[s->sizes_at + n++];
    *ret_bytes = bytes;
    return n;
}

int session_frame(struct session *s, int64_t now, struct buf *frame)
{
    if (s->n_sizes == 0)
        return 0;
    size_t bytes, n = next_pack(s, &bytes);
    if (!room_for(s, HEAD_MAX + bytes))
        return 0;
    s->sent++;
    write_head(s, now, frame);
    buf_add(frame, s->queue.p + s->queue_at, bytes);
    s->queue_at += bytes;
    s->sizes_at += n;
    s->n_sizes -= n;
    if (s->n_sizes == 0) {
        s->sizes_at = 0;
        s->queue_at = 0;
        buf_clear(&s->queue);
        if (s->queue.cap > QUEUE_KEEP)
            buf_free(&s->queue);
    }
    s->in_flight[s->sent % LIMIT_WINDOW_FRAMES] = (uint32_t)frame->n;
    s->in_flight_bytes += frame->n;
    return 1;
}

int64_t session_deadline(const struct session *s)
{
    if (!s->begun)
        return INT64_MAX;
    int64_t heartbeat = s->sent_at + HEARTBEAT_MS;
    return s->ack_due < heartbeat ? s->ack_due : heartbeat;
}

int session_idle_frame(struct session *s, int64_t now, struct buf *frame)
{
    if (now < session_deadline(s))
        return 0;
    write_head(s, now, frame);
    return 1;
}

/* ---- In */

/* Decodes the head and says how long it is. */
static int read_head(struct span frame, struct h_frame *ret, size_t *ret_size, struct error *err)
{
    uint64_t kind;

    if (frame.n > LIMIT_FRAME)
        return error_set(err, -EMSGSIZE, "a frame has %zu bytes; the limit is %d", frame.n,
                         LIMIT_FRAME);
    if (wire_peek(frame, &kind, ret_size, err) < 0)
        return error_prefix(err, "head of a frame");
    if (kind != KIND_H_FRAME)
        return error_set(err, -EPROTO, "a frame begins with kind %llu, not with its head",
                         (unsigned long long)kind);
    return h_frame_decode(span_of(frame.p, *ret_size), ret, err);
}

int session_peek(struct span frame, struct h_frame *ret, struct error *err)
{
    size_t size;
    return read_head(frame, ret, &size, err);
}

/* Is `run` messages one after the other and nothing else? */
static int check_messages(struct span run, struct error *err)
{
    for (unsigned i = 1; run.n > 0; i++) {
        uint64_t kind;
        size_t size;
        if (wire_peek(run, &kind, &size, err) < 0)
            return error_prefix(err, "message %u of a frame", i);
        if (kind == KIND_H_FRAME)
            return error_set(err, -EPROTO, "message %u of a frame is another frame head", i);
        run.p += size;
        run.n -= size;
    }
    return 0;
}

static void take_ack(struct session *s, uint64_t ack)
{
    while (s->acked < ack)
        s->in_flight_bytes -= s->in_flight[++s->acked % LIMIT_WINDOW_FRAMES];
}

/* Would an honest sender that knows of our last acknowledgement have sent this frame, too? */
static bool within_window(const struct session *s, size_t bytes, struct error *err)
{
    if (s->taken == s->told)
        return true; /* nothing else is in flight */
    if (s->taken - s->told >= LIMIT_WINDOW_FRAMES + SLACK_FRAMES) {
        error_set(err, -EPROTO, "more than %d frames are unacknowledged", LIMIT_WINDOW_FRAMES);
        return false;
    }
    if (s->untold_bytes + bytes > LIMIT_WINDOW + SLACK_BYTES) {
        error_set(err, -EPROTO, "more than %d bytes are unacknowledged", LIMIT_WINDOW);
        return false;
    }
    return true;
}

static enum session_verdict take(struct session *s, struct span frame, bool check, int64_t now,
                                 struct span *ret_messages, struct error *err)
{
    struct h_frame head = {0};
    size_t size = 0;

    if (read_head(frame, &head, &size, err) < 0)
        return SESSION_MALFORMED;
    if (head.session != s->id)
        return SESSION_FOREIGN;
    struct span messages = {frame.p + size, frame.n - size};
    if (head.ack > s->sent) {
        error_set(err, -EPROTO, "a frame acknowledges number %llu, but the last sent was %llu",
                  (unsigned long long)head.ack, (unsigned long long)s->sent);
        return SESSION_MALFORMED;
    }
    if (messages.n > 0 && head.number == 0) {
        error_set(err, -EPROTO, "a frame with messages has number 0; numbers begin at 1");
        return SESSION_MALFORMED;
    }
    if (check && check_messages(messages, err) < 0)
        return SESSION_MALFORMED;
    if (!s->begun) {
        s->begun = true;
        s->sent_at = now;
    }
    s->heard = now;
    take_ack(s, head.ack);
    if (head.number > s->taken + (messages.n > 0))
        return SESSION_GAP;
    if (messages.n == 0 || head.number <= s->taken)
        return SESSION_NOTHING;
    if (!within_window(s, frame.n, err))
        return SESSION_EXCESS;
    s->taken = head.number;
    s->untold_bytes += frame.n;
    *ret_messages = messages;
    return SESSION_MESSAGES;
}

enum session_verdict session_take(struct session *s, struct span frame, int64_t now,
                                  struct span *ret_messages, struct error *err)
{
    return take(s, frame, true, now, ret_messages, err);
}

enum session_verdict session_admit(struct session *s, struct span frame, int64_t now,
                                   struct span *ret_messages, struct error *err)
{
    return take(s, frame, false, now, ret_messages, err);
}

void session_handled(struct session *s, size_t bytes, int64_t now)
{
    assert(s->handled < s->taken && s->handled_bytes + bytes <= s->untold_bytes);
    s->handled++;
    s->handled_bytes += bytes;
    if (s->handled - s->told >= ACK_FRAMES || s->handled_bytes >= ACK_BYTES)
        s->ack_due = now;
    else if (s->ack_due == INT64_MAX)
        s->ack_due = now + ACK_DELAY_MS;
}

/* ---- Last words */

void session_last_word(uint64_t id, struct span message, struct buf *frame)
{
    struct h_frame head = {.session = id};
    buf_clear(frame);
    h_frame_encode(&head, frame);
    buf_add(frame, message.p, message.n);
}

bool session_is_last_word(struct span frame, uint64_t *ret_session, uint64_t *ret_kind,
                          struct span *ret_message)
{
    struct h_frame head = {0};
    uint64_t kind;
    size_t size = 0, message;

    if (read_head(frame, &head, &size, NULL) < 0 || head.number != 0 || size == frame.n)
        return false;
    struct span rest = {frame.p + size, frame.n - size};
    if (wire_peek(rest, &kind, &message, NULL) < 0 || message != rest.n)
        return false;
    if (kind != KIND_M_RESET && kind != KIND_M_REFUSED && kind != KIND_M_BYE)
        return false;
    *ret_session = head.session;
    *ret_kind = kind;
    *ret_message = rest;
    return true;
}
