/* laws_test.c - a story that breaks no law, and for each law that the witness judges a violation
 * that it must see. (The cluster itself judges RUN_ENDS, CALLER_HEARS, SPOOL_EMPTIES,
 * NO_CHILD_LEFT and STEPS_WITHIN_TIME; lawsclients_test.c has the laws about parents and
 * monitors, lawsothers_test.c those about principals, lawswaits_test.c the one about waits.) */
#include "tests/sim/lawstesting.h"
#include "trust/envelope.h"

static const struct id RUN = {{1}}, SPOOL = {{7}};

#define SAYS(r, low, ...) SAYS_TO(r, 1, low, __VA_ARGS__)

static void called(struct rig *r, struct id run, struct d_call call)
{
    call.cluster = span_str(SIM_CLUSTER);
    call.caller = span_str("anna");
    call.job = span_str("quick");
    catalog_write_call(&call, &r->body, &r->call);
    RECORD(r, CALLED, called, .run = run, .call = buf_span(&r->call));
}

static void called_as(struct rig *r, struct id run, const char *key, enum on_lost on_lost)
{
    called(r, run, (struct d_call){.key = span_str(key), .on_lost = on_lost});
}

static void assigned(struct rig *r, uint64_t attempt, const char *server, enum on_lost on_lost)
{
    RECORD(r, ASSIGNED, assigned, .run = RUN, .attempt = attempt, .server = span_str(server),
           .spool = SPOOL, .job_hash = r->catalog.jobs[0].hash, .on_lost = on_lost);
}

static struct s_step step_of(uint64_t attempt, const char *name, uint64_t try_no)
{
    return (struct s_step){
        .run = RUN, .attempt = attempt, .step = span_str(name), .try_no = try_no};
}

static void launched(struct rig *r, uint64_t attempt, const char *server)
{
    struct s_step s = step_of(attempt, "run", 1);
    laws_launched(r->laws, server, SPOOL, &s);
}

static void over(struct rig *r, uint64_t attempt, enum package_outcome p)
{
    laws_child_over(r->laws, RUN, attempt, span_str("run"), 1, p);
}

static struct span outcome_of(struct rig *r, enum delivery d, enum job_outcome j,
                              enum package_outcome p, const char *message)
{
    struct buf steps = {0}, one = {0};
    d_step_outcome_encode(
        &(struct d_step_outcome){.name = span_str("run"), .try_no = 1, .package = p}, &one);
    wire_add_bin(&steps, buf_span(&one));
    buf_clear(&r->outcome);
    d_outcome_encode(&(struct d_outcome){.delivery = d,
                                         .job = j,
                                         .package = p,
                                         .status = outcome_status(d, j, p),
                                         .message = span_str(message),
                                         .steps = wire_list_from(&steps, 1)},
                     &r->outcome);
    buf_free(&steps);
    buf_free(&one);
    return buf_span(&r->outcome);
}

static struct span good(struct rig *r)
{
    return outcome_of(r, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED, "done");
}

/* Called, handed over; run; reported; counted. */
static void until_assigned(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_FAIL);
    assigned(r, 1, "wh1", ON_LOST_FAIL);
}

static void until_launched(struct rig *r)
{
    until_assigned(r);
    launched(r, 1, "wh1");
}

static void until_finished(struct rig *r)
{
    until_launched(r);
    over(r, 1, PACKAGE_SUCCEEDED);
    laws_finished(r->laws, RUN, 1, good(r));
}

static void until_ended(struct rig *r)
{
    until_finished(r);
    RECORD(r, ENDED, ended, .run = RUN, .attempt = 1, .server = span_str("wh1"), .outcome = good(r),
           .reported = true);
}

