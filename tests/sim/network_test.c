/* network_test.c - the network really drops, doubles, reorders, breaks and cuts off; the disk
 * really loses what was not committed, and only whole turns. */
#include "common/testing.h"
#include "tests/sim/disk.h"
#include "tests/sim/network.h"

enum { FRAMES = 2000 };

struct network_rig {
    struct world w;
    struct network *net;
    struct clock_sim clock;
    struct process broker, peer;
    struct cable cable;
    struct conn *conn;
    unsigned got[FRAMES], order_breaks, last, total, lost;
};

static void at_broker(void *self, struct conn *c, struct span frame)
{
    struct network_rig *r = self;
    unsigned i;
    (void)c;
    assert_int_equal(frame.n, sizeof i);
    memcpy(&i, frame.p, sizeof i);
    r->got[i]++;
    r->total++;
    r->order_breaks += i < r->last;
    r->last = i;
}

static void at_peer(void *self, struct conn *c, struct span frame)
{
    (void)self, (void)c, (void)frame;
}

static void lost(void *self, struct conn *c)
{
    (void)c;
    ((struct network_rig *)self)->lost++;
}

static const struct net_calls broker_calls = {.frame = at_broker},
                              peer_calls = {.frame = at_peer, .lost = lost};

static struct network_rig *rig_new(const struct network_mood *mood)
{
    struct network_rig *r = mem_zalloc(1, sizeof *r);
    world_init(&r->w, 42, NULL);
    r->net = network_new(&r->w, mood);
    process_init(&r->broker, "broker", &r->clock);
    process_init(&r->peer, "wh1", &r->clock);
    r->broker.up = r->peer.up = true;
    r->cable.name = "wh1";
    network_listen(r->net, &r->broker, &broker_calls, r);
    r->conn = network_connect(r->net, &r->cable, &r->peer, &peer_calls, r);
    return r;
}

static void rig_free(struct network_rig *r)
{
    conn_close(&r->conn);
    network_free(&r->net);
    world_end(&r->w);
    mem_free(&r);
}

static void send(struct network_rig *r, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        conn_send(r->conn, TO_BROKER, span_of(&i, sizeof i));
        r->w.now += 10;
    }
}

static void run(struct network_rig *r)
{
    while (world_step(&r->w))
        ;
}

static unsigned count(const struct network_rig *r, unsigned times)
{
    unsigned n = 0;
    for (unsigned i = 0; i < FRAMES; i++)
        n += r->got[i] == times;
    return n;
}

static void a_calm_network_delivers_each_frame_once_and_in_order(void **state)
{
    struct network_rig *r = rig_new(&(struct network_mood){.latency = 500});
    (void)state;
    send(r, 0, FRAMES);
    assert_int_equal(r->total, 0); /* it takes time */
    run(r);
    assert_int_equal(count(r, 1), FRAMES);
    assert_int_equal(r->order_breaks, 0);
    rig_free(r);
}

static void chaos_drops_frames(void **state)
{
    struct network_rig *r = rig_new(&(struct network_mood){.latency = 500, .drop = 50000});
    (void)state;
    send(r, 0, FRAMES);
    run(r);
    assert_in_range(count(r, 0), 50, 150);
    assert_int_equal(r->w.counts.faults[FAULT_DROP], count(r, 0));
    rig_free(r);
}

static void chaos_doubles_frames(void **state)
{
    struct network_rig *r = rig_new(&(struct network_mood){.latency = 500, .duplicate = 50000});
    (void)state;
    send(r, 0, FRAMES);
    run(r);
    assert_in_range(count(r, 2), 50, 150);
    assert_int_equal(count(r, 0), 0);
    rig_free(r);
}

static void chaos_lets_frames_overtake_each_other(void **state)
{
    struct network_rig *r = rig_new(&(struct network_mood){.latency = 500, .reorder = 50000});
    (void)state;
    send(r, 0, FRAMES);
    run(r);
    assert_true(r->order_breaks > 30);
    assert_int_equal(count(r, 1), FRAMES);
    rig_free(r);
}

static void a_broken_connection_loses_only_its_last_frames(void **state)
{
    unsigned tails = 0;
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct network_rig *r = rig_new(&(struct network_mood){.latency = 40000});
        rng_seed(&r->w.rng, round);
        send(r, 0, FRAMES);
        assert_true(network_break_some(r->net));
        assert_false(conn_send(r->conn, TO_BROKER, span_str("late")));
        run(r);
        assert_int_equal(r->lost, 1);
        assert_int_equal(r->order_breaks, 0);
        for (unsigned i = 0; i < r->total; i++)
            assert_int_equal(r->got[i], 1);
        tails += r->total < FRAMES;
        rig_free(r);
    }
    assert_true(tails > 5);
}

