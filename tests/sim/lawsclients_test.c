/* lawsclients_test.c - the laws about parents and monitors: stories that break none, and for
 * each law a violation that the witness must see. (The cluster itself judges PARENT_ENDS,
 * DRIVER_HEARS and MONITOR_CATCHES_UP.) */
#include "tests/sim/lawstesting.h"

static const struct id PARENT = {{9}}, CHILD[] = {{{1}}, {{2}}, {{3}}};
enum { FIRST = 7, SECOND = 8 /* sessions */ };

/* ---- Parents: task t0 and, after its success, two instances of t1 */
static void make_plan(struct rig *r)
{
    struct graph *g = &r->graph;
    g->n = 2;
    g->tasks = mem_zalloc(g->n, sizeof *g->tasks);
    for (unsigned i = 0; i < g->n; i++) {
        g->tasks[i].name = mem_printf("t%u", i);
        g->tasks[i].count = i + 1;
    }
    g->tasks[1].after = mem_zalloc(1, sizeof *g->tasks[1].after);
    g->tasks[1].n_after = 1;
    g->tasks[1].after[0] =
        (struct graph_condition){.task = 0, .is = IS_SUCCESS, .layer = LAYER_PACKAGE};
    d_parent_encode(&(struct d_parent){.caller = span_str("dora"), .key = span_str("p")}, &r->plan);
    d_signed_encode(&(struct d_signed){.signer = span_str("dora"), .body = buf_span(&r->plan)},
                    &r->plan_signed);
    laws_plan(r->laws, "dora", "p", buf_span(&r->plan), g);
}

static void begun(struct rig *r, struct id parent)
{
    RECORD(r, PARENT_BEGUN, parent_begun, .run = parent, .parent = buf_span(&r->plan_signed));
}

static void driven(struct rig *r, uint64_t epoch)
{
    RECORD(r, PARENT_DRIVEN, parent_driven, .run = PARENT, .epoch = epoch);
}

static void until_driven(struct rig *r)
{
    begun(r, PARENT);
    SAYS_TO(r, FIRST, accepted, .run = PARENT);
    laws_parent_accepted(r->laws, "dora", "p", PARENT);
    driven(r, 1);
    SAYS_TO(r, FIRST, driving, .parent = PARENT, .epoch = 1);
    laws_driving(r->laws, PARENT, 1, "dora-1");
}

static void called(struct rig *r, struct id run, const char *key, const char *task, uint64_t index)
{
    catalog_write_call(&(struct d_call){.caller = span_str("dora"),
                                        .key = span_str(key),
                                        .parent = PARENT,
                                        .task = span_str(task),
                                        .index = index},
                       &r->body, &r->call);
    RECORD(r, CALLED, called, .run = run, .call = buf_span(&r->call));
}

static void ended(struct rig *r, struct id run, bool good)
{
    enum job_outcome j = good ? JOB_SUCCEEDED : JOB_FAILED;
    enum package_outcome p = good ? PACKAGE_SUCCEEDED : PACKAGE_FAILED;
    buf_clear(&r->outcome);
    d_outcome_encode(&(struct d_outcome){.delivery = DELIVERY_CALLED,
                                         .job = j,
                                         .package = p,
                                         .status = outcome_status(DELIVERY_CALLED, j, p)},
                     &r->outcome);
    RECORD(r, ENDED, ended, .run = run, .outcome = buf_span(&r->outcome));
}

static void until_all_have_ended(struct rig *r, bool good)
{
    until_driven(r);
    called(r, CHILD[0], "a", "t0", 0);
    ended(r, CHILD[0], true);
    called(r, CHILD[1], "b", "t1", 0);
    called(r, CHILD[2], "c", "t1", 1);
    ended(r, CHILD[1], true);
    ended(r, CHILD[2], good);
}

static void parent_ended(struct rig *r, enum status status)
{
    RECORD(r, PARENT_ENDED, parent_ended, .run = PARENT, .status = status);
}