/* ---- Violations */
static void accepted_too_early(struct rig *r)
{
    SAYS(r, accepted, .run = RUN);
}
static void executed_too_early(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_FAIL);
    SAYS(r, execute, .run = RUN, .attempt = 1);
}
static void another_call_is_handed_over(struct rig *r)
{
    until_assigned(r);
    SAYS(r, execute, .run = RUN, .attempt = 1, .call = span_str("another"));
}
static void recorded_too_early(struct rig *r)
{
    until_finished(r);
    SAYS(r, recorded, .run = RUN, .attempt = 1);
}
static void ended_too_early(struct rig *r)
{
    until_finished(r);
    SAYS(r, run_ended, .run = RUN, .attempt = 1, .outcome = good(r));
}
static void running_too_early(struct rig *r)
{
    until_assigned(r);
    SAYS(r, run_state, .run = RUN, .attempt = 1, .state = RUN_RUNNING);
}
static void accepted_and_nowhere(struct rig *r)
{
    laws_accepted(r->laws, "anna", "k", span_str("x"), RUN);
}
static void accepted_and_forgotten(struct rig *r)
{
    struct bcore_config config = {.cluster = SIM_CLUSTER};
    called_as(r, RUN, "k", ON_LOST_FAIL);
    laws_accepted(r->laws, "anna", "k", buf_span(&r->body), RUN);
    struct bcore *c = bcore_new(&config);
    laws_broker_begins(r->laws, c);
    bcore_free(&c);
}
static void accepted_and_unknown(struct rig *r)
{
    laws_unknown(r->laws, RUN);
}
static void cancelled_and_lost(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_FAIL);
    laws_cancelled(r->laws, RUN);
}
static void cancelled_and_begun(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_FAIL);
    RECORD(r, CANCELLED, cancelled, .run = RUN);
    assigned(r, 1, "wh1", ON_LOST_FAIL);
}
static void two_at_a_time(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_RERUN);
    assigned(r, 1, "wh1", ON_LOST_RERUN);
    launched(r, 1, "wh1");
    RECORD(r, LOST, lost, .run = RUN, .attempt = 1, .then = ON_LOST_RERUN);
    assigned(r, 2, "wh2", ON_LOST_RERUN);
    launched(r, 2, "wh2");
}
static void two_at_a_time_the_older_later(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_RERUN);
    assigned(r, 1, "wh1", ON_LOST_RERUN);
    RECORD(r, LOST, lost, .run = RUN, .attempt = 1, .then = ON_LOST_RERUN);
    assigned(r, 2, "wh2", ON_LOST_RERUN);
    launched(r, 2, "wh2");
    launched(r, 1, "wh1");
}
static void a_step_twice(struct rig *r)
{
    until_launched(r);
    over(r, 1, PACKAGE_SUCCEEDED);
    launched(r, 1, "wh1");
}
static void called_for(struct rig *r, const char *address, struct hash job)
{
    called(r, RUN,
           (struct d_call){.key = span_str("k"),
                           .job_hash = job,
                           .address = span_str(address),
                           .on_lost = ON_LOST_FAIL});
    laws_member(r->laws, "wh1", 1);
}
static void handed_to_a_server_of_another_pool(struct rig *r)
{
    called_for(r, sim_pools[1], r->catalog.jobs[0].hash);
    assigned(r, 1, "wh1", ON_LOST_FAIL);
}
static void handed_over_in_another_version(struct rig *r)
{
    called_for(r, sim_pools[0], r->catalog.jobs[1].hash);
    assigned(r, 1, "wh1", ON_LOST_FAIL);
}
static void at_another_server(struct rig *r)
{
    until_assigned(r);
    launched(r, 1, "wh2");
}
static void two_ends(struct rig *r)
{
    until_ended(r);
    RECORD(r, ENDED, ended, .run = RUN, .attempt = 1, .outcome = good(r), .reported = true);
}
static void stop_of_what_is_held(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_HOLD);
    assigned(r, 1, "wh1", ON_LOST_HOLD);
    RECORD(r, LOST, lost, .run = RUN, .attempt = 1, .then = ON_LOST_HOLD);
    SAYS(r, stop, .run = RUN, .attempt = 1);
}

