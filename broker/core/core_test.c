/* The core as a whole: who is admitted, malformed messages, replay; and random storms that end in
 * the same state. */
#include "broker/core/testing.h"

static void another_major_version_is_refused(void **state)
{
    struct core_world *w = *state;
    struct m_refused r;
    uint64_t p = world_up(w, "anna", "caller", NULL, (struct m_hello){.major = PROTO_MAJOR + 1});
    SENT(w, p, REFUSED, refused, &r);
    assert_int_equal(r.code, REFUSAL_VERSION);
    SAY(w, p, "anna", ping, .stamp = 1); /* with no session open */
    struct m_reset reset;
    SENT(w, p, RESET, reset, &reset);
}

static void a_malformed_hello_is_refused(void **state)
{
    struct core_world *w = *state;
    struct bcore_peer who = {.name = "anna", .role = "caller"};
    struct m_refused r;
    world_step(w, (struct bcore_event){
                      .kind = BCORE_PEER_UP, .peer = 9, .who = &who, .message = span_str("x")});
    SENT(w, 9, REFUSED, refused, &r);
    assert_int_equal(r.code, REFUSAL_MALFORMED);
}

/* Every message that a client may send, cut short, lengthened, and with the fields of another
 * kind. */
static void malformed_messages_of_every_kind_close_the_session(void **state)
{
    struct core_world *w = *state;
    const struct wire_schema *s;
    for (unsigned i = 0; (s = messages_schema_at(i)); i++) {
        struct buf good = {0};
        enum sender from = 0;
        struct m_refused r;
        if (s->kind == 0 || s->kind >= 100 || !messages_schema_of_kind(s->kind, &from) ||
            from == SENDER_B)
            continue;
        void *zero = mem_zalloc(1, s->size);
        wire_encode(s, zero, &good);
        mem_free(&zero);
        for (unsigned how = 0; how < 3; how++) {
            struct buf bad = buf_dup(buf_span(&good));
            if (how == 0)
                bad.n--;
            else if (how == 1)
                buf_add_str(&bad, "\x01");
            else if (bad.n > 2)
                bad.p[2] = 0xc1; /* not msgpack */
            uint64_t p = world_worker_up(w, "wh1", 1);
            world_log_clear(w);
            world_say_bytes(w, p, "wh1", buf_span(&bad));
            const struct world_logged *l = SENT(w, p, REFUSED, refused, &r);
            assert_int_equal(l->effect.kind, BCORE_FX_CLOSE);
            assert_true(r.code == REFUSAL_MALFORMED || r.code == REFUSAL_WRONG_ROLE);
            assert_true(r.text.n > 0);
            buf_free(&bad);
        }
        buf_free(&good);
    }
}

static void an_unreadable_record_is_refused_with_its_lsn(void **state)
{
    struct core_world *w = *state;
    struct bcore *c = bcore_new(&w->config);
    struct error err = {0};
    struct buf b = {0};
    assert_true(bcore_replay(c, 17, span_str("nonsense"), &err) < 0);
    assert_contains(err.text, "record 17");
    r_ended_encode(&(struct r_ended){.run = world_id(1)}, &b);
    assert_true(bcore_replay(c, 18, buf_span(&b), &err) < 0);
    assert_contains(err.text, "is not live");
    buf_clear(&b);
    m_ping_encode(&(struct m_ping){.stamp = 1}, &b);
    assert_true(bcore_replay(c, 19, buf_span(&b), &err) < 0);
    assert_contains(err.text, "unknown record kind");
    buf_free(&b);
    bcore_free(&c);
}

static void records_that_contradict_the_state_are_refused(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id run = world_call(w, anna, "k");
    struct buf b = {0};
#define BAD(low, part, ...) \
    do { \
        struct bcore *c = world_replayed(w); \
        struct error err = {0}; \
        buf_clear(&b); \
        r_##low##_encode(&(struct r_##low){__VA_ARGS__}, &b); \
        assert_true(bcore_replay(c, w->lsn + 1, buf_span(&b), &err) < 0); \
        assert_contains(err.text, part); \
        bcore_free(&c); \
    } while (0)
    BAD(assigned, "attempt 2", .run = run, .attempt = 2, .server = span_str("x"));
    BAD(started, "is not live", .run = run, .attempt = 1);
    BAD(returned, "is not live", .run = run, .attempt = 1);
    BAD(lost, "is not live", .run = run, .attempt = 1);
    BAD(ended, "is not live", .run = run, .attempt = 1);
    BAD(released, "is not live", .run = run);
    BAD(cancelled, "is not live", .run = world_id(1));
    BAD(parent_driven, "is not live", .run = run);
    BAD(parent_ended, "is not live", .run = run);
    BAD(operated, "unknown", .verb = span_str("reboot"));
    BAD(called, "", .run = world_id(2), .call = span_str("x"));
    BAD(enrolled, "", .certificate = span_str("x"));
    BAD(deployed, "", .deployment = span_str("x"));
    BAD(revoked, "", .list = span_str("x"));
    buf_free(&b);
}

