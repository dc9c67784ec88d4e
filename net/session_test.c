#include "common/testing.h"

#include <errno.h>

#include "net/session.h"

enum { ID = 4711 };

struct ends {
    struct session *a, *b;
    struct buf frame;
};

static int two_ends(void **state)
{
    struct ends *e = mem_zalloc(1, sizeof *e);
    e->a = session_new(ID);
    e->b = session_new(ID);
    *state = e;
    return 0;
}

static int no_ends(void **state)
{
    struct ends *e = *state;
    session_free(&e->a);
    session_free(&e->b);
    buf_free(&e->frame);
    mem_free(state);
    return 0;
}

static struct buf message_of(size_t n, uint64_t stamp)
{
    struct buf out = {0};
    if (n == 0) {
        m_ping_encode(&(struct m_ping){.stamp = stamp}, &out);
        return out;
    }
    uint8_t *bytes = mem_alloc(n);
    memset(bytes, 'x', n);
    struct m_revoked m = {.list = span_of(bytes, n)};
    m_revoked_encode(&m, &out);
    mem_free(&bytes);
    return out;
}

static int push(struct session *s, size_t n, uint64_t stamp)
{
    struct buf m = message_of(n, stamp);
    int rc = session_push(s, buf_span(&m));
    buf_free(&m);
    return rc;
}

static struct h_frame head_of(const struct buf *frame)
{
    struct h_frame head;
    assert_int_equal(session_peek(buf_span(frame), &head, NULL), 0);
    return head;
}

/* The stamps of the pings in a run of messages, added up; *ret_count: how many. */
static uint64_t stamps(struct span run, unsigned *ret_count)
{
    uint64_t sum = 0;
    *ret_count = 0;
    while (run.n > 0) {
        uint64_t kind;
        size_t size;
        struct m_ping ping;
        assert_int_equal(wire_peek(run, &kind, &size, NULL), 0);
        assert_int_equal(m_ping_decode(span_of(run.p, size), &ping, NULL), 0);
        sum += ping.stamp;
        ++*ret_count;
        run.p += size;
        run.n -= size;
    }
    return sum;
}

/* Without handling what it brings. */
static enum session_verdict only_take(struct session *s, const struct buf *frame, int64_t now)
{
    struct span messages;
    struct error err = {0};
    enum session_verdict v = session_take(s, buf_span(frame), now, &messages, &err);
    if (v == SESSION_MALFORMED || v == SESSION_EXCESS)
        assert_true(err.code < 0 && err.text[0]);
    return v;
}

static enum session_verdict take(struct session *s, const struct buf *frame, int64_t now)
{
    enum session_verdict v = only_take(s, frame, now);
    if (v == SESSION_MESSAGES)
        session_handled(s, frame->n, now);
    return v;
}

static void messages_arrive_in_order_and_once(void **state)
{
    struct ends *e = *state;
    for (uint64_t i = 1; i <= 5; i++) {
        struct span messages;
        unsigned n;
        assert_int_equal(push(e->a, 0, i), 0);
        assert_int_equal(session_frame(e->a, 0, &e->frame), 1);
        assert_int_equal(session_take(e->b, buf_span(&e->frame), 0, &messages, NULL),
                         SESSION_MESSAGES);
        assert_int_equal(stamps(messages, &n), i);
        assert_int_equal(n, 1);
        assert_int_equal(take(e->b, &e->frame, 0), SESSION_NOTHING); /* the same frame again */
    }
}

static void nothing_to_send_makes_no_frame(void **state)
{
    struct ends *e = *state;
    assert_int_equal(session_frame(e->a, 0, &e->frame), 0);
    /* it has not started: nothing to keep alive */
    assert_int_equal(session_idle_frame(e->a, 1000000, &e->frame), 0);
    assert_true(session_deadline(e->a) == INT64_MAX);
}

static void messages_of_a_turn_share_a_frame(void **state)
{
    struct ends *e = *state;
    struct span messages;
    unsigned n;
    for (uint64_t i = 1; i <= 100; i++)
        assert_int_equal(push(e->a, 0, i), 0);
    assert_int_equal(session_frame(e->a, 0, &e->frame), 1);
    assert_int_equal(session_take(e->b, buf_span(&e->frame), 0, &messages, NULL), SESSION_MESSAGES);
    assert_int_equal(stamps(messages, &n), 5050);
    assert_int_equal(n, 100);
    assert_int_equal(session_frame(e->a, 0, &e->frame), 0);
}