static void a_copy_takes_over(struct rig *r)
{
    laws_let_in(r->laws, "wh1", SECS(2)); /* the broker has just started */
    r->w.now += SECS(30);
    laws_let_in(r->laws, "wh1", INT64_MAX);
    laws_let_in(r->laws, "wh1", SECS(16));
    laws_let_in(r->laws, "wh1", SECS(2));
}

static void a_broker_begins(struct rig *r)
{
    struct bcore_config config = {.cluster = SIM_CLUSTER};
    struct bcore *c = bcore_new(&config);
    laws_broker_begins(r->laws, c);
    bcore_free(&c);
}

static void evidence_twice(struct rig *r)
{
    a_broker_begins(r);
    called_as(r, RUN, "k", ON_LOST_HOLD);
    assigned(r, 1, "wh1", ON_LOST_HOLD);
    for (unsigned i = 0; i < 2; i++)
        RECORD(r, EVIDENCE, evidence, .run = RUN, .attempt = 1, .server = span_str("wh1"),
               .outcome = good(r));
}
static void evidence_of_another_server(struct rig *r)
{
    a_broker_begins(r);
    called_as(r, RUN, "k", ON_LOST_HOLD);
    assigned(r, 1, "wh1", ON_LOST_HOLD);
    RECORD(r, EVIDENCE, evidence, .run = RUN, .attempt = 1, .server = span_str("wh2"),
           .outcome = good(r));
}
static void the_counted_one_as_evidence(struct rig *r)
{
    until_ended(r);
    RECORD(r, EVIDENCE, evidence, .run = RUN, .attempt = 1, .server = span_str("wh1"),
           .why = span_str("late"), .outcome = good(r));
}
static void finished_twice(struct rig *r)
{
    until_finished(r);
    laws_finished(r->laws, RUN, 1, good(r));
}
static void another_outcome_is_counted(struct rig *r)
{
    until_finished(r);
    RECORD(r, ENDED, ended, .run = RUN, .attempt = 1, .reported = true,
           .outcome = outcome_of(r, DELIVERY_CALLED, JOB_FAILED, PACKAGE_FAILED, "no"));
}
static void a_lie(struct rig *r)
{
    until_launched(r);
    over(r, 1, PACKAGE_FAILED);
    laws_finished(r->laws, RUN, 1, good(r));
}
static void over_while_a_child_lives(struct rig *r)
{
    until_launched(r);
    laws_finished(r->laws, RUN, 1, good(r));
}
static void refused_but_run(struct rig *r)
{
    until_launched(r);
    over(r, 1, PACKAGE_NOT_EXECUTED);
    laws_finished(r->laws, RUN, 1,
                  outcome_of(r, DELIVERY_REFUSED, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED, "no"));
}
static void another_end_is_told(struct rig *r)
{
    until_ended(r);
    SAYS(r, run_ended, .run = RUN, .attempt = 1,
         .outcome = outcome_of(r, DELIVERY_CALLED, JOB_FAILED, PACKAGE_FAILED, "no"));
}
static void another_end_is_heard(struct rig *r)
{
    until_ended(r);
    laws_ended(r->laws, RUN, 1, outcome_of(r, DELIVERY_CALLED, JOB_FAILED, PACKAGE_FAILED, "no"));
}
static void a_key_with_two_runs(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_FAIL);
    called_as(r, (struct id){{2}}, "k", ON_LOST_FAIL);
}
static void a_key_answered_with_another_run(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_FAIL);
    laws_accepted(r->laws, "anna", "k", buf_span(&r->body), RUN);
    called_as(r, (struct id){{2}}, "l", ON_LOST_FAIL);
    laws_accepted(r->laws, "anna", "k", buf_span(&r->body), (struct id){{2}});
}
static void another_body_is_accepted(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_FAIL);
    laws_accepted(r->laws, "anna", "k", span_str("another"), RUN);
}
static void the_same_body_is_a_conflict(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_FAIL);
    laws_accepted(r->laws, "anna", "k", buf_span(&r->body), RUN);
    laws_conflict(r->laws, "anna", "k", buf_span(&r->body));
}
static void again_for_no_reason(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_FAIL);
    assigned(r, 2, "wh1", ON_LOST_FAIL);
}
static void again_though_not_allowed(struct rig *r)
{
    until_assigned(r);
    RECORD(r, LOST, lost, .run = RUN, .attempt = 1, .then = ON_LOST_RERUN);
}
static void told_another_on_lost(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_FAIL);
    assigned(r, 1, "wh1", ON_LOST_RERUN);
}
static void tried_again_after_success(struct rig *r)
{
    struct s_step s = step_of(1, "run", 2);
    until_launched(r);
    over(r, 1, PACKAGE_SUCCEEDED);
    laws_launched(r->laws, "wh1", SPOOL, &s);
}
static void tried_again_after_nobody_knows_what(struct rig *r)
{
    struct s_step s = step_of(1, "run", 2);
    until_launched(r);
    laws_child_vanished(r->laws, RUN, 1, span_str("run"), 1);
    laws_launched(r->laws, "wh1", SPOOL, &s);
}
static void tried_more_often_than_the_job_says(struct rig *r)
{
    struct s_step s = step_of(1, "run", 4);
    s.job = buf_span(&r->catalog.jobs[1].body);
    until_assigned(r);
    laws_launched(r->laws, "wh1", SPOOL, &s);
}
static const struct id NONCE = {{3}};
/* Handed over, with a lost_after of 20 s, to a server that has just been heard. */
static void assigned_and_heard(struct rig *r, enum on_lost on_lost)
{
    called_as(r, RUN, "k", on_lost);
    RECORD(r, ASSIGNED, assigned, .run = RUN, .attempt = 1, .server = span_str("wh1"),
           .spool = SPOOL, .job_hash = r->catalog.jobs[0].hash, .on_lost = on_lost,
           .lost_after_ms = 20000, .incarnation = span_of(NONCE.b, sizeof NONCE.b));
    laws_heard(r->laws, "wh1", NONCE);
}
static void decides_that_it_is_lost(struct rig *r)
{
    struct buf b = {0};
    r_lost_encode(&(struct r_lost){.run = RUN, .attempt = 1, .then = ON_LOST_FAIL}, &b);
    laws_decides(r->laws, buf_span(&b));
    buf_free(&b);
}
static void lost_too_early(struct rig *r)
{
    assigned_and_heard(r, ON_LOST_FAIL);
    laws_heard(r->laws, "wh1", (struct id){{8}}); /* another home says nothing about this one */
    r->w.now += SECS(19);
    decides_that_it_is_lost(r);
}
static void lost_while_nobody_listened(struct rig *r)
{
    assigned_and_heard(r, ON_LOST_FAIL);
    laws_listens(r->laws, r->w.now + SECS(30)); /* the broker is stopped for this long */
    r->w.now += SECS(31);
    decides_that_it_is_lost(r);
}
static void lost_and_not_run_again(struct rig *r)
{
    assigned_and_heard(r, ON_LOST_RERUN);
    RECORD(r, LOST, lost, .run = RUN, .attempt = 1, .then = ON_LOST_FAIL);
}
static void fenced_and_not_run_again(struct rig *r)
{
    assigned_and_heard(r, ON_LOST_RERUN);
    laws_finished(r->laws, RUN, 1,
                  outcome_of(r, DELIVERY_CALLED, JOB_LOST, PACKAGE_NOT_EXECUTED, "fenced"));
    RECORD(r, ENDED, ended, .run = RUN, .attempt = 1, .outcome = buf_span(&r->outcome),
           .reported = true);
}
/* A child runs, and its worker, which has reached its keeper since `reached`, is told to stop it
 * a minute before the end. */