static void new_records_follow_the_last_in_the_store(void **state)
{
    struct core_world *w = *state;
    /* three records that no replay needs */
    struct bcore_event ev = {.now = w->now, .wall = w->wall, .lsn = w->lsn + 3};
    struct bcore *c = world_replayed(w);
    bcore_begin(c, &ev, &w->out);
    assert_int_equal(w->out.records[0].lsn, w->lsn + 4);
    bcore_free(&c);
}

static void each_start_has_an_epoch_of_its_own(void **state)
{
    struct core_world *w = *state;
    struct view_counts c;
    for (unsigned i = 1; i < 4; i++) {
        view_counts(w->core, &c);
        assert_int_equal(c.epoch, i);
        world_restart(w);
    }
}

static void counts_and_walks_see_every_run(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id runs[3], after = ID_ZERO, before = ID_ZERO;
    struct view_counts c;
    struct view_run v;
    world_worker_up(w, "wh1", 1);
    for (unsigned i = 0; i < 3; i++)
        runs[i] = world_call(w, anna, (const char *[]){"a", "b", "c"}[i]);
    view_counts(w->core, &c);
    assert_int_equal(c.runs[RUN_HANDED_OVER], 2);
    assert_int_equal(c.runs[RUN_WAITING], 1);
    assert_int_equal(c.runs[RUN_HELD], 0);
    assert_int_equal(c.servers_up, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(view_run_after(w->core, &after, &v));
        assert_true(id_eq(v.id, runs[i]));
        after = v.id;
    }
    assert_false(view_run_after(w->core, &after, &v));
    for (unsigned i = 3; i-- > 0; before = v.id) {
        assert_true(view_run_before(w->core, &before, &v));
        assert_true(id_eq(v.id, runs[i]));
    }
    assert_false(view_run_before(w->core, &before, &v));
    SAY(w, anna, "anna", cancel, .req = 1, .run = runs[2]);
    world_pass(w, 10);
    struct id last = world_call(w, anna, "d");
    assert_true(view_run_after(w->core, &runs[2], &v)); /* the position of an ended run */
    assert_true(id_eq(v.id, last));
    assert_true(view_run_before(w->core, &runs[2], &v));
    assert_true(id_eq(v.id, runs[1]));
}

/* The place of each run that has ended, among many that live. */
static void a_walk_goes_on_behind_every_run_that_is_gone(void **state)
{
    enum { RUNS = 120 };
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id runs[RUNS];
    struct view_run v;
    char key[16];
    for (unsigned i = 0; i < RUNS; i++) {
        snprintf(key, sizeof key, "key-%u", i);
        runs[i] = world_call(w, anna, key);
        world_pass(w, 10);
    }
    for (unsigned i = 0; i < RUNS; i++) /* every third lives */
        if (i % 3)
            SAY(w, anna, "anna", cancel, .req = 200 + i, .run = runs[i]);
    world_pass(w, 10);
    for (unsigned i = 0; i < RUNS; i++) {
        unsigned next = i / 3 * 3 + 3, last = i % 3 ? i / 3 * 3 : i - 3;
        assert_int_equal(view_run(w->core, &runs[i], &v), i % 3 == 0);
        assert_int_equal(view_run_after(w->core, &runs[i], &v), next < RUNS);
        assert_true(next >= RUNS || id_eq(v.id, runs[next]));
        assert_int_equal(view_run_before(w->core, &runs[i], &v), i > 0);
        assert_true(i == 0 || id_eq(v.id, runs[last]));
    }
}

/* ---- A storm: three workers, two callers, everything at random; the laws are checked after every
   step, a replay now and then. */
enum { STORM_WORKERS = 3, STORM_STEPS = 4000 };
struct storm_worker {
    const char *name;
    uint8_t spool;
    uint64_t peer; /* 0: down */
    struct {
        struct id run;
        uint64_t attempt;
        bool started;
    } has[256];
    unsigned n;
};
struct storm {
    struct core_world *w;
    uint64_t seed, anna, keys;
    struct id parents[2];
    struct storm_worker workers[STORM_WORKERS];
    unsigned ended; /* RUN_ENDED received */
};