static void begun_twice(struct rig *r)
{
    begun(r, PARENT);
    begun(r, CHILD[0]);
}
static void begun_and_answered_with_another(struct rig *r)
{
    until_driven(r);
    laws_parent_accepted(r->laws, "dora", "q", PARENT);
}
static void begun_and_not_on_disk(struct rig *r)
{
    laws_parent_accepted(r->laws, "dora", "p", PARENT);
}
static void gone_before_its_end(struct rig *r)
{
    until_driven(r);
    laws_parent_gone(r->laws, PARENT);
}
static void driving_too_early(struct rig *r)
{
    begun(r, PARENT);
    SAYS_TO(r, FIRST, driving, .parent = PARENT, .epoch = 1);
}
static void two_drive_in_one_epoch(struct rig *r)
{
    until_driven(r);
    SAYS_TO(r, SECOND, driving, .parent = PARENT, .epoch = 1);
}
static void an_old_epoch_is_given(struct rig *r)
{
    until_driven(r);
    driven(r, 2);
    SAYS_TO(r, SECOND, driving, .parent = PARENT, .epoch = 2);
    SAYS_TO(r, FIRST, driving, .parent = PARENT, .epoch = 1);
}
static void an_epoch_is_left_out(struct rig *r)
{
    until_driven(r);
    driven(r, 3);
}
static void two_parent_ends(struct rig *r)
{
    until_all_have_ended(r, true);
    parent_ended(r, STATUS_SUCCEEDED);
    parent_ended(r, STATUS_SUCCEEDED);
}
static void driven_after_its_end(struct rig *r)
{
    until_all_have_ended(r, true);
    parent_ended(r, STATUS_SUCCEEDED);
    driven(r, 2);
}
static void the_end_of_an_old_epoch_counts(struct rig *r)
{
    until_all_have_ended(r, true);
    driven(r, 2);
    parent_ended(r, STATUS_SUCCEEDED);
    laws_parent_end_heard(r->laws, PARENT, 1, STATUS_SUCCEEDED, false);
}
static void another_verdict_than_was_sent(struct rig *r)
{
    until_all_have_ended(r, true);
    parent_ended(r, STATUS_SUCCEEDED);
    laws_parent_end_heard(r->laws, PARENT, 1, STATUS_FAILED, false);
}
static void heard_before_it_is_on_disk(struct rig *r)
{
    until_all_have_ended(r, true);
    laws_parent_end_heard(r->laws, PARENT, 1, STATUS_SUCCEEDED, false);
}
static void an_instance_twice(struct rig *r)
{
    until_driven(r);
    called(r, CHILD[0], "a", "t0", 0);
    called(r, CHILD[1], "b", "t0", 0);
}
static void a_task_too_early(struct rig *r)
{
    until_driven(r);
    called(r, CHILD[0], "a", "t0", 0);
    called(r, CHILD[1], "b", "t1", 0);
}
static void a_task_that_never_may(struct rig *r)
{
    until_driven(r);
    called(r, CHILD[0], "a", "t0", 0);
    ended(r, CHILD[0], false);
    called(r, CHILD[1], "b", "t1", 0);
}
static void a_task_of_no_plan(struct rig *r)
{
    until_driven(r);
    called(r, CHILD[0], "a", "t2", 0);
}
static void succeeded_with_a_failed_child(struct rig *r)
{
    until_all_have_ended(r, false);
    parent_ended(r, STATUS_SUCCEEDED);
}
static void failed_with_good_children(struct rig *r)
{
    until_all_have_ended(r, true);
    parent_ended(r, STATUS_FAILED);
}
static void ended_with_a_child_that_runs(struct rig *r)
{
    until_driven(r);
    called(r, CHILD[0], "a", "t0", 0);
    parent_ended(r, STATUS_FAILED);
}
static void cancelled_by_nobody(struct rig *r)
{
    until_driven(r);
    parent_ended(r, STATUS_CANCELLED);
}

/* ---- Monitors: of records 1 to 6, the second and fifth are about server wh1 */
static const struct sim_filter all = {.key = NULL}, of_server = {.key = "server", .value = "wh1"};

static void happened(struct rig *r)
{
    for (unsigned i = 1; i <= 6; i++) {
        if (i % 3 == 2)
            RECORD_OF_NONE(r, SERVER, server, .server = span_str("wh1"));
        else
            RECORD_OF_NONE(r, EPOCH, epoch, .epoch = i);
    }
}

static struct m_events events(struct rig *r, uint64_t from, uint64_t to, unsigned n,
                              const uint64_t *seqs)
{
    buf_clear(&r->texts);
    for (unsigned i = 0; i < n; i++) {
        char text[40];
        snprintf(text, sizeof text, "%llu what happened", (unsigned long long)seqs[i]);
        wire_add_str(&r->texts, span_str(text));
    }
    return (struct m_events){
        .req = 1, .from = from, .to = to, .events = wire_list_from(&r->texts, n)};
}
#define SEQS(...) \
    (sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t)), (const uint64_t[]) \
    { \
        __VA_ARGS__ \
    }

