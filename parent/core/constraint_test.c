/* Every kind of condition in every layer, for every way to end, and the words for conditions that
 * can no longer hold. */
#include "parent/core/fixture.h"

/* what happens to a task with that condition when its source ends this way */
enum then { OPENED, SKIPPED };

static const struct constraint_ending {
    const char *name;
    enum delivery d;
    enum job_outcome j;
    enum package_outcome p;
} endings[] = {
    {"all well", DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED},
    {"no package was run", DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_NOT_EXECUTED},
    {"the job handled its package's failure", DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_FAILED},
    {"the job failed beside its package", DELIVERY_CALLED, JOB_FAILED, PACKAGE_SUCCEEDED},
    {"failed", DELIVERY_CALLED, JOB_FAILED, PACKAGE_FAILED},
    {"cancelled before a step", DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_NOT_EXECUTED},
    {"timed out", DELIVERY_CALLED, JOB_TIMED_OUT, PACKAGE_FAILED},
    {"lost", DELIVERY_CALLED, JOB_LOST, PACKAGE_UNKNOWN},
    {"refused", DELIVERY_REFUSED, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED},
    {"unreachable", DELIVERY_UNREACHABLE, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED},
};
enum { ENDINGS = sizeof endings / sizeof *endings };

/* O: the task starts, x: it is skipped. One column for each row of `endings`. */
static const struct {
    unsigned is, layer;
    const char *expected;
} rows[] = {
    {IS_SUCCESS, LAYER_PACKAGE, "OOxOxxxxxx"},     {IS_SUCCESS, LAYER_JOB, "OOOxxxxxxx"},
    {IS_SUCCESS, LAYER_DELIVERY, "OOOOOOOOxx"},    {IS_FAILURE, LAYER_PACKAGE, "xxOxOOOOOO"},
    {IS_FAILURE, LAYER_JOB, "xxxOOOOOOO"},         {IS_FAILURE, LAYER_DELIVERY, "xxxxxxxxOO"},
    {IS_COMPLETION, LAYER_PACKAGE, "OOOOOOOOOO"},  {IS_COMPLETION, LAYER_JOB, "OOOOOOOOOO"},
    {IS_COMPLETION, LAYER_DELIVERY, "OOOOOOOOOO"}, {IS_CALLED, LAYER_DELIVERY, "OOOOOOOOxx"},
};

static void each_way_to_end_settles_each_condition_in_each_layer(void **state)
{
    (void)state;
    for (unsigned r = 0; r < sizeof rows / sizeof *rows; r++)
        for (unsigned e = 0; e < ENDINGS; e++) {
            struct parent_world w;
            struct graph g = graph_begin("night");
            uint32_t a = add_task(&g, "a", 1), b = add_task(&g, "b", 1);
            add_after(&g, b, a, rows[r].is, rows[r].layer);
            world_begin(&w, g, 0);
            child_is(&w, a, 0, endings[e].d, endings[e].j, endings[e].p, NULL, NULL);
            const char *expected = rows[r].expected[e] == 'O' ? "call b/0; " : "skip b; ";
            if (strncmp(buf_str(&w.log), expected, strlen(expected)) != 0)
                fail_msg("%s in layer %s after '%s': %s", condition_kind_text(rows[r].is),
                         condition_layer_text(rows[r].layer), endings[e].name, buf_str(&w.log));
            world_end(&w);
        }
}

static void conditions_on_delivery_hold_as_soon_as_a_step_has_started(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 2), b = add_task(&g, "b", 1), c = add_task(&g, "c", 1),
             d = add_task(&g, "d", 1), e = add_task(&g, "e", 1);
    add_after(&g, b, a, IS_CALLED, LAYER_DELIVERY);
    add_after(&g, c, a, IS_SUCCESS, LAYER_DELIVERY);
    add_after(&g, d, a, IS_COMPLETION, LAYER_DELIVERY);
    add_after(&g, e, a, IS_FAILURE, LAYER_DELIVERY);
    world_begin(&w, g, 0);
    run_is(&w, a, 0, RUN_HANDED_OVER, "etl1", 0, NULL); /* may come back, so not called yet */
    assert_log(&w, "");
    run_is(&w, a, 0, RUN_RUNNING, "etl1", 0, NULL);
    assert_log(&w, "");
    run_is(&w, a, 1, RUN_RUNNING, "etl2", 0, NULL);
    assert_log(&w, "skip e; call b/0; call c/0; call d/0; ");
    assert_string_equal(world_reason(&w, e),
                        "waits for failure in the layer delivery of 'a', which was called");
    world_end(&w);
}