static void stopped_and_over_much_later(struct rig *r, int64_t reached)
{
    assigned_and_heard(r, ON_LOST_FAIL);
    launched(r, 1, "wh1");
    laws_reached(r->laws, "wh1", reached);
    laws_stop_heard(r->laws, RUN, 1);
    r->w.now += SECS(60);
    over(r, 1, PACKAGE_CANCELLED);
}
static void goes_on_after_a_stop(struct rig *r)
{
    r->w.now = SECS(5);
    stopped_and_over_much_later(r, SECS(1));
}
static void returned_after_it_ran(struct rig *r)
{
    until_launched(r);
    RECORD(r, RETURNED, returned, .run = RUN, .attempt = 1);
}
static void goes_on_after_it_ran(struct rig *r)
{
    until_launched(r);
    RECORD(r, DECLINED, declined, .run = RUN, .attempt = 1);
}
static void goes_back_to_who_refused_it(struct rig *r)
{
    until_assigned(r);
    RECORD(r, DECLINED, declined, .run = RUN, .attempt = 1);
    assigned(r, 2, "wh1", ON_LOST_FAIL);
}
static void runs_after_it_was_returned(struct rig *r)
{
    until_assigned(r);
    RECORD(r, RETURNED, returned, .run = RUN, .attempt = 1);
    launched(r, 1, "wh1");
}
static void replay_differs(struct rig *r)
{
    laws_digests(r->laws, LAW_REPLAY_IS_STATE, "differs", &(struct hash){{1}}, &(struct hash){{2}});
}
static void spool_differs(struct rig *r)
{
    laws_digests(r->laws, LAW_SPOOL_IS_STATE, "differs", &(struct hash){{1}}, &(struct hash){{2}});
}
static void a_record_of_nobody(struct rig *r)
{
    RECORD(r, STARTED, started, .run = RUN, .attempt = 1);
}
static void too_many_run(struct rig *r)
{
    laws_load(r->laws, "wh1", 3, 3, 2, 4);
}
static void too_many_are_asked_for(struct rig *r)
{
    laws_load(r->laws, "wh1", 2, 4, 2, 1);
}
static void too_many_of_a_job(struct rig *r)
{
    for (uint8_t i = 1; i <= 2; i++) {
        struct id run = {{i}};
        called_as(r, run, i == 1 ? "a" : "b", ON_LOST_FAIL);
        RECORD(r, ASSIGNED, assigned, .run = run, .attempt = 1, .server = span_str("wh1"),
               .spool = SPOOL, .job_hash = r->catalog.jobs[4].hash, .on_lost = ON_LOST_FAIL);
    }
}
static void a_move_that_is_not_in_the_table(struct rig *r)
{
    called_as(r, RUN, "k", ON_LOST_FAIL);
    RECORD(r, STARTED, started, .run = RUN, .attempt = 1);
}
static void a_state_after_the_end(struct rig *r)
{
    laws_state_heard(r->laws, RUN, RUN_RUNNING, true);
}