static void mia_hears(struct rig *r, uint64_t from, uint64_t to, unsigned n, const uint64_t *seqs)
{
    struct m_events m = events(r, from, to, n, seqs);
    laws_monitor_hears(r->laws, "mia", &m);
}

static void subscribed(struct rig *r, uint64_t after, const struct sim_filter *f)
{
    happened(r);
    laws_monitor_subscribes(r->laws, "mia", 1, after, f);
}

static void an_event_twice(struct rig *r)
{
    subscribed(r, 0, &all);
    mia_hears(r, 0, 2, SEQS(1, 2, 2));
}
static void an_event_is_left_out(struct rig *r)
{
    subscribed(r, 0, &all);
    mia_hears(r, 0, 3, SEQS(1, 3));
}
static void the_last_is_left_out(struct rig *r)
{
    subscribed(r, 0, &all);
    mia_hears(r, 0, 3, SEQS(1, 2));
}
static void out_of_order(struct rig *r)
{
    subscribed(r, 0, &all);
    mia_hears(r, 0, 3, SEQS(2, 1, 3));
}
static void a_gap_between_messages(struct rig *r)
{
    subscribed(r, 0, &all);
    mia_hears(r, 0, 2, SEQS(1, 2));
    mia_hears(r, 3, 4, SEQS(4));
}
static void from_the_beginning_after_a_break(struct rig *r)
{
    subscribed(r, 4, &all);
    mia_hears(r, 0, 2, SEQS(1, 2));
}
static void what_the_filter_leaves_out(struct rig *r)
{
    subscribed(r, 0, &of_server);
    mia_hears(r, 0, 3, SEQS(2, 3));
}
static void one_of_the_filter_is_missing(struct rig *r)
{
    subscribed(r, 0, &of_server);
    mia_hears(r, 0, 6, SEQS(2));
}
static void events_too_early(struct rig *r)
{
    happened(r);
    HEARS_FROM(r, FIRST, subscribe, .req = 1, .credit = 1000);
    struct m_events m = events(r, 0, 7, SEQS(7));
    SAYS_TO(r, FIRST, events, .req = 1, .from = 0, .to = 7, .events = m.events);
}
static void more_than_the_credit(struct rig *r)
{
    happened(r);
    HEARS_FROM(r, FIRST, subscribe, .req = 1, .credit = 20);
    struct m_events m = events(r, 0, 2, SEQS(1, 2));
    SAYS_TO(r, FIRST, events, .req = 1, .from = 0, .to = 2, .events = m.events);
}
static void to_nobody(struct rig *r)
{
    happened(r);
    struct m_events m = events(r, 0, 1, SEQS(1));
    SAYS_TO(r, FIRST, events, .req = 1, .from = 0, .to = 1, .events = m.events);
}
static void a_long_queue(struct rig *r)
{
    HEARS_FROM(r, FIRST, subscribe, .req = 1, .credit = 1000);
    laws_queued(r->laws, FIRST, "mia", 100000);
}
static void news_for_a_shut_window(struct rig *r)
{
    struct buf b = {0};
    m_run_state_encode(&(struct m_run_state){.run = CHILD[0], .state = RUN_RUNNING}, &b);
    laws_news(r->laws, "anna", true, buf_span(&b));
    laws_news(r->laws, "anna", false, buf_span(&b));
    buf_free(&b);
}
static void the_same_page_again(struct rig *r)
{
    HEARS_FROM(r, FIRST, subscribe, .req = 1, .credit = 1000);
    laws_asked(r->laws, FIRST, 5);
    laws_asked(r->laws, FIRST, 5);
}

