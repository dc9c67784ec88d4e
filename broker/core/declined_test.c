/* Runs that a server has refused by its own fault: where they go on, whom that bars, and where they
   end. */
#include "broker/core/testing.h"

static void refuse(struct core_world *w, uint64_t peer, const char *name, struct id run,
                   uint64_t attempt, enum refusal code)
{
    struct buf *b = world_scratch(w);
    d_outcome_encode(&(struct d_outcome){.delivery = DELIVERY_REFUSED,
                                         .job = JOB_NOT_CALLED,
                                         .package = PACKAGE_NOT_EXECUTED,
                                         .status = STATUS_REFUSED,
                                         .code = code,
                                         .message = span_str("no such signer"),
                                         .ended_at = w->wall},
                     b);
    SAY(w, peer, name, result, .run = run, .attempt = attempt, .outcome = buf_span(b));
}

/* wh1 has refused it with this code, while wh2 was there. */
struct story {
    uint64_t anna, wh1, wh2;
    struct id run;
};
static struct story refused_at_wh1(struct core_world *w, enum refusal code)
{
    struct story s = {.anna = world_caller_up(w, "anna"), .wh1 = world_worker_up(w, "wh1", 1)};
    struct m_execute e;
    s.run = world_call(w, s.anna, "k");
    SENT(w, s.wh1, EXECUTE, execute, &e);
    s.wh2 = world_worker_up(w, "wh2", 2);
    SAY(w, s.anna, "anna", follow, .req = 1, .run = s.run, .level = 1);
    refuse(w, s.wh1, "wh1", s.run, 1, code);
    return s;
}

static void a_refusal_by_the_servers_fault_sends_the_run_to_another(void **state)
{
    struct core_world *w = *state;
    struct story s = refused_at_wh1(w, REFUSAL_BAD_PACKAGE);
    struct m_recorded r;
    struct m_execute e;
    SENT(w, s.wh1, RECORDED, recorded, &r); /* the spool may forget it */
    SENT(w, s.wh2, EXECUTE, execute, &e);
    assert_int_equal(e.attempt, 2);
    world_succeed(w, s.wh2, "wh2", s.run, 2, 5);
    assert_int_equal(world_told_end(w, s.anna, s.run).status, STATUS_SUCCEEDED);
    assert_int_equal(world_records_of(w, KIND_R_DECLINED), 1);
}

static void a_refusal_by_the_calls_fault_is_its_end(void **state)
{
    struct core_world *w = *state;
    struct story s = refused_at_wh1(w, REFUSAL_BAD_PARAMETERS);
    assert_int_equal(world_told_end(w, s.anna, s.run).code, REFUSAL_BAD_PARAMETERS);
    NOT_SENT(w, s.wh2, EXECUTE);
}

static void when_all_have_refused_it_the_last_refusal_is_its_end(void **state)
{
    struct core_world *w = *state;
    struct story s = refused_at_wh1(w, REFUSAL_NO_PROXY);
    refuse(w, s.wh2, "wh2", s.run, 2, REFUSAL_NO_PROXY);
    struct d_outcome o = world_told_end(w, s.anna, s.run);
    assert_int_equal(o.status, STATUS_REFUSED);
    assert_int_equal(world_records_of(w, KIND_R_DECLINED), 1);
    assert_int_equal(world_records_of(w, KIND_R_ASSIGNED), 2); /* once for each server */
}

static void it_waits_for_a_server_that_has_not_refused_it_and_says_so(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh2 = world_worker_up(w, "wh2", 2);
    struct m_execute e;
    struct explain x;
    struct error err;
    world_down(w, wh2);
    world_pass(w, LEASE_MS + 1);
    uint64_t wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "k");
    refuse(w, wh1, "wh1", run, 1, REFUSAL_NO_PROXY);
    assert_int_equal(world_state_of(w, run), RUN_PARKED);
    assert_int_equal(bcore_explain(w->core, &run, &x, &err), 0);
    assert_non_null(strstr(x.summary, "wh1: it has refused this run: no such signer"));
    explain_free(&x);
    world_pass(w, 3600000); /* never back to wh1, however long it takes */
    assert_int_equal(world_state_of(w, run), RUN_PARKED);
    wh2 = world_worker_up(w, "wh2", 2);
    SENT(w, wh2, EXECUTE, execute, &e);
    assert_int_equal(e.attempt, 2);
}