static const struct violation violations[] = {
    {LAW_SAID_IS_DURABLE, accepted_too_early},
    {LAW_SAID_IS_DURABLE, executed_too_early},
    {LAW_SAID_IS_DURABLE, recorded_too_early},
    {LAW_SAID_IS_DURABLE, ended_too_early},
    {LAW_SAID_IS_DURABLE, running_too_early},
    {LAW_ACCEPTED_IS_KEPT, accepted_and_nowhere},
    {LAW_ACCEPTED_IS_KEPT, accepted_and_forgotten},
    {LAW_ACCEPTED_IS_KEPT, accepted_and_unknown},
    {LAW_CANCEL_IS_KEPT, cancelled_and_lost},
    {LAW_CANCEL_IS_KEPT, cancelled_and_begun},
    {LAW_ONE_LIVE_ATTEMPT, two_at_a_time},
    {LAW_ONE_LIVE_ATTEMPT, two_at_a_time_the_older_later},
    {LAW_HANDED_AS_CALLED, handed_to_a_server_of_another_pool},
    {LAW_HANDED_AS_CALLED, handed_over_in_another_version},
    {LAW_HANDED_AS_SIGNED, another_call_is_handed_over},
    {LAW_HELD_GOES_ON, stop_of_what_is_held},
    {LAW_FIRST_STAYS, a_copy_takes_over},
    {LAW_EXECUTED_ONCE, a_step_twice},
    {LAW_EXECUTED_ONCE, at_another_server},
    {LAW_ONE_RESULT, two_ends},
    {LAW_ONE_RESULT, evidence_twice},
    {LAW_EVIDENCE_WAS_HANDED, evidence_of_another_server},
    {LAW_ONE_RESULT, the_counted_one_as_evidence},
    {LAW_ONE_RESULT, finished_twice},
    {LAW_COUNTED_IS_REPORTED, another_outcome_is_counted},
    {LAW_OUTCOME_IS_TRUE, a_lie},
    {LAW_OUTCOME_IS_TRUE, over_while_a_child_lives},
    {LAW_OUTCOME_IS_TRUE, refused_but_run},
    {LAW_HEARD_IS_RECORDED, another_end_is_told},
    {LAW_HEARD_IS_RECORDED, another_end_is_heard},
    {LAW_ONE_RUN_FOR_A_KEY, a_key_with_two_runs},
    {LAW_ONE_RUN_FOR_A_KEY, a_key_answered_with_another_run},
    {LAW_ONE_RUN_FOR_A_KEY, another_body_is_accepted},
    {LAW_ONE_RUN_FOR_A_KEY, the_same_body_is_a_conflict},
    {LAW_NOT_AGAIN_UNASKED, again_for_no_reason},
    {LAW_NOT_AGAIN_UNASKED, again_though_not_allowed},
    {LAW_NOT_AGAIN_UNASKED, told_another_on_lost},
    {LAW_NOT_AGAIN_UNASKED, tried_again_after_success},
    {LAW_NOT_AGAIN_UNASKED, tried_again_after_nobody_knows_what},
    {LAW_NOT_AGAIN_UNASKED, tried_more_often_than_the_job_says},
    {LAW_LOST_AS_ASKED, lost_too_early},
    {LAW_LOST_AS_ASKED, lost_while_nobody_listened},
    {LAW_LOST_AS_ASKED, lost_and_not_run_again},
    {LAW_LOST_AS_ASKED, fenced_and_not_run_again},
    {LAW_STOPPED_IN_TIME, goes_on_after_a_stop},
    {LAW_RETURNED_NEVER_RAN, returned_after_it_ran},
    {LAW_RETURNED_NEVER_RAN, runs_after_it_was_returned},
    {LAW_DECLINED_ONCE, goes_on_after_it_ran},
    {LAW_DECLINED_ONCE, goes_back_to_who_refused_it},
    {LAW_REPLAY_IS_STATE, replay_differs},
    {LAW_REPLAY_IS_STATE, a_record_of_nobody},
    {LAW_SPOOL_IS_STATE, spool_differs},
    {LAW_SLOTS, too_many_run},
    {LAW_SLOTS, too_many_are_asked_for},
    {LAW_CONCURRENCY, too_many_of_a_job},
    {LAW_MOVES, a_move_that_is_not_in_the_table},
    {LAW_MOVES, a_state_after_the_end},
};

