/* steps_test.c - the step machine alone: what a job is, and laws that hold for any job and any
 * ends of its steps. What each action means is tested with the worker (worker/core/steps_test.c).
 */
#include "proto/steps.h"

#include "common/testing.h"

enum { JOBS = 3000, STEPS = 5 };

static uint64_t seed;

static unsigned chance(unsigned below)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(seed >> 33) % below;
}

struct made {
    struct buf bytes;
    struct steps_job job;
};

static void make(const struct d_step *steps, unsigned n, struct made *ret)
{
    struct buf items = {0}, one = {0};
    struct error err = {0};
    *ret = (struct made){.bytes = {0}};
    for (unsigned i = 0; i < n; i++) {
        buf_clear(&one);
        d_step_encode(&steps[i], &one);
        wire_add_bin(&items, buf_span(&one));
    }
    struct d_job j = {.name = span_str("nightly"), .steps = wire_list_from(&items, n)};
    d_job_encode(&j, &ret->bytes);
    if (steps_job_read(buf_span(&ret->bytes), &ret->job, &err) < 0)
        fail_msg("%s", err.text);
    buf_free(&items);
    buf_free(&one);
}

static void drop(struct made *m)
{
    steps_job_free(&m->job);
    buf_free(&m->bytes);
}

/* ---- Jobs */

static void a_job_of_one_step_and_one_try_is_single(void **state)
{
    (void)state;
    struct made m;
    make(&(struct d_step){.name = span_str("run"), .on_failure = span_str("next")}, 1, &m);
    assert_true(steps_is_single(&m.job));
    drop(&m);
}

static void a_job_with_a_second_try_a_loop_or_a_second_step_is_not_single(void **state)
{
    (void)state;
    const struct d_step again = {.name = span_str("run"), .attempts = 2},
                        loops = {.name = span_str("run"), .on_success = span_str("goto run")},
                        two[] = {{.name = span_str("run")},
                                 {.name = span_str("clean"), .always = true}};
    const struct d_step *jobs[] = {&again, &loops, two};
    for (unsigned i = 0; i < 3; i++) {
        struct made m;
        make(jobs[i], i == 2 ? 2 : 1, &m);
        assert_false(steps_is_single(&m.job));
        drop(&m);
    }
}

/* ---- Laws */

static void random_job(struct made *ret)
{
    static const char *const names[STEPS] = {"a", "b", "c", "d", "e"};
    static const char *const actions[] = {"",       "next",   "quit-success", "quit-failure",
                                          "goto a", "goto b", "goto c"};
    struct d_step steps[STEPS];
    unsigned n = 1 + chance(STEPS), most = 4 + (n < 3 ? n : 3);
    for (unsigned i = 0; i < n; i++)
        steps[i] = (struct d_step){.name = span_str(names[i]),
                                   .always = i >= 3 && chance(2),
                                   .attempts = chance(4),
                                   .interval_ms = chance(2) ? 1000 : 0,
                                   .backoff = chance(4),
                                   .retry_codes = span_str(chance(3) ? "" : "\x4b")};
    for (unsigned i = 0; i < n; i++)
        if (!steps[i].always) {
            steps[i].on_success = span_str(actions[chance(most)]);
            steps[i].on_failure = span_str(actions[chance(most)]);
        }
    make(steps, n, ret);
}

static void random_end(struct steps_try *t)
{
    static const uint64_t ends[] = {PACKAGE_SUCCEEDED, PACKAGE_SUCCEEDED, PACKAGE_FAILED,
                                    PACKAGE_FAILED,    PACKAGE_FAILED,    PACKAGE_NOT_EXECUTED,
                                    PACKAGE_CANCELLED, PACKAGE_UNKNOWN};
    struct d_step_outcome o = {.package = ends[chance(chance(2) ? 5 : 8)],
                               .exit_code = chance(2) ? 75 : 4,
                               .timed_out = !chance(8),
                               .ended_at = 1000 + chance(1000)};
    if (o.package == PACKAGE_NOT_EXECUTED)
        o.code = chance(2) ? REFUSAL_START_FAILED : REFUSAL_BAD_PACKAGE;
    o.cancelled = o.package == PACKAGE_CANCELLED;
    t->launched = o.package != PACKAGE_NOT_EXECUTED;
    steps_take_end(t, &o);
}

struct attempt_life {
    struct made m;
    struct steps_scope scope;
    struct steps_try tries[STEPS_STARTS_MAX + STEPS * LIMIT_TRIES];
    unsigned n;
};

static void ask(struct attempt_life *l, unsigned n, struct steps_next *ret)
{
    struct steps s;
    steps_begin(&s, &l->m.job, &l->scope);
    for (unsigned i = 0; i < n; i++)
        steps_add(&s, &l->tries[i]);
    steps_next(&s, ret);
}

