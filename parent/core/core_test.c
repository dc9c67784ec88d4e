#include "parent/core/fixture.h"

static void a_task_without_conditions_starts_at_once_and_ends_the_parent(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 1);
    world_begin(&w, g, 0);
    assert_log(&w, "call a/0; ");
    child_succeeds(&w, a, 0);
    assert_log(&w, "end succeeded; ");
    world_end(&w);
}

static void a_plan_without_tasks_succeeds(void **state)
{
    (void)state;
    struct parent_world w;
    world_begin(&w, graph_begin("night"), 0);
    assert_log(&w, "end succeeded; ");
    world_end(&w);
}

static void a_call_has_key_parameters_address_and_the_resolved_hash(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "extract", 2);
    value_add_int(&add_binding(&g, a, "day", FROM_VALUE)->value, 21);
    add_binding(&g, a, "table", FROM_ITEM)->list = 0;
    world_begin(&w, g, 1);
    assert_log(&w, "call extract/0; ");
    w.silent = true; /* the version is fixed for all instances, so it is asked for once */
    struct d_outcome o = {
        .status = STATUS_SUCCEEDED, .job = JOB_SUCCEEDED, .package = PACKAGE_SUCCEEDED};
    struct pcore_event ev = {.kind = PCORE_ENDED, .task = a, .index = 0, .outcome = &o};
    pcore_step(w.core, &ev, &w.out);
    const struct pcore_effect *e = &w.out.effects[w.out.n_effects - 1];
    assert_int_equal(e->kind, PCORE_FX_CALL);
    assert_int_equal(e->index, 1);
    assert_true(span_eq_str(e->key, "11111111-1111-1111-1111-111111111111/extract/1/1"));
    assert_true(span_eq_str(e->address, "etl"));
    assert_int_equal(e->job_hash.b[0], 7);
    struct value v;
    assert_int_equal(e->parameters.count, 2);
    assert_true(wire_map_get(&e->parameters, "day", &v) && v.integer == 21);
    assert_true(wire_map_get(&e->parameters, "table", &v) && span_eq_str(v.bytes, "t1"));
    world_end(&w);
}

static void a_task_starts_only_when_all_its_conditions_hold(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 1), b = add_task(&g, "b", 1), c = add_task(&g, "c", 1);
    add_after(&g, c, a, IS_SUCCESS, LAYER_PACKAGE);
    add_after(&g, c, b, IS_COMPLETION, LAYER_PACKAGE);
    world_begin(&w, g, 0);
    assert_log(&w, "call a/0; call b/0; ");
    child_succeeds(&w, a, 0);
    assert_log(&w, "");
    child_fails(&w, b, 0);
    assert_log(&w, "call c/0; ");
    child_succeeds(&w, c, 0);
    assert_log(&w, "end failed; ");
    world_end(&w);
}

static void with_join_or_one_condition_starts_a_task_and_none_skips_it(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 1), b = add_task(&g, "b", 1), c = add_task(&g, "c", 1),
             d = add_task(&g, "d", 1);
    g.tasks[c].join_or = g.tasks[d].join_or = true;
    add_after(&g, c, a, IS_FAILURE, LAYER_PACKAGE);
    add_after(&g, c, b, IS_FAILURE, LAYER_PACKAGE);
    add_after(&g, d, a, IS_FAILURE, LAYER_PACKAGE);
    add_after(&g, d, b, IS_SUCCESS, LAYER_PACKAGE);
    world_begin(&w, g, 0);
    child_succeeds(&w, a, 0);
    assert_log(&w, "");
    child_succeeds(&w, b, 0);
    assert_log(&w, "skip c; call d/0; ");
    assert_string_equal(
        world_reason(&w, c),
        "waits for failure of 'a', which succeeded; or failure of 'b', which succeeded");
    child_succeeds(&w, d, 0);
    assert_log(&w, "end succeeded; ");
    world_end(&w);
}