static void each_violation_breaks_its_law(void **state)
{
    (void)state;
    rig_each_breaks_its_law(violations, sizeof violations / sizeof *violations, NULL);
}

static void a_well_served_run_breaks_no_law(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    called_as(&r, RUN, "k", ON_LOST_RERUN);
    SAYS(&r, accepted, .run = RUN);
    laws_accepted(r.laws, "anna", "k", buf_span(&r.body), RUN);
    laws_accepted(r.laws, "anna", "k", buf_span(&r.body), RUN);
    laws_conflict(r.laws, "anna", "k", span_str("another"));
    assigned(&r, 1, "wh1", ON_LOST_RERUN);
    SAYS(&r, execute, .run = RUN, .attempt = 1, .call = buf_span(&r.call));
    RECORD(&r, RETURNED, returned, .run = RUN, .attempt = 1);
    assigned(&r, 2, "wh1", ON_LOST_RERUN);
    launched(&r, 2, "wh1");
    RECORD(&r, STARTED, started, .run = RUN, .attempt = 2);
    laws_child_vanished(r.laws, RUN, 2, span_str("run"), 1);
    RECORD(&r, LOST, lost, .run = RUN, .attempt = 2, .then = ON_LOST_RERUN);
    assigned(&r, 3, "wh2", ON_LOST_RERUN);
    launched(&r, 3, "wh2");
    over(&r, 3, PACKAGE_SUCCEEDED);
    laws_finished(r.laws, RUN, 3, good(&r));
    RECORD(&r, ENDED, ended, .run = RUN, .attempt = 3, .outcome = good(&r), .reported = true);
    SAYS(&r, recorded, .run = RUN, .attempt = 3);
    SAYS(&r, run_ended, .run = RUN, .attempt = 3, .outcome = good(&r));
    laws_ended(r.laws, RUN, 3, good(&r));
    laws_cancelled(r.laws, RUN);
    assert_int_equal(laws_children(r.laws), 0);
    assert_int_equal(laws_runs(r.laws), 1);
    assert_true(laws_ended_durably(r.laws, RUN));
    rig_end_unbroken(&r);
}