static void check_run(const struct attempt_life *l, const struct steps_next *n, bool was_decided)
{
    unsigned starts = 0;
    assert_true(n->step < l->m.job.n);
    assert_int_equal(n->always, l->m.job.steps[n->step].always);
    assert_true(n->always || !was_decided); /* nothing of the main part after the end of it */
    for (unsigned i = 0; i < l->n; i++)
        starts += l->tries[i].step == n->step;
    assert_int_equal(n->try_no, starts + 1);
    assert_true(n->try_no <= LIMIT_TRIES);
    assert_true(n->wait_ms <= STEPS_WAIT_MAX_MS);
}

static void any_job_ends_whatever_its_steps_do_and_counts_its_tries(void **state)
{
    (void)state;
    static struct attempt_life l;
    for (unsigned i = 0; i < JOBS; i++) {
        struct steps_next n;
        bool decided = false;
        seed = i;
        l.n = 0;
        l.scope = (struct steps_scope){.stopped_as = JOB_CANCELLED};
        random_job(&l.m);
        for (ask(&l, 0, &n); n.what == STEPS_RUN; ask(&l, l.n, &n)) {
            check_run(&l, &n, decided);
            decided = n.always;
            l.tries[l.n] = (struct steps_try){.step = n.step, .try_no = n.try_no};
            ask(&l, ++l.n, &n);
            assert_int_equal(n.what, STEPS_BUSY);
            random_end(&l.tries[l.n - 1]);
            if (!decided && !chance(20))
                l.scope.stopped = true;
        }
        assert_int_equal(n.what, STEPS_OVER);
        assert_true(l.n < sizeof l.tries / sizeof *l.tries);
        drop(&l.m);
    }
}

/* Who is not told of a stop still follows: the first `always` step shows it. */
static void the_first_always_step_tells_of_a_stop(void **state)
{
    (void)state;
    static struct attempt_life l;
    unsigned seen = 0;
    for (unsigned i = 0; i < JOBS; i++) {
        struct steps_next told, untold;
        seed = i;
        l.n = 0;
        l.scope = (struct steps_scope){.stopped_as = JOB_CANCELLED};
        random_job(&l.m);
        for (ask(&l, 0, &told); told.what == STEPS_RUN; ask(&l, l.n, &told)) {
            l.tries[l.n] = (struct steps_try){.step = told.step, .try_no = told.try_no};
            random_end(&l.tries[l.n++]);
            if (!told.always && !chance(3))
                l.scope.stopped = true;
            ask(&l, l.n, &told);
            l.scope.stopped = false;
            ask(&l, l.n, &untold);
            l.scope.stopped = told.always;
            if (l.m.job.steps[l.tries[l.n - 1].step].always) {
                assert_int_equal(told.what, untold.what);
                assert_int_equal(told.step, untold.step);
                assert_int_equal(told.try_no, untold.try_no);
                seen++;
            }
        }
        drop(&l.m);
    }
    assert_true(seen > 100);
}

static void the_package_layer_leaves_out_retries_always_steps_and_handled_failures(void **state)
{
    static const struct {
        unsigned step;
        enum package_outcome package;
        enum step_action action;
        bool handled;
        enum package_outcome so_far; /* if the job succeeds */
    } tries[] = {{0, PACKAGE_FAILED, ACTION_RETRY, false, PACKAGE_NOT_EXECUTED},
                 {0, PACKAGE_FAILED, ACTION_GOTO, true, PACKAGE_SUCCEEDED},
                 {1, PACKAGE_FAILED, ACTION_NEXT, false, PACKAGE_SUCCEEDED},
                 {0, PACKAGE_SUCCEEDED, ACTION_NEXT, false, PACKAGE_SUCCEEDED},
                 {0, PACKAGE_FAILED, ACTION_QUIT_FAILURE, false, PACKAGE_FAILED}};
    struct d_step steps[] = {{.name = span_str("a")}, {.name = span_str("b"), .always = true}};
    const struct steps_job job = {.steps = steps, .n = 2};
    struct steps_layer l = {.all = PACKAGE_NOT_EXECUTED};
    (void)state;
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
        const struct steps_try t = {.step = tries[i].step,
                                    .ended = true,
                                    .package = tries[i].package,
                                    .action = tries[i].action,
                                    .handled = tries[i].handled};
        steps_layer_add(&l, &job, &t);
        assert_int_equal(steps_layer_end(&l, JOB_SUCCEEDED), tries[i].so_far);
    }
    l = (struct steps_layer){.all = PACKAGE_NOT_EXECUTED, .handled = true};
    assert_int_equal(steps_layer_end(&l, JOB_FAILED), PACKAGE_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_of_one_step_and_one_try_is_single),
        cmocka_unit_test(a_job_with_a_second_try_a_loop_or_a_second_step_is_not_single),
        cmocka_unit_test(any_job_ends_whatever_its_steps_do_and_counts_its_tries),
        cmocka_unit_test(the_first_always_step_tells_of_a_stop),
        cmocka_unit_test(the_package_layer_leaves_out_retries_always_steps_and_handled_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