static void skips_spread_to_waiting_tasks_with_a_reason(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t bad = add_task(&g, "bad", 1), b = add_task(&g, "b", 1), c = add_task(&g, "c", 1);
    g.tasks[bad].may_fail = true;
    add_after(&g, b, bad, IS_SUCCESS, LAYER_PACKAGE);
    add_after(&g, c, b, IS_COMPLETION, LAYER_PACKAGE);
    world_begin(&w, g, 0);
    child_fails(&w, bad, 0);
    assert_log(&w, "skip b; skip c; end succeeded; ");
    assert_string_equal(world_reason(&w, b), "waits for success of 'bad', which failed");
    assert_string_equal(world_reason(&w, c),
                        "waits for completion of 'b', which was skipped because bad failed");
    world_end(&w);
}

static void a_chain_of_a_hundred_thousand_skipped_tasks_needs_no_deep_stack(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t last = add_task(&g, "t", 1);
    for (int i = 1; i < LIMIT_TASKS; i++) {
        uint32_t t = add_task(&g, "t", 1);
        add_after(&g, t, last, IS_SUCCESS, LAYER_PACKAGE);
        last = t;
    }
    world_begin(&w, g, 0);
    child_fails(&w, 0, 0);
    struct pcore_totals totals;
    pcore_totals(w.core, &totals);
    assert_int_equal(totals.tasks_skipped, LIMIT_TASKS - 1);
    assert_int_equal(totals.children, 1);
    assert_true(totals.over && totals.verdict == STATUS_FAILED);
    world_end(&w);
}

static void
a_task_of_a_hundred_thousand_children_never_has_more_than_its_bound_in_flight(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", LIMIT_TASKS);
    world_begin(&w, g, 0);
    assert_int_equal(pcore_in_flight(w.core), PCORE_IN_FLIGHT);
    for (uint32_t i = 0; i < LIMIT_TASKS; i++) {
        child_succeeds(&w, a, i);
        assert_true(pcore_in_flight(w.core) <= PCORE_IN_FLIGHT);
    }
    assert_log(&w, "end succeeded; ");
    world_end(&w);
}

static void ready_tasks_take_turns_and_higher_priority_goes_first(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 3), b = add_task(&g, "b", 3), c = add_task(&g, "c", 2);
    g.tasks[c].priority = 9;
    world_begin(&w, g, 1);
    assert_log(&w, "call c/0; ");
    child_succeeds(&w, c, 0);
    assert_log(&w, "call c/1; ");
    const struct {
        uint32_t task, index;
        const char *log;
    } rows[] = {{c, 1, "call a/0; "},     {a, 0, "call b/0; "}, {b, 0, "call a/1; "},
                {a, 1, "call b/1; "},     {b, 1, "call a/2; "}, {a, 2, "call b/2; "},
                {b, 2, "end succeeded; "}};
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        child_succeeds(&w, rows[i].task, rows[i].index);
        assert_log(&w, rows[i].log);
    }
    world_end(&w);
}

static void each_makes_one_call_for_every_server_in_the_answer(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_each(&g, "beat");
    world_begin(&w, g, 0);
    assert_log(&w, "call beat/0; call beat/1; ");
    struct pcore_child k;
    pcore_child(w.core, a, 1, &k);
    assert_string_equal(k.server, "etl2");
    child_succeeds(&w, a, 0);
    child_succeeds(&w, a, 1);
    assert_log(&w, "end succeeded; ");
    world_end(&w);
}