static void a_run_that_was_called_stays_called_when_its_rerun_finds_no_server(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 2), b = add_task(&g, "b", 1);
    add_after(&g, b, a, IS_CALLED, LAYER_DELIVERY);
    world_begin(&w, g, 0);
    run_is(&w, a, 0, RUN_RUNNING, "etl1", 0, NULL);
    child_is(&w, a, 0, DELIVERY_UNREACHABLE, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED, NULL, NULL);
    assert_log(&w, "");
    run_is(&w, a, 1, RUN_RUNNING, "etl1", 0, NULL);
    assert_log(&w, "call b/0; ");
    world_end(&w);
}

static void success_of_many_needs_all_and_one_failure_rules_it_out(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 3), good = add_task(&g, "good", 1), bad = add_task(&g, "bad", 1),
             done = add_task(&g, "done", 1);
    add_after(&g, good, a, IS_SUCCESS, LAYER_PACKAGE);
    add_after(&g, bad, a, IS_FAILURE, LAYER_PACKAGE);
    add_after(&g, done, a, IS_COMPLETION, LAYER_PACKAGE);
    world_begin(&w, g, 0);
    child_succeeds(&w, a, 0);
    assert_log(&w, "");
    child_fails(&w, a, 2);
    assert_log(&w, "skip good; call bad/0; ");
    assert_string_equal(world_reason(&w, good), "waits for success of 'a', of which a[t2] failed");
    child_succeeds(&w, a, 1);
    assert_log(&w, "call done/0; ");
    world_end(&w);

    g = graph_begin("night");
    a = add_task(&g, "a", 2), bad = add_task(&g, "bad", 1);
    add_after(&g, bad, a, IS_FAILURE, LAYER_PACKAGE);
    world_begin(&w, g, 0);
    child_succeeds(&w, a, 0);
    assert_log(&w, "");
    child_succeeds(&w, a, 1);
    assert_log(&w, "skip bad; end succeeded; ");
    world_end(&w);
}

static void may_fail_affects_the_verdict_but_not_conditions(void **state)
{
    (void)state;
    for (int may_fail = 0; may_fail < 2; may_fail++) {
        struct parent_world w;
        struct graph g = graph_begin("night");
        uint32_t a = add_task(&g, "a", 2), b = add_task(&g, "b", 1), c = add_task(&g, "c", 1);
        g.tasks[a].may_fail = may_fail;
        add_after(&g, b, a, IS_SUCCESS, LAYER_PACKAGE);
        add_after(&g, c, a, IS_FAILURE, LAYER_PACKAGE);
        world_begin(&w, g, 0);
        child_fails(&w, a, 0);
        assert_log(&w, "skip b; call c/0; ");
        child_succeeds(&w, c, 0);
        child_succeeds(&w, a, 1);
        assert_log(&w, may_fail ? "end succeeded; " : "end failed; ");
        world_end(&w);
    }
}