static unsigned chance(struct storm *s, unsigned n)
{
    s->seed = s->seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(s->seed >> 33) % n;
}

/* The effects that leave: EXECUTE reaches a worker that is up, unless it is lost on the way. */
static void deliver(struct storm *s)
{
    struct core_world *w = s->w;
    struct error err;
    for (size_t i = 0; i < w->n_log; i++) {
        const struct world_logged *l = &w->log[i];
        struct m_execute e;
        for (unsigned k = 0; k < STORM_WORKERS; k++) {
            struct storm_worker *v = &s->workers[k];
            if (!v->peer || v->peer != l->effect.peer)
                continue;
            if (l->effect.kind == BCORE_FX_CLOSE)
                v->peer = 0;
            else if (l->kind == KIND_M_EXECUTE && v->n < 256 &&
                     m_execute_decode(l->effect.body, &e, &err) == 0) {
                v->has[v->n].run = e.run;
                v->has[v->n].started = false;
                v->has[v->n++].attempt = e.attempt;
            }
        }
        s->ended += l->kind == KIND_M_RUN_ENDED;
    }
    world_log_clear(w);
}

static void worker_returns(struct storm *s, struct storm_worker *v)
{
    struct core_world *w = s->w;
    if (chance(s, 8) == 0) { /* reinstalled: an empty spool */
        v->spool++;
        v->n = 0;
    }
    if (v->n && chance(s, 4) == 0)
        v->n--; /* the last EXECUTE never arrived */
    world_log_clear(w);
    v->peer = world_worker_hello(w, v->name, v->spool);
    if (world_find_sent(w, v->peer, KIND_M_REFUSED)) {
        v->peer = 0;
        return;
    }
    for (unsigned i = 0; i < v->n; i++)
        SAY(w, v->peer, v->name, have, .run = v->has[i].run, .attempt = v->has[i].attempt,
            .state = v->has[i].started ? RUN_RUNNING : RUN_HANDED_OVER);
    SAY(w, v->peer, v->name, have_end, .count = v->n);
    world_attest(w, v->peer, v->name, WORLD_SLOTS,
                 (struct world_attested[]){{.job = "load", .hash = 1}, {0}}, NULL, false);
}

static void worker_acts(struct storm *s, struct storm_worker *v)
{
    struct core_world *w = s->w;
    unsigned i = v->n ? chance(s, v->n) : 0, what = chance(s, 10);
    if (!v->peer) {
        if (what < 3)
            worker_returns(s, v);
        return;
    }
    if (what == 0) {
        world_down(w, v->peer);
        v->peer = 0;
    } else if (v->n && what < 4) {
        SAY(w, v->peer, v->name, started, .run = v->has[i].run, .attempt = v->has[i].attempt,
            .step = span_str("s"));
        v->has[i].started = true;
    } else if (v->n && what < 9) {
        if (!v->has[i].started && chance(s, 4) == 0)
            SAY(w, v->peer, v->name, returned, .run = v->has[i].run, .attempt = v->has[i].attempt);
        else
            world_succeed(w, v->peer, v->name, v->has[i].run, v->has[i].attempt, chance(s, 40));
        v->has[i] = v->has[--v->n];
    } else {
        SAY(w, v->peer, v->name, ping, .stamp = 1);
    }
}

static void caller_acts(struct storm *s)
{
    struct core_world *w = s->w;
    struct d_call d;
    char key[24];
    struct view_run v;
    struct id after = ID_ZERO;
    snprintf(key, sizeof key, "k%llu",
             (unsigned long long)(chance(s, 8) ? s->keys++ : s->keys / 2));
    d = world_call_of(key);
    d.on_lost = (uint64_t)ON_LOST_FAIL + s->keys % 3;
    d.lost_after_ms = 20000;
    if (s->keys % 3) {
        d.parent = s->parents[s->keys % 3 - 1];
        d.task = span_str("t");
    }
    d.priority = s->keys % 5 == 0 ? 9 : 0;
    world_call_with(w, s->anna, 1, &d, chance(s, 3));
    if (chance(s, 12) == 0 && view_run_after(w->core, &after, &v)) {
        if (v.state == RUN_HELD) {
            char id[ID_TEXT];
            struct buf args = {0};
            value_add_str(&args, span_str("how"));
            value_add_str(&args,
                          span_str((const char *[]){"rerun", "fail", "succeed"}[chance(s, 3)]));
            SAY(w, s->anna, "anna", operate, .verb = span_str("release"),
                .target = span_str(id_format(v.id, id)), .arguments = wire_list_from(&args, 1));
            buf_free(&args);
        } else {
            SAY(w, s->anna, "anna", cancel, .req = 1, .run = v.id, .force = chance(s, 2));
        }
    }
    if (chance(s, 10) == 0)
        world_window(w, s->anna, chance(s, 2));
}