static void a_child_is_named_by_its_task_and_item(void **state)
{
    (void)state;
    struct parent_world w;
    struct buf name = {0};
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 2), b = add_task(&g, "b", 1), each = add_each(&g, "beat");
    struct graph_list *l = g.tasks[a].lists;
    buf_clear(&l->values); /* the first item is too long for a name */
    char item[300];
    memset(item, 'x', sizeof item);
    memcpy(item + PCORE_ITEM_MAX - 1, "\xc3\xa4", 2);
    value_add_str(&l->values, span_of((const uint8_t *)item, sizeof item));
    l->at[1] = (uint32_t)l->values.n;
    value_add_str(&l->values, span_str("t1"));
    l->at[2] = (uint32_t)l->values.n;
    world_begin(&w, g, 0);
    pcore_child_name(w.core, a, 1, &name);
    assert_string_equal(buf_str(&name), "a[t1]");
    buf_clear(&name);
    pcore_child_name(w.core, b, 0, &name);
    assert_string_equal(buf_str(&name), "b");
    buf_clear(&name);
    pcore_child_name(w.core, each, 0, &name);
    assert_string_equal(buf_str(&name), "beat[etl1]");
    buf_clear(&name);
    pcore_child_item(w.core, a, 0, &name);
    assert_int_equal(name.n, PCORE_ITEM_MAX - 1); /* not half a character */
    buf_free(&name);
    world_end(&w);
}

static void each_is_keyed_by_server_so_that_another_driver_finds_it(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_each(&g, "beat");
    world_begin(&w, g, 1);
    struct d_outcome o = {
        .status = STATUS_SUCCEEDED, .job = JOB_SUCCEEDED, .package = PACKAGE_SUCCEEDED};
    struct pcore_event ev = {.kind = PCORE_ENDED, .task = a, .index = 0, .outcome = &o};
    pcore_step(w.core, &ev, &w.out);
    const struct pcore_effect *e = &w.out.effects[w.out.n_effects - 1];
    assert_true(span_eq_str(e->key, "11111111-1111-1111-1111-111111111111/beat/etl2/1"));
    assert_true(span_eq_str(e->address, "etl2"));
    world_end(&w);
}

static void each_without_servers_is_unreachable_and_fails_the_parent(void **state)
{
    (void)state;
    struct parent_world w = {0};
    struct graph g = graph_begin("night");
    uint32_t a = add_each(&g, "beat");
    w.graph = g;
    w.core = pcore_new(&(struct pcore_config){.graph = &w.graph});
    world_step(&w, (struct pcore_event){.kind = PCORE_BEGIN}); /* answers with no servers */
    assert_log(&w, "end failed; ");
    struct pcore_child k;
    pcore_child(w.core, a, 0, &k);
    assert_int_equal(k.status, STATUS_UNREACHABLE);
    assert_string_equal(k.text, "no server is in 'etl'");
    world_end(&w);
}

static void an_empty_for_each_succeeds(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 0), b = add_task(&g, "b", 1), c = add_task(&g, "c", 1);
    add_after(&g, b, a, IS_SUCCESS, LAYER_PACKAGE);
    add_after(&g, c, a, IS_FAILURE, LAYER_PACKAGE);
    world_begin(&w, g, 0);
    assert_log(&w, "skip c; call b/0; ");
    assert_string_equal(world_reason(&w, c), "waits for failure of 'a', which had nothing to do");
    child_succeeds(&w, b, 0);
    assert_log(&w, "end succeeded; ");
    world_end(&w);
}

static struct wire_list rows_output(struct buf *b)
{
    value_add_str(b, span_str("rows"));
    value_add_int(b, 48211);
    return wire_list_from(b, 1);
}

static void an_output_keeps_its_type_in_a_later_parameter(void **state)
{
    (void)state;
    struct parent_world w;
    struct buf b = {0};
    struct wire_list outputs = rows_output(&b);
    struct graph g = graph_begin("night");
    uint32_t check = add_task(&g, "check", 1), mid = add_task(&g, "mid", 1),
             report = add_task(&g, "report", 1);
    add_after(&g, mid, check, IS_SUCCESS, LAYER_PACKAGE);
    add_after(&g, report, mid, IS_SUCCESS, LAYER_PACKAGE);
    struct graph_binding *p = add_binding(&g, report, "rows", FROM_OUTPUT);
    p->task = check;
    p->output = mem_strdup("rows");
    world_begin(&w, g, 0);
    child_is(&w, check, 0, DELIVERY_CALLED, JOB_SUCCEEDED, PACKAGE_SUCCEEDED, NULL, &outputs);
    buf_free(&b); /* the core keeps a copy */
    w.silent = true;
    child_succeeds(&w, mid, 0);
    assert_log(&w, "resolve report; ");
    struct pcore_event ev = {.kind = PCORE_RESOLVED, .task = report, .found = true};
    pcore_step(w.core, &ev, &w.out);
    struct value v;
    assert_int_equal(w.out.effects[0].kind, PCORE_FX_CALL);
    assert_true(wire_map_get(&w.out.effects[0].parameters, "rows", &v));
    assert_int_equal(v.type, VALUE_INT);
    assert_int_equal(v.integer, 48211);
    world_end(&w);
}