static void each_reason_reads_as_a_sentence(void **state)
{
    (void)state;
    static const struct {
        unsigned is, layer, ending;
        const char *reason;
    } said[] = {
        {IS_SUCCESS, LAYER_PACKAGE, 4, "waits for success of 'a', which failed"},
        {IS_SUCCESS, LAYER_PACKAGE, 5, "waits for success of 'a', which was cancelled"},
        {IS_SUCCESS, LAYER_PACKAGE, 6, "waits for success of 'a', which timed out"},
        {IS_SUCCESS, LAYER_PACKAGE, 7, "waits for success of 'a', which was lost"},
        {IS_SUCCESS, LAYER_PACKAGE, 8, "waits for success of 'a', which was refused"},
        {IS_SUCCESS, LAYER_JOB, 9,
         "waits for success in the layer job of 'a', which was unreachable"},
        {IS_FAILURE, LAYER_PACKAGE, 0, "waits for failure of 'a', which succeeded"},
        {IS_FAILURE, LAYER_JOB, 2,
         "waits for failure in the layer job of 'a', whose job succeeded"},
        {IS_FAILURE, LAYER_PACKAGE, 3, "waits for failure of 'a', whose package succeeded"},
        {IS_FAILURE, LAYER_DELIVERY, 4,
         "waits for failure in the layer delivery of 'a', which was called"},
        {IS_CALLED, LAYER_DELIVERY, 9, "waits for the call of 'a', which was unreachable"},
    };
    for (unsigned i = 0; i < sizeof said / sizeof *said; i++) {
        struct parent_world w;
        struct graph g = graph_begin("night");
        uint32_t a = add_task(&g, "a", 1), b = add_task(&g, "b", 1);
        add_after(&g, b, a, said[i].is, said[i].layer);
        world_begin(&w, g, 0);
        const struct constraint_ending *e = &endings[said[i].ending];
        child_is(&w, a, 0, e->d, e->j, e->p, NULL, NULL);
        assert_string_equal(world_reason(&w, b), said[i].reason);
        world_end(&w);
    }
}

static void a_long_or_names_three_conditions_and_counts_the_rest(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 1), b = add_task(&g, "b", 1);
    g.tasks[b].join_or = true;
    for (unsigned l = 0; l < LAYER_COUNT; l++)
        add_after(&g, b, a, IS_SUCCESS, l);
    add_after(&g, b, a, IS_CALLED, LAYER_DELIVERY);
    add_after(&g, b, a, IS_SUCCESS, LAYER_PACKAGE);
    world_begin(&w, g, 0);
    child_is(&w, a, 0, DELIVERY_REFUSED, JOB_NOT_CALLED, PACKAGE_NOT_EXECUTED, NULL, NULL);
    assert_string_equal(
        world_reason(&w, b),
        "waits for success of 'a', which was refused; or success in the layer job of 'a', which "
        "was refused; or success in the layer delivery of 'a', which was refused; or 2 more that "
        "can no longer hold");
    world_end(&w);
}

static void a_condition_on_each_server_waits_until_the_servers_are_known(void **state)
{
    (void)state;
    struct parent_world w = {.silent = true};
    struct graph g = graph_begin("night");
    uint32_t a = add_each(&g, "a"), b = add_task(&g, "b", 1), c = add_task(&g, "c", 1);
    add_after(&g, b, a, IS_COMPLETION, LAYER_PACKAGE);
    add_after(&g, c, a, IS_FAILURE, LAYER_PACKAGE);
    w.graph = g;
    w.core = pcore_new(&(struct pcore_config){.graph = &w.graph});
    world_step(&w, (struct pcore_event){.kind = PCORE_BEGIN});
    assert_log(&w, "resolve a; ");
    static const char *const servers[] = {"etl2", "etl1"};
    w.silent = false;
    buf_clear(&w.log);
    world_step(
        &w,
        (struct pcore_event){
            .kind = PCORE_RESOLVED, .task = a, .found = true, .servers = servers, .n_servers = 2});
    assert_log(&w, "call a/0; call a/1; ");
    child_succeeds(&w, a, 0);
    assert_log(&w, "");
    child_succeeds(&w, a, 1);
    assert_log(&w, "skip c; call b/0; ");
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_to_end_settles_each_condition_in_each_layer),
        cmocka_unit_test(conditions_on_delivery_hold_as_soon_as_a_step_has_started),
        cmocka_unit_test(a_run_that_was_called_stays_called_when_its_rerun_finds_no_server),
        cmocka_unit_test(success_of_many_needs_all_and_one_failure_rules_it_out),
        cmocka_unit_test(may_fail_affects_the_verdict_but_not_conditions),
        cmocka_unit_test(each_reason_reads_as_a_sentence),
        cmocka_unit_test(a_long_or_names_three_conditions_and_counts_the_rest),
        cmocka_unit_test(a_condition_on_each_server_waits_until_the_servers_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