static void silence_for_lost_after_is_a_loss(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    assigned_and_heard(&r, ON_LOST_FAIL);
    laws_listens(r.laws, r.w.now + SECS(2)); /* so short a stop still counts as listening */
    r.w.now += SECS(20);
    decides_that_it_is_lost(&r);
    rig_end_unbroken(&r);
}

static void a_child_may_run_on_while_its_worker_cannot_reach_it(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    r.w.now = SECS(5);
    stopped_and_over_much_later(&r, INT64_MAX);
    rig_end_unbroken(&r);
}

/* A run that an operator has released by hand may still execute at its lost server. */
static void a_run_released_by_an_operator_may_execute_twice(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    called_as(&r, RUN, "k", ON_LOST_HOLD);
    assigned(&r, 1, "wh1", ON_LOST_HOLD);
    launched(&r, 1, "wh1");
    RECORD(&r, LOST, lost, .run = RUN, .attempt = 1, .then = ON_LOST_HOLD);
    RECORD(&r, RELEASED, released, .run = RUN, .how = span_str("rerun"));
    assigned(&r, 2, "wh2", ON_LOST_HOLD);
    launched(&r, 2, "wh2");
    rig_end_unbroken(&r);
}

static void only_the_first_complaint_is_kept(void **state)
{
    struct rig r;
    const char *text;
    (void)state;
    rig_begin(&r);
    law_break(r.laws, LAW_SLOTS, "first");
    law_break(r.laws, LAW_MOVES, "second");
    assert_int_equal(laws_broken(r.laws, &text), LAW_SLOTS);
    assert_string_equal(text, "first");
    rig_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_violation_breaks_its_law),
        cmocka_unit_test(a_well_served_run_breaks_no_law),
        cmocka_unit_test(a_run_released_by_an_operator_may_execute_twice),
        cmocka_unit_test(silence_for_lost_after_is_a_loss),
        cmocka_unit_test(a_child_may_run_on_while_its_worker_cannot_reach_it),
        cmocka_unit_test(only_the_first_complaint_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