static void a_missing_output_refuses_the_child_and_fails_the_parent(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t check = add_task(&g, "check", 1), report = add_task(&g, "report", 2),
             last = add_task(&g, "last", 1);
    add_after(&g, report, check, IS_SUCCESS, LAYER_PACKAGE);
    add_after(&g, last, report, IS_SUCCESS, LAYER_PACKAGE);
    struct graph_binding *p = add_binding(&g, report, "n", FROM_OUTPUT);
    p->task = check;
    p->output = mem_strdup("rows");
    world_begin(&w, g, 0);
    child_succeeds(&w, check, 0);
    assert_log(&w, "skip last; end failed; ");
    struct pcore_child k;
    pcore_child(w.core, report, 1, &k);
    assert_int_equal(k.status, STATUS_REFUSED);
    assert_string_equal(k.text,
                        "parameter 'n' takes output 'rows' of 'check', which did not produce it");
    assert_string_equal(world_reason(&w, last),
                        "waits for success of 'report', of which report[t0] was refused");
    world_end(&w);
}

static void an_output_of_a_skipped_or_running_task_is_not_waited_for(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 1), b = add_task(&g, "b", 1), c = add_task(&g, "c", 1),
             d = add_task(&g, "d", 1);
    add_after(&g, b, a, IS_FAILURE, LAYER_PACKAGE); /* will be skipped */
    g.tasks[c].join_or = true;
    add_after(&g, c, a, IS_SUCCESS, LAYER_PACKAGE);
    add_after(&g, c, b, IS_SUCCESS, LAYER_PACKAGE);
    add_after(&g, d, a, IS_CALLED, LAYER_DELIVERY);
    struct graph_binding *p = add_binding(&g, c, "x", FROM_OUTPUT);
    p->task = b;
    p->output = mem_strdup("x");
    p = add_binding(&g, d, "x", FROM_OUTPUT);
    p->task = a;
    p->output = mem_strdup("x");
    world_begin(&w, g, 0);
    run_is(&w, a, 0, RUN_RUNNING, "etl1", 0, NULL);
    struct pcore_child k;
    pcore_child(w.core, d, 0, &k);
    assert_string_equal(k.text, "parameter 'x' takes output 'x' of 'a', which has not ended");
    child_succeeds(&w, a, 0);
    assert_log(&w, "skip b; skip c; end failed; ");
    assert_string_equal(world_reason(&w, c),
                        "needs output 'x' of 'b', which was skipped because a succeeded");
    world_end(&w);
}