static void a_partition_holds_frames_back_in_its_direction_only(void **state)
{
    struct network_rig *r = rig_new(&(struct network_mood){.latency = 500});
    (void)state;
    network_cut(r->net, &r->cable, false, true);
    send(r, 0, 10);
    run(r);
    assert_int_equal(r->total, 10);
    network_cut(r->net, &r->cable, true, false);
    send(r, 10, 20);
    run(r);
    assert_int_equal(r->total, 10);
    assert_null(network_connect(r->net, &r->cable, &r->peer, &peer_calls, r));
    network_mend(r->net, &r->cable);
    run(r);
    assert_true(r->total == 20 || r->lost == 1); /* they move on, or the connection breaks */
    assert_int_equal(r->order_breaks, 0);
    rig_free(r);
}

static void a_dead_broker_hears_nothing_and_its_peers_find_out(void **state)
{
    struct network_rig *r = rig_new(&(struct network_mood){.latency = 500});
    (void)state;
    send(r, 0, 10);
    r->broker.up = false;
    network_broker_down(r->net);
    assert_null(network_connect(r->net, &r->cable, &r->peer, &peer_calls, r));
    r->broker.up = true; /* the next process: what was sent to the last one does not reach it */
    run(r);
    assert_int_equal(r->total, 0);
    assert_int_equal(r->lost, 1);
    rig_free(r);
}

/* ---- The journal */
struct notes {
    uint64_t durable, committed, told;
    bool full;
};

static void durable(void *self, const struct journal_record *r)
{
    ((struct notes *)self)->durable = r->lsn;
}
static void committed(void *self, uint64_t lsn)
{
    ((struct notes *)self)->committed = lsn;
}
static void full(void *self, bool is)
{
    ((struct notes *)self)->full = is;
}
static const struct journal_calls journal_calls = {
    .durable = durable, .committed = committed, .full = full};

static void append(struct journal *j, uint64_t lsn)
{
    struct buf b = {0};
    r_epoch_encode(&(struct r_epoch){.epoch = lsn}, &b);
    journal_append(j, lsn, buf_span(&b));
    buf_free(&b);
}

static void a_crash_during_a_commit_leaves_only_whole_turns(void **state)
{
    unsigned none = 0, some = 0, all = 0;
    (void)state;
    for (unsigned round = 0; round < 200; round++) {
        struct network_rig *r = rig_new(&(struct network_mood){0});
        struct notes n = {0};
        struct journal *j = journal_new(&r->w, &r->broker, &journal_calls, &n);
        rng_seed(&r->w.rng, round);
        append(j, 1);
        journal_turn_end(j);
        run(r);
        assert_int_equal(n.committed, 1);
        append(j, 2); /* this turn starts a commit; the next turns wait for the next one */
        append(j, 3);
        append(j, 4);
        journal_turn_end(j);
        append(j, 5);
        journal_turn_end(j);
        assert_true(journal_crash(j));
        uint64_t is = journal_durable(j);
        assert_true(is == 1 || is == 4);
        assert_int_equal(is, n.durable);
        none += is == 1;
        some += is == 4;
        run(r);
        assert_int_equal(n.committed, 1); /* no one hears of it */
        append(j, is + 1);                /* the next process continues where the disk ends */
        journal_turn_end(j);
        run(r);
        all += journal_durable(j) == is + 1;
        journal_free(&j);
        rig_free(r);
    }
    assert_true(none > 10 && some > 10 && all == 200);
}

static void a_full_disk_makes_nothing_durable_until_there_is_room(void **state)
{
    struct network_rig *r = rig_new(&(struct network_mood){0});
    struct notes n = {0};
    struct journal *j = journal_new(&r->w, &r->broker, &journal_calls, &n);
    (void)state;
    append(j, 1);
    journal_turn_end(j);
    journal_set_full(j, true);
    run(r);
    assert_true(n.full);
    assert_int_equal(journal_durable(j), 0);
    journal_set_full(j, false);
    run(r);
    assert_false(n.full);
    assert_int_equal(n.committed, 1);
    journal_free(&j);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_calm_network_delivers_each_frame_once_and_in_order),
        cmocka_unit_test(chaos_drops_frames),
        cmocka_unit_test(chaos_doubles_frames),
        cmocka_unit_test(chaos_lets_frames_overtake_each_other),
        cmocka_unit_test(a_broken_connection_loses_only_its_last_frames),
        cmocka_unit_test(a_partition_holds_frames_back_in_its_direction_only),
        cmocka_unit_test(a_dead_broker_hears_nothing_and_its_peers_find_out),
        cmocka_unit_test(a_crash_during_a_commit_leaves_only_whole_turns),
        cmocka_unit_test(a_full_disk_makes_nothing_durable_until_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
