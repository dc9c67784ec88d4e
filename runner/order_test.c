/* order_test.c - a runner with real keepers, and a worker that asks for steps too early, out of
 * order, and with outputs that it has invented. */
#include "runner/testworld.h"

static void add_binding(struct buf *bindings)
{
    struct buf one = {0};
    struct d_binding b = {.name = span_str("rows"),
                          .from = BINDING_OUTPUT,
                          .step = span_str("check"),
                          .source = span_str("rows")};
    d_binding_encode(&b, &one);
    wire_add_bin(bindings, buf_span(&one));
    buf_free(&one);
}

/* The job: `check` says rows=7, and `act` gets them. */
static void make_job(struct testworld *w, const char *check)
{
    struct buf steps = {0}, one = {0}, bindings = {0};
    struct hash h;
    char digits[65], path[100];
    add_binding(&bindings);
    const struct d_step all[] = {
        {.name = span_str("check"),
         .subsystem = span_str("shell"),
         .proxy = span_str("default"),
         .run = span_str(check)},
        {.name = span_str("act"),
         .subsystem = span_str("shell"),
         .proxy = span_str("default"),
         .run = span_str("echo rows is $LB_PARAM_rows"),
         .bindings = wire_list_from(&bindings, 1)},
    };
    for (unsigned i = 0; i < 2; i++) {
        buf_clear(&one);
        d_step_encode(&all[i], &one);
        wire_add_bin(&steps, buf_span(&one));
    }
    struct d_job j = {.name = span_str("guarded"), .steps = wire_list_from(&steps, 2)};
    buf_clear(&w->rig.job);
    d_job_encode(&j, &w->rig.job);
    envelope_hash(buf_span(&w->rig.job), &h);
    snprintf(path, sizeof path, "var/jobs/%s", hex_format(h.b, 32, digits));
    rig_path_write(&w->rig, path, span_str(""), 0444);
    buf_free(&steps);
    buf_free(&one);
    buf_free(&bindings);
}

/* Asks for a step as a captured worker does: it says that `check` had rows=424242. */
static void say_step(struct testworld *w, const char *step)
{
    struct buf m = {0}, rows = {0}, outputs = {0}, one = {0};
    struct rig_call c = rig_call();
    c.job = "guarded";
    struct s_step s = rig_step(&w->rig, &c, rig_run(1), &w->call);
    value_add_str(&rows, span_str("rows"));
    value_add_int(&rows, 424242);
    struct s_outputs o = {.step = span_str("check"), .outputs = wire_list_from(&rows, 1)};
    s_outputs_encode(&o, &one);
    wire_add_bin(&outputs, buf_span(&one));
    s.step = span_str(step);
    s.outputs = wire_list_from(&outputs, 1);
    s_step_encode(&s, &m);
    world_say(w, &m);
    buf_free(&m);
    buf_free(&rows);
    buf_free(&outputs);
    buf_free(&one);
}

struct order_wanted {
    const char *step;
    struct d_step_outcome outcome;
};

static bool has_ended(struct testworld *w, uint64_t kind, struct span entry, void *arg)
{
    struct order_wanted *want = arg;
    struct s_ended e;
    struct d_step_outcome o;
    if (kind != KIND_S_ENDED || s_ended_decode(entry, &e, NULL) < 0 ||
        d_step_outcome_decode(e.outcome, &o, NULL) < 0 || !span_eq_str(o.name, want->step))
        return false;
    buf_clear(&w->outcome_bytes);
    buf_add(&w->outcome_bytes, e.outcome.p, e.outcome.n);
    assert_int_equal(d_step_outcome_decode(buf_span(&w->outcome_bytes), &want->outcome, NULL), 0);
    return true;
}

static struct d_step_outcome end_of(struct testworld *w, const char *step)
{
    struct order_wanted want = {.step = step};
    world_wait_for(w, has_ended, &want, step);
    return want.outcome;
}