/* No run waits while a server that could take it has credit; no server has more than its credit
   allows. */
static void check_placement(struct storm *s)
{
    struct view_counts c;
    struct view_server v;
    bool room = false;
    view_counts(s->w->core, &c);
    for (unsigned i = 0; i < STORM_WORKERS; i++)
        if (view_server(s->w->core, s->workers[i].name, &v)) {
            assert_true(v.live <= v.slots + LIMIT_PREFETCH + 256);
            room |= v.credit > 0;
        }
    if (room)
        assert_int_equal(c.runs[RUN_WAITING], 0);
}

static void storm(struct core_world *w, uint64_t seed)
{
    struct storm s = {.w = w,
                      .seed = seed,
                      .workers = {{.name = "wh1", .spool = 1},
                                  {.name = "wh2", .spool = 50},
                                  {.name = "wh3", .spool = 100}}};
    s.anna = world_caller_up(w, "anna");
    s.parents[0] = world_parent(w, s.anna, "anna", "a");
    s.parents[1] = world_parent(w, s.anna, "anna", "b");
    for (unsigned i = 0; i < STORM_STEPS; i++) {
        if (chance(&s, 3) == 0)
            caller_acts(&s);
        else
            worker_acts(&s, &s.workers[chance(&s, STORM_WORKERS)]);
        deliver(&s);
        if (chance(&s, 20) == 0)
            world_pass(w, chance(&s, 8000));
        deliver(&s);
        check_placement(&s);
        if (i % 500 == 499)
            world_check_replay(w);
        if (chance(&s, 700) == 0) {
            world_restart(w);
            for (unsigned k = 0; k < STORM_WORKERS; k++)
                s.workers[k].peer = 0;
            s.anna = world_caller_up(w, "anna");
            deliver(&s);
        }
    }
    /* Calm: all workers come back and finish; only held runs are left. */
    for (unsigned round = 0; round < 4000; round++) {
        struct view_counts c;
        view_counts(w->core, &c);
        uint64_t left = 0;
        for (unsigned i = 0; i < RUN_STATE_COUNT; i++)
            left += i == RUN_HELD ? 0 : c.runs[i];
        if (!left)
            break;
        for (unsigned k = 0; k < STORM_WORKERS; k++) {
            struct storm_worker *v = &s.workers[k];
            if (!v->peer)
                worker_returns(&s, v);
            deliver(&s);
            while (v->peer && v->n) {
                v->n--;
                world_succeed(w, v->peer, v->name, v->has[v->n].run, v->has[v->n].attempt, 2);
                deliver(&s);
            }
        }
        world_pass(w, 1000);
        deliver(&s);
        if (round == 3999)
            fail_msg("%d runs do not end", (int)left);
    }
    assert_int_equal(world_records_of(w, KIND_R_CALLED) - world_records_of(w, KIND_R_ENDED), ({
                         struct view_counts c;
                         view_counts(w->core, &c);
                         c.runs[RUN_HELD];
                     }));
    assert_true(world_records_of(w, KIND_R_EVIDENCE) > 0 && world_records_of(w, KIND_R_LOST) > 0 &&
                world_records_of(w, KIND_R_RETURNED) > 0);
}

static void a_storm_ends_in_the_state_that_replay_gives(void **state)
{
    storm(*state, 4711);
}
static void another_storm_ends_in_the_state_that_replay_gives(void **state)
{
    storm(*state, 99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(another_major_version_is_refused),
        in_world(a_malformed_hello_is_refused),
        in_world(malformed_messages_of_every_kind_close_the_session),
        in_world(an_unreadable_record_is_refused_with_its_lsn),
        in_world(records_that_contradict_the_state_are_refused),
        in_world(new_records_follow_the_last_in_the_store),
        in_world(each_start_has_an_epoch_of_its_own),
        in_world(counts_and_walks_see_every_run),
        in_world(a_walk_goes_on_behind_every_run_that_is_gone),
        in_world(a_storm_ends_in_the_state_that_replay_gives),
        in_world(another_storm_ends_in_the_state_that_replay_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