static void a_fault_of_the_job_bars_the_server_for_a_while(void **state)
{
    struct core_world *w = *state;
    struct story s = refused_at_wh1(w, REFUSAL_BAD_PACKAGE);
    struct m_execute e;
    SENT(w, s.wh2, EXECUTE, execute, &e);
    world_call(w, s.anna, "k2");
    NOT_SENT(w, s.wh1, EXECUTE); /* wh1 has more room, and is passed over */
    SENT(w, s.wh2, EXECUTE, execute, &e);
    world_call(w, s.anna, "k3");
    NOT_SENT(w, s.wh2, EXECUTE);
    NOT_SENT(w, s.wh1, EXECUTE);
    SAY(w, s.wh1, "wh1", ping, .stamp = 1);
    SAY(w, s.wh2, "wh2", ping, .stamp = 1);
    for (unsigned i = 0; i < 61; i++) {
        world_pass(w, 1000);
        SAY(w, s.wh1, "wh1", ping, .stamp = 1);
    }
    SENT(w, s.wh1, EXECUTE, execute, &e);
}

static void a_new_attestation_ends_the_bar(void **state)
{
    struct core_world *w = *state;
    struct story s = refused_at_wh1(w, REFUSAL_BAD_PACKAGE);
    struct m_execute e;
    SENT(w, s.wh2, EXECUTE, execute, &e);
    world_attest(w, s.wh1, "wh1", WORLD_SLOTS,
                 (struct world_attested[]){{.job = "load", .hash = 1}, {0}}, NULL, false);
    world_call(w, s.anna, "k2");
    SENT(w, s.wh1, EXECUTE, execute, &e);
}

/* Whom a proxy takes is between it and the caller. */
static void a_caller_whom_a_proxy_does_not_take_bars_nobody(void **state)
{
    struct core_world *w = *state;
    struct story s = refused_at_wh1(w, REFUSAL_NO_PROXY);
    struct m_execute e;
    uint64_t bob = world_caller_up(w, "bob");
    struct d_call d = world_call_of("k");
    SENT(w, s.wh2, EXECUTE, execute, &e);
    d.caller = span_str("bob");
    world_call_with(w, bob, 1, &d, 0);
    SENT(w, s.wh1, EXECUTE, execute, &e);
}

static void a_repeated_refusal_gets_the_same_answer(void **state)
{
    struct core_world *w = *state;
    struct story s = refused_at_wh1(w, REFUSAL_NO_PROXY);
    struct m_recorded r;
    for (unsigned i = 0; i < 2; i++) {
        SENT(w, s.wh1, RECORDED, recorded, &r);
        assert_int_equal(r.attempt, 1);
        refuse(w, s.wh1, "wh1", s.run, 1, REFUSAL_NO_PROXY);
    }
    assert_int_equal(world_records_of(w, KIND_R_DECLINED), 1);
    assert_int_equal(world_records_of(w, KIND_R_EVIDENCE), 0);
    assert_int_equal(world_state_of(w, s.run), RUN_HANDED_OVER);
}

static void a_started_attempt_is_not_taken_for_a_refused_one(void **state)
{
    struct core_world *w = *state;
    uint64_t anna = world_caller_up(w, "anna"), wh1 = world_worker_up(w, "wh1", 1);
    struct id run = world_call(w, anna, "k");
    uint64_t wh2 = world_worker_up(w, "wh2", 2);
    SAY(w, wh1, "wh1", started, .run = run, .attempt = 1, .step = span_str("run"));
    refuse(w, wh1, "wh1", run, 1, REFUSAL_BAD_PACKAGE);
    assert_int_equal(world_state_of(w, run), RUN_ENDED);
    NOT_SENT(w, wh2, EXECUTE);
}

static void after_a_restart_it_still_does_not_go_back(void **state)
{
    struct core_world *w = *state;
    struct story s = refused_at_wh1(w, REFUSAL_NO_PROXY);
    struct m_execute e;
    SENT(w, s.wh2, EXECUTE, execute, &e);
    world_restart(w);
    s.wh2 = world_worker_hello(w, "wh2", 2);
    SAY(w, s.wh2, "wh2", have_end, .count = 0); /* attempt 2 has not arrived */
    world_log_clear(w);
    s.wh1 = world_worker_up(w, "wh1", 1);
    NOT_SENT(w, s.wh1, EXECUTE);
    assert_int_not_equal(world_state_of(w, s.run), RUN_ENDED);
    world_attest(w, s.wh2, "wh2", WORLD_SLOTS,
                 (struct world_attested[]){{.job = "load", .hash = 1}, {0}}, NULL, false);
    SENT(w, s.wh2, EXECUTE, execute, &e);
    assert_int_equal(e.attempt, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_refusal_by_the_servers_fault_sends_the_run_to_another),
        in_world(a_refusal_by_the_calls_fault_is_its_end),
        in_world(when_all_have_refused_it_the_last_refusal_is_its_end),
        in_world(it_waits_for_a_server_that_has_not_refused_it_and_says_so),
        in_world(a_fault_of_the_job_bars_the_server_for_a_while),
        in_world(a_new_attestation_ends_the_bar),
        in_world(a_caller_whom_a_proxy_does_not_take_bars_nobody),
        in_world(a_repeated_refusal_gets_the_same_answer),
        in_world(a_started_attempt_is_not_taken_for_a_refused_one),
        in_world(after_a_restart_it_still_does_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