static void a_frame_is_packed_up_to_the_limit_and_no_further(void **state)
{
    struct ends *e = *state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(push(e->a, 20000, 0), 0);
    for (int frames = 0; frames < 4; frames++) {
        assert_int_equal(session_frame(e->a, 0, &e->frame), 1);
        assert_true(e->frame.n <= LIMIT_PACK);
        assert_true(frames == 3 || e->frame.n > 60000); /* 3 + 3 + 3 + 1 */
    }
    assert_int_equal(session_frame(e->a, 0, &e->frame), 0);
}

static void a_message_longer_than_a_pack_travels_alone(void **state)
{
    struct ends *e = *state;
    assert_int_equal(push(e->a, 0, 1), 0);
    assert_int_equal(push(e->a, 200000, 0), 0);
    assert_int_equal(push(e->a, 0, 2), 0);
    assert_int_equal(session_frame(e->a, 0, &e->frame), 1);
    assert_true(e->frame.n < 100);
    assert_int_equal(session_frame(e->a, 0, &e->frame), 1);
    assert_true(e->frame.n > 200000 && e->frame.n < 200100);
    assert_int_equal(session_frame(e->a, 0, &e->frame), 1);
    assert_true(e->frame.n < 100);
}

static void a_message_that_no_frame_can_hold_is_refused(void **state)
{
    struct ends *e = *state;
    assert_int_equal(push(e->a, LIMIT_FRAME - 8, 0), -EMSGSIZE);
    assert_int_equal(session_push(e->a, SPAN_NONE), -EMSGSIZE);
    assert_int_equal(push(e->a, LIMIT_FRAME - 64, 0), 0);
    assert_int_equal(session_frame(e->a, 0, &e->frame), 1); /* longer than the window, but alone */
    assert_true(e->frame.n <= LIMIT_FRAME);
    assert_int_equal(take(e->b, &e->frame, 0), SESSION_MESSAGES);
}

static void a_full_window_of_frames_waits_for_an_acknowledgement(void **state)
{
    struct ends *e = *state;
    struct buf ack = {0};
    for (int i = 0; i < LIMIT_WINDOW_FRAMES; i++) {
        assert_true(session_window_open(e->a));
        assert_int_equal(push(e->a, 0, 1), 0);
        assert_int_equal(session_frame(e->a, 0, &e->frame), 1);
        assert_int_equal(take(e->b, &e->frame, 0), SESSION_MESSAGES);
    }
    assert_false(session_window_open(e->a));
    assert_int_equal(push(e->a, 0, 2), 0);
    assert_int_equal(session_frame(e->a, 0, &e->frame), 0);
    assert_true(session_waiting(e->a) > 0);
    assert_int_equal(session_owed(e->a), LIMIT_WINDOW_FRAMES * e->frame.n + session_waiting(e->a) +
                                             sizeof(uint32_t)); /* and its size */

    assert_int_equal(session_idle_frame(e->b, 0, &ack), 1);
    assert_int_equal(head_of(&ack).ack, LIMIT_WINDOW_FRAMES);
    assert_int_equal(take(e->a, &ack, 1), SESSION_NOTHING);
    assert_int_equal(session_frame(e->a, 1, &e->frame), 1);
    assert_int_equal(take(e->b, &e->frame, 1), SESSION_MESSAGES);
    assert_true(session_window_open(e->a));
    assert_int_equal(session_waiting(e->a), 0);
    buf_free(&ack);
}

static void a_full_window_of_bytes_waits_for_an_acknowledgement(void **state)
{
    struct ends *e = *state;
    struct buf ack = {0};
    size_t sent = 0;
    for (int i = 0; i < 20; i++)
        assert_int_equal(push(e->a, 60000, 0), 0);
    while (session_frame(e->a, 0, &e->frame)) {
        sent += e->frame.n;
        assert_int_equal(take(e->b, &e->frame, 0), SESSION_MESSAGES);
    }
    assert_true(sent <= LIMIT_WINDOW && sent > LIMIT_WINDOW - 70000);
    assert_false(session_window_open(e->a));
    /* at once: a quarter of the window came */
    assert_int_equal(session_idle_frame(e->b, 0, &ack), 1);
    assert_int_equal(take(e->a, &ack, 0), SESSION_NOTHING);
    assert_int_equal(session_frame(e->a, 0, &e->frame), 1);
    buf_free(&ack);
}

