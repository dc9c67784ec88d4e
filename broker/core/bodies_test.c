/* bodies_test.c - calls whose bytes are only in the store: which they are, that nothing else
 * changes, and what is handed over. */
#include "broker/core/testing.h"

enum { BUDGET = 700 /* one call of call_of fits, two do not */ };

static int setup(void **state)
{
    if (world_setup(state) < 0)
        return -1;
    struct core_world *w = *state;
    bcore_free(&w->core);
    w->config.bodies_budget = BUDGET;
    w->core = bcore_new(&w->config);
    buf_clear(&w->journal);
    w->lsn = 0;
    world_log_clear(w);
    world_begin(w);
    return 0;
}
#define with_budget(test) cmocka_unit_test_setup_teardown(test, setup, world_teardown)

static void committed(struct core_world *w)
{
    world_step(w, (struct bcore_event){.kind = BCORE_COMMITTED, .lsn = w->lsn});
}

static bool is_here(struct core_world *w, struct id run)
{
    struct view_run v;
    assert_true(view_run(w->core, &run, &v));
    return v.call.n != 0;
}

static uint64_t bytes_here(struct core_world *w)
{
    struct view_counts v;
    view_counts(w->core, &v);
    return v.bodies;
}

/* A call of some 500 bytes. */
static void say_long_call(struct core_world *w, uint64_t peer, uint64_t req, const char *key)
{
    struct buf parameters = {0};
    char text[301];
    struct d_call d = world_call_of(key);
    memset(text, 'x', 300);
    text[300] = 0;
    value_add_str(&parameters, span_str("text"));
    value_add_str(&parameters, span_str(text));
    d.parameters = wire_list_from(&parameters, 1);
    world_call_with(w, peer, req, &d, 0);
    buf_free(&parameters);
}

static struct id long_call(struct core_world *w, uint64_t peer, const char *key)
{
    struct m_accepted a;
    say_long_call(w, peer, 1, key);
    SENT(w, peer, ACCEPTED, accepted, &a);
    return a.run;
}

/* What is sent once the shell has fetched the call for the first such effect. */
static struct m_execute fetched(struct core_world *w, uint64_t server, struct id run,
                                struct buf *message)
{
    const struct world_logged *l = world_find_lookup(w, BCORE_FX_EXECUTE);
    struct m_execute m;
    struct error err = {0};
    assert_non_null(l);
    assert_int_equal(l->effect.peer, server);
    assert_true(id_eq(l->effect.run, run));
    buf_clear(message);
    assert_int_equal(
        bcore_execute_fill(l->effect.body, world_record_at(w, l->effect.called_lsn), message, &err),
        0);
    assert_int_equal(m_execute_decode(buf_span(message), &m, &err), 0);
    assert_true(id_eq(m.run, run));
    return m;
}

static void beyond_the_budget_waiting_calls_are_kept_only_in_the_store(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id first = long_call(w, anna, "1"), second = long_call(w, anna, "2"),
              third = long_call(w, anna, "3");
    /* the store has not yet reported them committed */
    assert_true(is_here(w, second) && is_here(w, third));
    committed(w);
    assert_true(is_here(w, first)); /* the oldest is handed over first */
    assert_false(is_here(w, second) && is_here(w, third));
    assert_true(bytes_here(w) <= BUDGET);
}

static void a_call_that_is_not_on_disk_stays_in_memory(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    long_call(w, anna, "1");
    uint64_t lsn = w->lsn;
    struct id second = long_call(w, anna, "2");
    world_step(w, (struct bcore_event){.kind = BCORE_COMMITTED, .lsn = lsn});
    assert_true(is_here(w, second));
    committed(w);
    assert_true(bytes_here(w) <= BUDGET);
}

static void a_server_gets_exactly_the_bytes_that_the_caller_signed(void **state)
{
    struct core_world *w = *state;
    struct buf message = {0};
    struct m_execute m;
    uint64_t anna = world_caller_up(w, "anna");
    struct id first = long_call(w, anna, "1"), second = long_call(w, anna, "2");
    committed(w);
    struct id out = is_here(w, first) ? second : first;
    assert_false(is_here(w, out));
    struct span call = world_called_bytes(w, out);
    uint64_t s = world_worker_up(w, "s1", 1);
    m = fetched(w, s, out, &message);
    assert_true(span_eq(m.call, call) && call.n > 300);
    assert_int_equal(m.attempt, 1);
    assert_true(m.certificate.n > 0);
    SENT(w, s, EXECUTE, execute, &m); /* the other call, from memory */
    assert_null(world_find_lookup(w, BCORE_FX_EXECUTE));
    assert_int_equal(world_state_of(w, out), RUN_HANDED_OVER);
    buf_free(&message);
}

static void a_call_that_finds_a_free_server_never_needs_the_store(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    for (unsigned i = 0; i < 3; i++) {
        char key[8];
        snprintf(key, sizeof key, "%u", i);
        long_call(w, anna, key);
    }
    committed(w);
    uint64_t s = world_worker_up(w, "s1", 1);
    world_find_lookup(w, BCORE_FX_EXECUTE); /* of the calls that have waited */
    world_log_clear(w);
    uint64_t t = world_worker_up(w, "s2", 2);
    world_log_clear(w);
    struct m_execute m;
    struct id run = long_call(w, anna, "new");
    SENT(w, t, EXECUTE, execute, &m);
    assert_true(id_eq(m.run, run));
    assert_null(world_find_lookup(w, BCORE_FX_EXECUTE));
    committed(w);
    assert_true(is_here(w, run)); /* it is at a server: if it is returned, its bytes are at hand */
    (void)s;
}