static void cancel_stops_children_starts_none_and_ends_cancelled(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 5), b = add_task(&g, "b", 1), c = add_task(&g, "c", 1);
    add_after(&g, b, a, IS_COMPLETION, LAYER_PACKAGE);
    g.tasks[c].priority = 5;
    world_begin(&w, g, 3);
    assert_log(&w, "call c/0; call a/0; call a/1; ");
    run_is(&w, a, 0, RUN_RUNNING, "etl1", 0, NULL);
    run_is(&w, c, 0, RUN_WAITING, NULL, 0, NULL);
    world_cancelled(&w, "enough");
    assert_log(&w, "skip b; cancel c/0; cancel a/0; ");
    assert_string_equal(world_reason(&w, b), "the parent was cancelled: enough");
    world_cancelled(&w, "again");
    assert_log(&w, "");
    /* it is accepted late: only now can it be cancelled */
    run_is(&w, a, 1, RUN_WAITING, NULL, 0, NULL);
    assert_log(&w, "cancel a/1; ");
    child_is(&w, a, 0, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_CANCELLED, NULL, NULL);
    assert_log(&w, "");
    child_is(&w, a, 1, DELIVERY_CALLED, JOB_CANCELLED, PACKAGE_NOT_EXECUTED, NULL, NULL);
    child_succeeds(&w, c, 0);
    assert_log(&w, "end cancelled; ");
    struct pcore_task t;
    struct pcore_totals totals;
    pcore_task(w.core, a, &t);
    pcore_totals(w.core, &totals);
    assert_int_equal(t.not_started, 3);
    assert_int_equal(totals.not_started, 3);
    assert_int_equal(t.state, TASK_ENDED);
    world_end(&w);
}

static void cancel_before_an_answer_ends_at_once(void **state)
{
    (void)state;
    struct parent_world w = {.silent = true};
    struct graph g = graph_begin("night");
    add_task(&g, "a", 1);
    w.graph = g;
    w.core = pcore_new(&(struct pcore_config){.graph = &w.graph});
    world_step(&w, (struct pcore_event){.kind = PCORE_BEGIN});
    assert_log(&w, "resolve a; ");
    world_cancelled(&w, NULL);
    assert_log(&w, "skip a; end cancelled; ");
    assert_string_equal(world_reason(&w, 0), "the parent was cancelled");
    world_end(&w);
}

static void a_refused_call_ends_its_child_with_the_brokers_words(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 1), b = add_task(&g, "b", 1), c = add_task(&g, "c", 1);
    add_after(&g, b, a, IS_FAILURE, LAYER_DELIVERY);
    add_after(&g, c, a, IS_CALLED, LAYER_DELIVERY);
    world_begin(&w, g, 0);
    buf_clear(&w.log);
    world_step(&w,
               (struct pcore_event){
                   .kind = PCORE_REFUSED, .task = a, .code = REFUSAL_DENIED, .text = "no grant"});
    assert_log(&w, "skip c; call b/0; ");
    struct pcore_child k;
    pcore_child(w.core, a, 0, &k);
    assert_int_equal(k.delivery, DELIVERY_REFUSED);
    assert_int_equal(k.status, STATUS_REFUSED);
    assert_string_equal(k.text, "no grant");
    assert_string_equal(world_reason(&w, c), "waits for the call of 'a', which was refused");
    world_end(&w);
}

static void repeated_and_late_events_change_nothing(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 2);
    world_begin(&w, g, 0);
    run_is(&w, a, 0, RUN_RUNNING, "etl1", 10, "loading");
    run_is(&w, a, 0, RUN_RUNNING, "etl1", 10, "loading");
    child_fails(&w, a, 0);
    child_succeeds(&w, a, 0);
    run_is(&w, a, 0, RUN_RUNNING, "etl2", 50, NULL);
    assert_int_equal(w.out.n_effects, 0);
    world_step(&w, (struct pcore_event){.kind = PCORE_REFUSED, .task = a, .text = "late"});
    world_step(&w, (struct pcore_event){.kind = PCORE_BEGIN});
    world_step(&w, (struct pcore_event){.kind = PCORE_RESOLVED, .task = a});
    world_step(&w, (struct pcore_event){.kind = PCORE_RUN, .task = 9, .index = 9});
    assert_int_equal(w.out.n_effects, 0);
    struct pcore_child k;
    pcore_child(w.core, a, 0, &k);
    assert_int_equal(k.status, STATUS_FAILED);
    assert_string_equal(k.server, "etl1");
    assert_int_equal(pcore_in_flight(w.core), 1);
    child_succeeds(&w, a, 1);
    assert_log(&w, "end failed; ");
    child_succeeds(&w, a, 1);
    assert_log(&w, "");
    world_end(&w);
}