static void an_old_acknowledgement_changes_nothing(void **state)
{
    struct ends *e = *state;
    struct buf old = {0}, new = {0};
    for (int i = 0; i < 2; i++) {
        push(e->a, 0, 1);
        session_frame(e->a, 0, &e->frame);
        take(e->b, &e->frame, 0);
        session_idle_frame(e->b, 100, i ? &new : &old);
    }
    assert_int_equal(take(e->a, &new, 100), SESSION_NOTHING);
    assert_int_equal(take(e->a, &old, 100), SESSION_NOTHING);
    for (int i = 0; i < LIMIT_WINDOW_FRAMES; i++) { /* the whole window is free */
        push(e->a, 0, 1);
        assert_int_equal(session_frame(e->a, 0, &e->frame), 1);
    }
    buf_free(&old);
    buf_free(&new);
}

static void an_acknowledgement_of_what_was_never_sent_is_malformed(void **state)
{
    struct ends *e = *state;
    push(e->a, 0, 1);
    session_frame(e->a, 0, &e->frame);
    h_frame_encode(&(struct h_frame){.session = ID, .number = 0, .ack = 2},
                   (buf_clear(&e->frame), &e->frame));
    assert_int_equal(take(e->a, &e->frame, 0), SESSION_MALFORMED);
}

static void the_queue_behind_the_window_is_bounded(void **state)
{
    struct ends *e = *state;
    size_t pushed = 0;
    int rc;
    while ((rc = push(e->a, 100000, 0)) == 0) {
        pushed++;
        assert_true(session_waiting(e->a) <= LIMIT_SESSION_QUEUE);
    }
    assert_int_equal(rc, -ENOBUFS);
    assert_int_equal(pushed, LIMIT_SESSION_QUEUE / 100008); /* 100000 and the message's own bytes */
    assert_int_equal(push(e->a, 0, 7), 0);                  /* a small one still fits */
    assert_int_equal(session_frame(e->a, 0, &e->frame), 1);
    assert_int_equal(push(e->a, 90000, 0), 0); /* room again */
}

static void the_queue_keeps_its_order_while_it_drains(void **state)
{
    struct ends *e = *state;
    uint64_t in = 0, out = 0;
    struct buf ack = {0};
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 40; i++)
            assert_int_equal(push(e->a, 0, ++in), 0);
        if (round % 3 != 2)
            continue; /* the frames of three rounds leave together */
        while (session_frame(e->a, round, &e->frame)) {
            struct span run;
            assert_int_equal(session_take(e->b, buf_span(&e->frame), round, &run, NULL),
                             SESSION_MESSAGES);
            while (run.n > 0) {
                uint64_t kind;
                size_t size;
                struct m_ping ping;
                assert_int_equal(wire_peek(run, &kind, &size, NULL), 0);
                assert_int_equal(m_ping_decode(span_of(run.p, size), &ping, NULL), 0);
                assert_int_equal(ping.stamp, ++out);
                run.p += size;
                run.n -= size;
            }
            session_handled(e->b, e->frame.n, round);
            if (session_idle_frame(e->b, round + 100, &ack))
                take(e->a, &ack, round);
        }
    }
    assert_int_equal(out, in);
    assert_int_equal(session_waiting(e->a), 0);
    buf_free(&ack);
}

static void a_lost_frame_is_a_gap_at_the_next_one(void **state)
{
    struct ends *e = *state;
    push(e->a, 0, 1);
    session_frame(e->a, 0, &e->frame); /* lost */
    push(e->a, 0, 2);
    session_frame(e->a, 0, &e->frame);
    assert_int_equal(take(e->b, &e->frame, 0), SESSION_GAP);
    assert_int_equal(take(e->b, &e->frame, 0), SESSION_GAP); /* and stays one */
}

static void the_heartbeat_reveals_a_lost_tail(void **state)
{
    struct ends *e = *state;
    push(e->a, 0, 1);
    session_frame(e->a, 0, &e->frame);
    take(e->b, &e->frame, 0);
    push(e->a, 0, 2);
    session_frame(e->a, 0, &e->frame); /* lost, and nothing follows */
    assert_int_equal(session_idle_frame(e->a, HEARTBEAT_MS - 1, &e->frame), 0);
    assert_int_equal(session_idle_frame(e->a, HEARTBEAT_MS, &e->frame), 1);
    assert_int_equal(head_of(&e->frame).number, 2);
    assert_int_equal(take(e->b, &e->frame, HEARTBEAT_MS), SESSION_GAP);
}