/* A cancel between hand-over and fetch is like any other: STOP follows EXECUTE in the queue of the
   peer. */
static void a_cancel_during_the_fetch_stops_the_run(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id runs[3] = {long_call(w, anna, "1"), long_call(w, anna, "2"), long_call(w, anna, "3")};
    committed(w);
    uint64_t s = world_worker_up(w, "s1", 1);
    const struct world_logged *asked = world_find_lookup(w, BCORE_FX_EXECUTE);
    assert_non_null(asked);
    size_t at = (size_t)(asked - w->log);
    struct id run = asked->effect.run;
    SAY(w, anna, "anna", cancel, .req = 9, .run = run);
    const struct world_logged *stop = world_find_sent(w, s, KIND_M_STOP);
    assert_non_null(stop);
    assert_true((size_t)(stop - w->log) > at);
    assert_int_equal(world_state_of(w, run), RUN_CANCELLING);
    (void)runs;
}

static void a_waiting_call_without_bytes_can_be_cancelled_and_expires(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct d_call d = world_call_of("soon");
    long_call(w, anna, "1");
    long_call(w, anna, "2");
    d.expires = w->wall + 5000;
    struct id cancelled = long_call(w, anna, "3"), expires = world_call_d(w, anna, d);
    committed(w);
    assert_false(is_here(w, cancelled) || is_here(w, expires));
    SAY(w, anna, "anna", follow, .req = 5, .run = expires, .level = 1);
    SAY(w, anna, "anna", cancel, .req = 9, .run = cancelled);
    assert_int_equal(world_state_of(w, cancelled), RUN_ENDED);
    world_pass(w, 6000);
    struct d_outcome o = world_told_end(w, anna, expires);
    assert_int_equal(o.code, REFUSAL_EXPIRED);
    assert_true(span_eq_str(o.job_name, "load"));
    struct hash job = world_hash(1);
    assert_true(hash_eq(&o.job_hash, &job));
    world_call_with(w, anna, 20, &d, 0); /* its key is still known */
    struct m_accepted a;
    SENT(w, anna, ACCEPTED, accepted, &a);
    assert_true(a.duplicate && id_eq(a.run, expires));
}

static void a_returned_run_is_fetched_again(void **state)
{
    struct core_world *w = *state;
    struct buf message = {0};
    struct m_execute m;
    uint64_t anna = world_caller_up(w, "anna");
    struct id first = long_call(w, anna, "1"), second = long_call(w, anna, "2");
    committed(w);
    struct id out = is_here(w, first) ? second : first;
    uint64_t s = world_worker_up(w, "s1", 1);
    fetched(w, s, out, &message);
    world_down(w, s);                /* before its EXECUTE left */
    s = world_worker_up(w, "s1", 1); /* its HAVE does not list it */
    m = fetched(w, s, out, &message);
    assert_int_equal(m.attempt, 2);
    assert_true(span_eq(m.call, world_called_bytes(w, out)));
    buf_free(&message);
}

static void a_restart_keeps_no_more_than_the_budget(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna");
    struct id runs[8];
    for (unsigned i = 0; i < 8; i++) {
        char key[8];
        snprintf(key, sizeof key, "%u", i);
        runs[i] = long_call(w, anna, key);
    }
    world_restart(w);
    assert_true(bytes_here(w) > 0 && bytes_here(w) <= BUDGET);
    assert_true(is_here(w, runs[0]));
    assert_false(is_here(w, runs[7]));
    uint64_t s = world_worker_up(w, "s1", 1);
    assert_int_equal(world_count_sent(w, s, KIND_M_EXECUTE), 1);
    assert_non_null(world_find_lookup(w, BCORE_FX_EXECUTE));
}

static uint64_t accepted_until_busy(struct core_world *w)
{
    uint64_t anna = world_caller_up(w, "anna");
    for (unsigned i = 0;; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%u", i);
        say_long_call(w, anna, i + 10, key);
        committed(w);
        if (world_find_sent(w, anna, KIND_M_ERROR)) {
            world_told_error(w, anna, "its share");
            return i;
        }
    }
}

static void the_memory_budget_holds_more_calls_than_their_bytes_would_fill(void **state)
{
    struct core_world *w = *state;
    uint64_t counts[2];
    for (unsigned i = 0; i < 2; i++) {
        bcore_free(&w->core);
        w->config.memory_budget = 60000;
        w->config.bodies_budget = i ? 0 : 60000; /* 0: a part of it; 60000: all */
        w->core = bcore_new(&w->config);
        buf_clear(&w->journal);
        w->lsn = 0;
        world_log_clear(w);
        world_begin(w);
        counts[i] = accepted_until_busy(w);
        struct view_counts v;
        view_counts(w->core, &v);
        assert_true(v.memory <= 60000 && v.bodies <= (i ? 60000 / BODIES_PART : 60000));
    }
    assert_true(counts[1] > counts[0] + counts[0] / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_budget(beyond_the_budget_waiting_calls_are_kept_only_in_the_store),
        with_budget(a_call_that_is_not_on_disk_stays_in_memory),
        with_budget(a_server_gets_exactly_the_bytes_that_the_caller_signed),
        with_budget(a_call_that_finds_a_free_server_never_needs_the_store),
        with_budget(a_cancel_during_the_fetch_stops_the_run),
        with_budget(a_waiting_call_without_bytes_can_be_cancelled_and_expires),
        with_budget(a_returned_run_is_fetched_again),
        with_budget(a_restart_keeps_no_more_than_the_budget),
        in_world(the_memory_budget_holds_more_calls_than_their_bytes_would_fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