static void totals_count_the_children_by_state(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 5);
    world_begin(&w, g, 0);
    run_is(&w, a, 1, RUN_WAITING, NULL, 0, NULL);
    run_is(&w, a, 2, RUN_PARKED, NULL, 0, "no server");
    run_is(&w, a, 3, RUN_RUNNING, "etl1", 42, "loading orders");
    child_fails(&w, a, 4);
    struct pcore_totals t;
    pcore_totals(w.core, &t);
    assert_int_equal(t.children, 5);
    assert_int_equal(t.asked, 1);
    assert_int_equal(t.waiting, 1);
    assert_int_equal(t.parked, 1);
    assert_int_equal(t.running, 1);
    assert_int_equal(t.ended, 1);
    assert_int_equal(t.succeeded, 0);
    const void *cursor = NULL;
    struct pcore_child k;
    unsigned n = 0;
    while (pcore_next_live(w.core, &cursor, &k))
        assert_int_equal(k.index, n++);
    assert_int_equal(n, 4);
    world_end(&w);
}

static void each_start_and_end_of_a_child_is_reported_once(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 1);
    world_begin(&w, g, 0);
    static const struct {
        enum run_state state;
        uint64_t attempt;
        enum child_news news;
    } rows[] = {{RUN_WAITING, 0, NEWS_STATE},        {RUN_PARKED, 0, NEWS_STATE},
                {RUN_RUNNING, 1, NEWS_STARTED},      {RUN_RUNNING, 1, NEWS_PROGRESS},
                {RUN_OUT_OF_CONTACT, 1, NEWS_STATE}, {RUN_RUNNING, 1, NEWS_STATE},
                {RUN_RUNNING, 2, NEWS_STARTED}};
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pcore_event ev = {
            .kind = PCORE_RUN, .task = a, .state = rows[i].state, .attempt = rows[i].attempt};
        pcore_step(w.core, &ev, &w.out);
        assert_int_equal(w.out.n_effects, 1);
        assert_int_equal(w.out.effects[0].news, rows[i].news);
    }
    child_succeeds(&w, a, 0);
    assert_int_equal(w.out.effects[0].news, NEWS_ENDED);
    world_end(&w);
}

static struct d_outcome outcome_with_steps(struct buf *steps, enum status status)
{
    static const struct {
        const char *message;
        enum package_outcome package;
    } rows[] = {{"first", PACKAGE_SUCCEEDED},
                {"no such table", PACKAGE_FAILED},
                {"cleaned", PACKAGE_SUCCEEDED}};
    for (unsigned i = 0; i < 3; i++) {
        struct buf one = {0};
        struct d_step_outcome s = {.message = span_str(rows[i].message),
                                   .package = rows[i].package};
        d_step_outcome_encode(&s, &one);
        wire_add_bin(steps, buf_span(&one));
        buf_free(&one);
    }
    return (struct d_outcome){
        .status = status, .message = span_str("of the run"), .steps = wire_list_from(steps, 3)};
}

static void a_childs_message_comes_from_the_step_that_failed(void **state)
{
    (void)state;
    static const struct {
        enum status status;
        bool steps;
        const char *text;
    } rows[] = {{STATUS_FAILED, true, "no such table"},
                {STATUS_SUCCEEDED, true, "cleaned"},
                {STATUS_LOST, false, "of the run"}};
    for (unsigned i = 0; i < 3; i++) {
        struct parent_world w;
        struct buf steps = {0};
        struct pcore_child k;
        struct graph g = graph_begin("night");
        add_task(&g, "a", 1);
        world_begin(&w, g, 0);
        struct d_outcome o = outcome_with_steps(&steps, rows[i].status);
        if (!rows[i].steps)
            o.steps = (struct wire_list){0};
        world_step(&w, (struct pcore_event){.kind = PCORE_ENDED, .outcome = &o});
        pcore_child(w.core, 0, 0, &k);
        assert_string_equal(k.text, rows[i].text);
        buf_free(&steps);
        world_end(&w);
    }
}