static void a_late_heartbeat_is_not_a_gap(void **state)
{
    struct ends *e = *state;
    struct buf heartbeat = {0};
    push(e->a, 0, 1);
    session_frame(e->a, 0, &e->frame);
    take(e->b, &e->frame, 0);
    session_idle_frame(e->a, HEARTBEAT_MS, &heartbeat);
    push(e->a, 0, 2);
    session_frame(e->a, HEARTBEAT_MS, &e->frame);
    assert_int_equal(take(e->b, &e->frame, HEARTBEAT_MS), SESSION_MESSAGES);
    assert_int_equal(take(e->b, &heartbeat, HEARTBEAT_MS), SESSION_NOTHING);
    buf_free(&heartbeat);
}

static void each_heartbeat_interval_of_silence_sends_a_heartbeat(void **state)
{
    struct ends *e = *state;
    push(e->a, 0, 1);
    session_frame(e->a, 1000, &e->frame);
    for (int64_t at = 1000 + HEARTBEAT_MS; at < 100000; at += HEARTBEAT_MS) {
        assert_true(session_deadline(e->a) == at);
        assert_int_equal(session_idle_frame(e->a, at - 1, &e->frame), 0);
        assert_int_equal(session_idle_frame(e->a, at, &e->frame), 1);
    }
}

static void a_frame_is_acknowledged_within_fifty_milliseconds(void **state)
{
    struct ends *e = *state;
    push(e->a, 0, 1);
    session_frame(e->a, 0, &e->frame);
    take(e->b, &e->frame, 500);
    assert_true(session_deadline(e->b) == 550);
    assert_int_equal(session_idle_frame(e->b, 549, &e->frame), 0);
    assert_int_equal(session_idle_frame(e->b, 550, &e->frame), 1);
    assert_int_equal(head_of(&e->frame).ack, 1);
    assert_int_equal(take(e->a, &e->frame, 550), SESSION_NOTHING);
    /* an acknowledgement is not acknowledged */
    assert_true(session_deadline(e->b) == 550 + HEARTBEAT_MS);
    assert_int_equal(session_idle_frame(e->a, 551, &e->frame), 0);
}

static void the_first_unacknowledged_frame_times_the_acknowledgement(void **state)
{
    struct ends *e = *state;
    for (int at = 500; at < 550; at += 10) { /* a steady trickle does not put it off */
        push(e->a, 0, 1);
        session_frame(e->a, at, &e->frame);
        take(e->b, &e->frame, at);
    }
    assert_true(session_deadline(e->b) == 550);
}

static void sixteen_frames_are_acknowledged_at_once(void **state)
{
    struct ends *e = *state;
    for (int i = 1; i <= 16; i++) {
        push(e->a, 0, 1);
        session_frame(e->a, 0, &e->frame);
        take(e->b, &e->frame, 10);
        assert_int_equal(session_idle_frame(e->b, 10, &e->frame), i == 16);
    }
}

static void a_frame_is_acknowledged_only_when_it_has_been_handled(void **state)
{
    struct ends *e = *state;
    size_t bytes[3];
    for (unsigned i = 0; i < 3; i++) {
        push(e->a, 0, 1);
        session_frame(e->a, 0, &e->frame);
        bytes[i] = e->frame.n;
        assert_int_equal(only_take(e->b, &e->frame, 10), SESSION_MESSAGES);
    }
    assert_true(session_deadline(e->b) == 10 + HEARTBEAT_MS); /* nothing to acknowledge */
    session_handled(e->b, bytes[0], 100);
    session_handled(e->b, bytes[1], 120);
    assert_true(session_deadline(e->b) == 150);
    assert_int_equal(session_idle_frame(e->b, 150, &e->frame), 1);
    assert_int_equal(head_of(&e->frame).ack, 2);
    session_handled(e->b, bytes[2], 200);
    assert_int_equal(session_idle_frame(e->b, 250, &e->frame), 1);
    assert_int_equal(head_of(&e->frame).ack, 3);
}