static const struct violation violations[] = {
    {LAW_ONE_RUN_FOR_A_KEY, begun_twice},
    {LAW_ONE_RUN_FOR_A_KEY, begun_and_answered_with_another},
    {LAW_ACCEPTED_IS_KEPT, begun_and_not_on_disk},
    {LAW_ACCEPTED_IS_KEPT, gone_before_its_end},
    {LAW_SAID_IS_DURABLE, driving_too_early},
    {LAW_ONE_DRIVER, two_drive_in_one_epoch},
    {LAW_ONE_DRIVER, an_old_epoch_is_given},
    {LAW_ONE_DRIVER, an_epoch_is_left_out},
    {LAW_ONE_PARENT_END, two_parent_ends},
    {LAW_ONE_PARENT_END, driven_after_its_end},
    {LAW_ONE_PARENT_END, the_end_of_an_old_epoch_counts},
    {LAW_ONE_PARENT_END, another_verdict_than_was_sent},
    {LAW_ONE_PARENT_END, heard_before_it_is_on_disk},
    {LAW_ONE_CALL_FOR_AN_INSTANCE, an_instance_twice},
    {LAW_STARTS_WHEN_IT_MAY, a_task_too_early},
    {LAW_STARTS_WHEN_IT_MAY, a_task_that_never_may},
    {LAW_STARTS_WHEN_IT_MAY, a_task_of_no_plan},
    {LAW_VERDICT_IS_TRUE, succeeded_with_a_failed_child},
    {LAW_VERDICT_IS_TRUE, failed_with_good_children},
    {LAW_VERDICT_IS_TRUE, ended_with_a_child_that_runs},
    {LAW_VERDICT_IS_TRUE, cancelled_by_nobody},
    {LAW_MONITOR_IN_ORDER, an_event_twice},
    {LAW_MONITOR_IN_ORDER, an_event_is_left_out},
    {LAW_MONITOR_IN_ORDER, the_last_is_left_out},
    {LAW_MONITOR_IN_ORDER, out_of_order},
    {LAW_MONITOR_IN_ORDER, a_gap_between_messages},
    {LAW_MONITOR_IN_ORDER, from_the_beginning_after_a_break},
    {LAW_MONITOR_IN_ORDER, what_the_filter_leaves_out},
    {LAW_MONITOR_IN_ORDER, one_of_the_filter_is_missing},
    {LAW_SAID_IS_DURABLE, events_too_early},
    {LAW_CREDIT_HOLDS, more_than_the_credit},
    {LAW_CREDIT_HOLDS, to_nobody},
    {LAW_QUEUE_HOLDS, a_long_queue},
    {LAW_QUEUE_HOLDS, news_for_a_shut_window},
    {LAW_STOPPED_COSTS_NOTHING, the_same_page_again},
};

static void each_violation_breaks_its_law(void **state)
{
    (void)state;
    rig_each_breaks_its_law(violations, sizeof violations / sizeof *violations, make_plan);
}

static void a_well_driven_parent_breaks_no_law(void **state)
{
    struct rig r;
    struct id one;
    (void)state;
    rig_begin(&r);
    make_plan(&r);
    until_all_have_ended(&r, false);
    assert_int_equal(laws_parents_open(r.laws, &one), 1);
    driven(&r, 2); /* by another driver */
    SAYS_TO(&r, SECOND, driving, .parent = PARENT, .epoch = 2);
    parent_ended(&r, STATUS_FAILED);
    laws_parent_end_heard(r.laws, PARENT, 2, STATUS_FAILED, false);
    laws_parent_end_heard(r.laws, PARENT, 1, STATUS_CANCELLED, true); /* "it had ended already" */
    laws_parent_gone(r.laws, PARENT);
    assert_int_equal(laws_parents_open(r.laws, &one), 0);
    rig_end_unbroken(&r);
}

static void a_cancelled_parent_need_not_have_called_its_children(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    make_plan(&r);
    until_driven(&r);
    laws_parent_cancel(r.laws, PARENT);
    parent_ended(&r, STATUS_CANCELLED);
    rig_end_unbroken(&r);
}

static void a_well_served_monitor_breaks_no_law(void **state)
{
    struct rig r;
    (void)state;
    rig_begin(&r);
    subscribed(&r, 1, &of_server);
    HEARS_FROM(&r, FIRST, subscribe, .req = 1, .after = 1, .credit = 20);
    struct m_events m = events(&r, 1, 3, SEQS(2));
    SAYS_TO(&r, FIRST, events, .req = 1, .from = 1, .to = 3, .events = m.events);
    mia_hears(&r, 1, 3, SEQS(2));
    laws_asked(r.laws, FIRST, 3);
    HEARS_FROM(&r, FIRST, credit, .req = 1, .bytes = strlen("2 what happened"));
    laws_asked(r.laws, FIRST, 3);
    laws_queued(r.laws, FIRST, "mia", 60);
    m = events(&r, 3, 6, SEQS(5));
    SAYS_TO(&r, FIRST, events, .req = 1, .from = 3, .to = 6, .events = m.events);
    mia_hears(&r, 3, 6, SEQS(5));
    assert_int_equal(laws_last_event(r.laws, &of_server), 5);
    assert_int_equal(laws_last_event(r.laws, &all), 6);
    rig_end_unbroken(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_violation_breaks_its_law),
        cmocka_unit_test(a_well_driven_parent_breaks_no_law),
        cmocka_unit_test(a_cancelled_parent_need_not_have_called_its_children),
        cmocka_unit_test(a_well_served_monitor_breaks_no_law),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