static void a_restarted_driver_makes_the_same_calls(void **state)
{
    (void)state;
    struct buf keys[2] = {{0}, {0}};
    for (int i = 0; i < 2; i++) {
        struct graph g = graph_begin("night");
        add_task(&g, "a", 3);
        add_each(&g, "b");
        struct parent_world w;
        world_begin(&w, g, 0);
        buf_add(&keys[i], w.log.p, w.log.n);
        world_end(&w);
    }
    assert_true(span_eq(buf_span(&keys[0]), buf_span(&keys[1])));
    buf_free(&keys[0]);
    buf_free(&keys[1]);
}

static void oversized_parameters_refuse_the_child(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 1);
    char *big = mem_zalloc(LIMIT_PARAMETERS + 2, 1);
    memset(big, 'x', LIMIT_PARAMETERS + 1);
    value_add_str(&add_binding(&g, a, "p", FROM_VALUE)->value, span_str(big));
    mem_free(&big);
    world_begin(&w, g, 0);
    assert_log(&w, "end failed; ");
    struct pcore_child k;
    pcore_child(w.core, a, 0, &k);
    assert_string_equal(k.text, "the parameters are too large for a call");
    world_end(&w);
}

static void a_graph_with_a_circle_does_not_hang(void **state)
{
    (void)state;
    struct parent_world w;
    struct graph g = graph_begin("night");
    uint32_t a = add_task(&g, "a", 1), b = add_task(&g, "b", 1);
    add_after(&g, a, b, IS_SUCCESS, LAYER_PACKAGE);
    add_after(&g, b, a, IS_SUCCESS, LAYER_PACKAGE);
    world_begin(&w, g, 0);
    assert_log(&w, "skip a; skip b; end succeeded; ");
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_without_conditions_starts_at_once_and_ends_the_parent),
        cmocka_unit_test(a_plan_without_tasks_succeeds),
        cmocka_unit_test(a_call_has_key_parameters_address_and_the_resolved_hash),
        cmocka_unit_test(a_task_starts_only_when_all_its_conditions_hold),
        cmocka_unit_test(with_join_or_one_condition_starts_a_task_and_none_skips_it),
        cmocka_unit_test(skips_spread_to_waiting_tasks_with_a_reason),
        cmocka_unit_test(a_chain_of_a_hundred_thousand_skipped_tasks_needs_no_deep_stack),
        cmocka_unit_test(
            a_task_of_a_hundred_thousand_children_never_has_more_than_its_bound_in_flight),
        cmocka_unit_test(ready_tasks_take_turns_and_higher_priority_goes_first),
        cmocka_unit_test(each_makes_one_call_for_every_server_in_the_answer),
        cmocka_unit_test(a_child_is_named_by_its_task_and_item),
        cmocka_unit_test(each_is_keyed_by_server_so_that_another_driver_finds_it),
        cmocka_unit_test(each_without_servers_is_unreachable_and_fails_the_parent),
        cmocka_unit_test(an_empty_for_each_succeeds),
        cmocka_unit_test(an_output_keeps_its_type_in_a_later_parameter),
        cmocka_unit_test(a_missing_output_refuses_the_child_and_fails_the_parent),
        cmocka_unit_test(an_output_of_a_skipped_or_running_task_is_not_waited_for),
        cmocka_unit_test(cancel_stops_children_starts_none_and_ends_cancelled),
        cmocka_unit_test(cancel_before_an_answer_ends_at_once),
        cmocka_unit_test(a_refused_call_ends_its_child_with_the_brokers_words),
        cmocka_unit_test(repeated_and_late_events_change_nothing),
        cmocka_unit_test(totals_count_the_children_by_state),
        cmocka_unit_test(each_start_and_end_of_a_child_is_reported_once),
        cmocka_unit_test(a_childs_message_comes_from_the_step_that_failed),
        cmocka_unit_test(a_restarted_driver_makes_the_same_calls),
        cmocka_unit_test(oversized_parameters_refuse_the_child),
        cmocka_unit_test(a_graph_with_a_circle_does_not_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