/* Frames of `size` bytes until the session refuses one; none is handled. */
static unsigned frames_until_excess(struct session *s, size_t size)
{
    struct buf frame = {0}, message = message_of(size, 1);
    enum session_verdict v;
    unsigned n = 0;
    do {
        buf_clear(&frame);
        h_frame_encode(&(struct h_frame){.session = ID, .number = n + 1}, &frame);
        buf_add(&frame, message.p, message.n);
        v = only_take(s, &frame, 0);
        n += v == SESSION_MESSAGES;
    } while (v == SESSION_MESSAGES);
    assert_int_equal(v, SESSION_EXCESS);
    buf_free(&frame);
    buf_free(&message);
    return n;
}

static void a_sender_beyond_its_window_is_found(void **state)
{
    struct ends *e = *state;
    unsigned n = frames_until_excess(e->a, 0);
    assert_true(n >= LIMIT_WINDOW_FRAMES && n < LIMIT_WINDOW_FRAMES + 10);
    n = frames_until_excess(e->b, 60000);
    assert_int_equal(n, LIMIT_WINDOW / 60050);
}

static void an_honest_sender_never_looks_as_if_it_were_beyond_its_window(void **state)
{
    struct ends *e = *state;
    size_t taken[LIMIT_WINDOW_FRAMES], n = 0, done = 0;
    struct buf ack = {0};
    for (unsigned i = 0; i < 2000; i++) { /* of all sizes, handled late and in part */
        assert_int_equal(push(e->a, i % 7 == 0 ? i * 37 % 60000 : i % 5 == 0 ? 300000 : 0, 1), 0);
        for (; session_frame(e->a, i, &e->frame); n++) {
            assert_int_equal(only_take(e->b, &e->frame, i), SESSION_MESSAGES);
            taken[n % LIMIT_WINDOW_FRAMES] = e->frame.n;
        }
        for (unsigned k = 0; done < n && (k < i % 3 || session_waiting(e->a) > 1 << 20); k++)
            session_handled(e->b, taken[done++ % LIMIT_WINDOW_FRAMES], i);
        if (session_idle_frame(e->b, i, &ack))
            assert_int_equal(only_take(e->a, &ack, i), SESSION_NOTHING);
    }
    assert_true(done > 500);
    buf_free(&ack);
}

static void an_answer_carries_the_acknowledgement(void **state)
{
    struct ends *e = *state;
    push(e->a, 0, 1);
    session_frame(e->a, 0, &e->frame);
    take(e->b, &e->frame, 0);
    push(e->b, 0, 2);
    session_frame(e->b, 10, &e->frame);
    assert_int_equal(head_of(&e->frame).ack, 1);
    assert_int_equal(session_idle_frame(e->b, 60, &e->frame), 0); /* nothing left to say */
}

static void a_frame_of_another_session_is_foreign(void **state)
{
    struct ends *e = *state;
    struct session *other = session_new(ID + 1);
    push(other, 0, 1);
    session_frame(other, 0, &e->frame);
    assert_int_equal(take(e->b, &e->frame, 0), SESSION_FOREIGN);
    assert_int_equal(head_of(&e->frame).session, ID + 1);
    assert_int_equal(session_heard(e->b), 0);
    session_free(&other);
}

static void any_frame_of_the_session_counts_as_heard(void **state)
{
    struct ends *e = *state;
    push(e->a, 0, 1);
    session_frame(e->a, 0, &e->frame);
    take(e->b, &e->frame, 5);
    assert_int_equal(session_heard(e->b), 5);
    take(e->b, &e->frame, 9); /* a duplicate too: its sender lives */
    assert_int_equal(session_heard(e->b), 9);
}

static void a_truncated_head_is_refused_and_leaves_no_trace(void **state)
{
    struct ends *e = *state;
    size_t head;
    uint64_t kind;
    push(e->a, 0, 1);
    session_frame(e->a, 0, &e->frame);
    assert_int_equal(wire_peek(buf_span(&e->frame), &kind, &head, NULL), 0);
    for (size_t n = 0; n < head; n++) {
        struct buf cut = buf_dup(span_of(e->frame.p, n));
        assert_int_equal(take(e->b, &cut, 7), SESSION_MALFORMED);
        assert_int_equal(session_heard(e->b), 0);
        buf_free(&cut);
    }
}