/* `act` has run, with what `check` has said. */
static void check_act(struct testworld *w)
{
    struct testworld_wanted want = {.run = rig_run(1)};
    assert_int_equal(end_of(w, "act").package, PACKAGE_SUCCEEDED);
    world_scan(w, world_collect_output, &want);
    assert_string_equal(buf_str(&want.text[0]), "rows is 7\n");
    buf_free(&want.text[0]);
    buf_free(&want.text[1]);
}

static void a_step_without_the_one_before_it_does_not_run(void **state)
{
    struct testworld *w = *state;
    make_job(w, "exit 1");
    say_step(w, "act");
    struct d_step_outcome o = end_of(w, "act");
    assert_int_equal(o.package, PACKAGE_NOT_EXECUTED);
    assert_int_equal(o.code, REFUSAL_REPLAYED);
}

static void a_step_after_a_failed_one_does_not_run(void **state)
{
    struct testworld *w = *state;
    make_job(w, "exit 1");
    say_step(w, "check");
    assert_int_equal(end_of(w, "check").package, PACKAGE_FAILED);
    say_step(w, "act");
    assert_int_equal(end_of(w, "act").code, REFUSAL_REPLAYED);
}

static void a_step_gets_the_outputs_of_its_keepers_not_of_the_worker(void **state)
{
    struct testworld *w = *state;
    make_job(w, "echo rows=7 >>$LB_OUTPUTS");
    say_step(w, "check");
    end_of(w, "check");
    say_step(w, "act");
    check_act(w);
}

static void a_step_that_is_asked_for_too_early_waits_for_its_turn(void **state)
{
    struct testworld *w = *state;
    char *go = mem_printf("%s/go", w->rig.home);
    char *script = mem_printf("read line <%s; echo rows=7 >>$LB_OUTPUTS", go);
    assert_int_equal(mkfifo(go, 0600), 0);
    make_job(w, script);
    say_step(w, "check");
    say_step(w, "act");
    FILE *f = fopen(go, "w"); /* opens when the child reads */
    fputs("go\n", f);
    fclose(f);
    check_act(w);
    mem_free(&go);
    mem_free(&script);
}

static void a_halt_ends_what_waits_for_its_turn(void **state)
{
    struct testworld *w = *state;
    make_job(w, "exec sleep 1000");
    say_step(w, "check");
    say_step(w, "act");
    world_halt(w, rig_run(1), true, 0, false);
    struct d_step_outcome o = end_of(w, "act");
    assert_int_equal(o.package, PACKAGE_NOT_EXECUTED);
    assert_int_equal(o.code, REFUSAL_NONE);
    assert_true(o.cancelled);
    end_of(w, "check");
}

static void a_killed_runner_finds_what_has_ended_before_and_after_its_death(void **state)
{
    struct testworld *w = *state;
    char *go = mem_printf("%s/go", w->rig.home);
    char *script = mem_printf("read line <%s; echo rows=7 >>$LB_OUTPUTS", go);
    struct testworld_wanted want = {.run = rig_run(1)};
    assert_int_equal(mkfifo(go, 0600), 0);
    make_job(w, script);
    say_step(w, "check");
    world_wait_for(w, world_is_launched, &want, "the start");
    world_stop_runner(w, SIGKILL);
    FILE *f = fopen(go, "w");
    fputs("go\n", f);
    fclose(f);
    end_of(w, "check"); /* no runner hears of it */
    world_start_runner(w, 2);
    world_hear_kept(w, KEPT_RUNS, NULL);
    say_step(w, "act");
    check_act(w);
    mem_free(&go);
    mem_free(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_step_without_the_one_before_it_does_not_run),
        in_world(a_step_after_a_failed_one_does_not_run),
        in_world(a_step_gets_the_outputs_of_its_keepers_not_of_the_worker),
        in_world(a_step_that_is_asked_for_too_early_waits_for_its_turn),
        in_world(a_halt_ends_what_waits_for_its_turn),
        in_world(a_killed_runner_finds_what_has_ended_before_and_after_its_death),
    };
    return cmocka_run_group_tests_name("order", tests, NULL, NULL);
}