static void a_truncated_message_is_refused_and_leaves_no_trace(void **state)
{
    struct ends *e = *state;
    struct span messages = SPAN_NONE;
    struct error err;
    push(e->a, 300, 1);
    session_frame(e->a, 0, &e->frame);
    struct span cut = {e->frame.p, e->frame.n - 1};
    assert_int_equal(session_take(e->b, cut, 7, &messages, &err), SESSION_MALFORMED);
    assert_contains(err.text, "message 1 of a frame");
    assert_null(messages.p);
    assert_int_equal(session_heard(e->b), 0);
    assert_int_equal(take(e->b, &e->frame, 8), SESSION_MESSAGES); /* whole, it is still the first */
}

static void bytes_after_the_messages_are_malformed(void **state)
{
    struct ends *e = *state;
    push(e->a, 0, 1);
    session_frame(e->a, 0, &e->frame);
    buf_add(&e->frame, "\xc1", 1);
    assert_int_equal(take(e->b, &e->frame, 0), SESSION_MALFORMED);
}

static void a_head_among_the_messages_is_malformed(void **state)
{
    struct ends *e = *state;
    push(e->a, 0, 1);
    session_frame(e->a, 0, &e->frame);
    h_frame_encode(&(struct h_frame){.session = ID, .number = 2}, &e->frame);
    assert_int_equal(take(e->b, &e->frame, 0), SESSION_MALFORMED);
}

static void messages_need_a_number(void **state)
{
    struct ends *e = *state;
    h_frame_encode(&(struct h_frame){.session = ID, .number = 0}, &e->frame);
    m_ping_encode(&(struct m_ping){.stamp = 1}, &e->frame);
    assert_int_equal(take(e->b, &e->frame, 0), SESSION_MALFORMED);
}

static void a_message_without_a_head_is_malformed(void **state)
{
    struct ends *e = *state;
    struct h_frame head;
    struct error err;
    m_ping_encode(&(struct m_ping){.stamp = 1}, &e->frame);
    assert_int_equal(take(e->b, &e->frame, 0), SESSION_MALFORMED);
    assert_true(session_peek(buf_span(&e->frame), &head, &err) < 0);
}

static void a_frame_beyond_the_limit_is_malformed_before_it_is_read(void **state)
{
    struct ends *e = *state;
    struct buf big = {0};
    h_frame_encode(&(struct h_frame){.session = ID, .number = 1}, &big);
    memset(buf_grow(&big, LIMIT_FRAME), 0xc0, LIMIT_FRAME);
    big.n += LIMIT_FRAME;
    struct error err = {0};
    struct span messages;
    assert_int_equal(session_take(e->b, buf_span(&big), 0, &messages, &err), SESSION_MALFORMED);
    assert_int_equal(err.code, -EMSGSIZE);
    buf_free(&big);
}

static void messages_that_wait_for_their_turn_leave_the_window_open(void **state)
{
    struct ends *e = *state;
    unsigned frames = 0;
    while (session_window_open(e->a))
        assert_int_equal(push(e->a, 5000, 0), 0);
    assert_true(session_waiting(e->a) > LIMIT_WINDOW / 2);
    while (session_frame(e->a, 0, &e->frame))
        frames++;
    assert_int_equal(session_waiting(e->a), 0); /* the window was open, so all of it left */
    assert_true(frames >= 5);
}

static void an_open_window_keeps_its_word_for_many_small_frames(void **state)
{
    struct ends *e = *state;
    for (int i = 0; i < 60; i++) {
        push(e->a, 0, 1);
        session_frame(e->a, 0, &e->frame);
    }
    while (session_window_open(e->a))
        assert_int_equal(push(e->a, 40000, 0), 0);
    while (session_frame(e->a, 0, &e->frame))
        ;
    assert_int_equal(session_waiting(e->a), 0);
}

static void a_last_word_names_its_session_and_holds_one_message(void **state)
{
    struct ends *e = *state;
    struct buf reset = {0};
    uint64_t session = 0, kind = 0;
    struct span message;
    struct m_reset m;

    m_reset_encode(&(struct m_reset){.reason = span_str("who are you?")}, &reset);
    session_last_word(ID, buf_span(&reset), &e->frame);
    assert_true(session_is_last_word(buf_span(&e->frame), &session, &kind, &message));
    assert_int_equal(session, ID);
    assert_int_equal(kind, KIND_M_RESET);
    assert_int_equal(m_reset_decode(message, &m, NULL), 0);
    assert_true(span_eq_str(m.reason, "who are you?"));

    buf_add(&e->frame, reset.p, reset.n); /* two messages are not one */
    assert_false(session_is_last_word(buf_span(&e->frame), &session, &kind, &message));
    buf_free(&reset);
}

static void nothing_else_passes_for_a_last_word(void **state)
{
    struct ends *e = *state;
    struct buf ping = {0};
    uint64_t session, kind;
    struct span message;

    m_ping_encode(&(struct m_ping){.stamp = 1}, &ping);
    session_last_word(ID, buf_span(&ping), &e->frame);
    assert_false(session_is_last_word(buf_span(&e->frame), &session, &kind, &message));
    buf_clear(&e->frame); /* a heartbeat before the first message has number 0 too */
    h_frame_encode(&(struct h_frame){.session = ID}, &e->frame);
    assert_false(session_is_last_word(buf_span(&e->frame), &session, &kind, &message));
    buf_clear(&e->frame);
    h_frame_encode(&(struct h_frame){.session = ID, .number = 1}, &e->frame);
    m_bye_encode(&(struct m_bye){0}, &e->frame);
    assert_false(session_is_last_word(buf_span(&e->frame), &session, &kind, &message));
    assert_false(session_is_last_word(buf_span(&ping), &session, &kind, &message));
    assert_false(session_is_last_word(SPAN_NONE, &session, &kind, &message));
    buf_free(&ping);
}

#define with_two_ends(t) cmocka_unit_test_setup_teardown(t, two_ends, no_ends)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_two_ends(messages_arrive_in_order_and_once),
        with_two_ends(nothing_to_send_makes_no_frame),
        with_two_ends(messages_of_a_turn_share_a_frame),
        with_two_ends(a_frame_is_packed_up_to_the_limit_and_no_further),
        with_two_ends(a_message_longer_than_a_pack_travels_alone),
        with_two_ends(a_message_that_no_frame_can_hold_is_refused),
        with_two_ends(a_full_window_of_frames_waits_for_an_acknowledgement),
        with_two_ends(a_full_window_of_bytes_waits_for_an_acknowledgement),
        with_two_ends(an_old_acknowledgement_changes_nothing),
        with_two_ends(an_acknowledgement_of_what_was_never_sent_is_malformed),
        with_two_ends(the_queue_behind_the_window_is_bounded),
        with_two_ends(the_queue_keeps_its_order_while_it_drains),
        with_two_ends(messages_that_wait_for_their_turn_leave_the_window_open),
        with_two_ends(an_open_window_keeps_its_word_for_many_small_frames),
        with_two_ends(a_last_word_names_its_session_and_holds_one_message),
        with_two_ends(nothing_else_passes_for_a_last_word),
        with_two_ends(a_lost_frame_is_a_gap_at_the_next_one),
        with_two_ends(the_heartbeat_reveals_a_lost_tail),
        with_two_ends(a_late_heartbeat_is_not_a_gap),
        with_two_ends(each_heartbeat_interval_of_silence_sends_a_heartbeat),
        with_two_ends(a_frame_is_acknowledged_within_fifty_milliseconds),
        with_two_ends(the_first_unacknowledged_frame_times_the_acknowledgement),
        with_two_ends(sixteen_frames_are_acknowledged_at_once),
        with_two_ends(a_frame_is_acknowledged_only_when_it_has_been_handled),
        with_two_ends(a_sender_beyond_its_window_is_found),
        with_two_ends(an_honest_sender_never_looks_as_if_it_were_beyond_its_window),
        with_two_ends(an_answer_carries_the_acknowledgement),
        with_two_ends(a_frame_of_another_session_is_foreign),
        with_two_ends(any_frame_of_the_session_counts_as_heard),
        with_two_ends(a_truncated_head_is_refused_and_leaves_no_trace),
        with_two_ends(a_truncated_message_is_refused_and_leaves_no_trace),
        with_two_ends(bytes_after_the_messages_are_malformed),
        with_two_ends(a_head_among_the_messages_is_malformed),
        with_two_ends(messages_need_a_number),
        with_two_ends(a_message_without_a_head_is_malformed),
        with_two_ends(a_frame_beyond_the_limit_is_malformed_before_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
