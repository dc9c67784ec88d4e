/* attempts_test.c - which try may come now, from what keepers have said: in the table, and read
 * back from their files; whatever a captured worker asks for. */
#include "common/testing.h"

#include <unistd.h>

#include "common/clock.h"
#include "common/spoolfile.h"
#include "proto/packagejob.h"
#include "runner/attempts.h"
#include "runner/ended.h"

enum { ROWS_MAX = 6, JOBS = 300 };

struct attempts_row {
    const char *name, *on_success, *on_failure;
    bool always;
    uint64_t attempts, interval_ms;
    const char *binds; /* a step of which it takes the output `rows` */
};

struct attempts_fixture {
    char *folder;
    struct attempts *a;
    struct spoolfile *keeper, *runner;
    struct buf job;
    struct steps_job def;
    struct hash identity, job_hash;
    struct id run;
    int64_t now;
    unsigned begun;
    bool held;
    struct error err;
};

static bool is_held(void *self, struct id run)
{
    const struct attempts_fixture *f = self;
    return f->held && id_eq(run, f->run);
}

static struct spoolfile *open_log(struct attempts_fixture *f, const char *name)
{
    struct spoolfile *ret;
    char *path = mem_printf("%s/%s", f->folder, name);
    if (spoolfile_open_append(path, 0600, &ret, NULL, &f->err) < 0)
        fail_msg("%s", f->err.text);
    mem_free(&path);
    return ret;
}

static int setup(void **state)
{
    testing_folder(state);
    struct attempts_fixture *f = mem_zalloc(1, sizeof *f);
    f->folder = *state;
    f->a = attempts_new(f->folder, is_held, f);
    f->keeper = open_log(f, "keeper-1.log");
    f->runner = open_log(f, "runner.log");
    f->identity.b[0] = f->job_hash.b[0] = f->run.b[0] = 1;
    f->now = clock_wall_ms();
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct attempts_fixture *f = *state;
    attempts_free(&f->a);
    spoolfile_close(&f->keeper);
    spoolfile_close(&f->runner);
    steps_job_free(&f->def);
    buf_free(&f->job);
    file_remove_tree(f->folder, NULL);
    mem_free(&f->folder);
    mem_free(&f);
    return 0;
}

/* The runner is killed and starts again. */
static void restart(struct attempts_fixture *f)
{
    attempts_free(&f->a);
    f->a = attempts_new(f->folder, is_held, f);
}

static void make_job(struct attempts_fixture *f, const struct attempts_row *rows, unsigned n)
{
    struct buf steps = {0}, one = {0}, bindings = {0}, binding = {0};
    for (unsigned i = 0; i < n; i++) {
        struct d_binding b = {.name = span_str("rows"),
                              .from = BINDING_OUTPUT,
                              .step = span_str(rows[i].binds),
                              .source = span_str("rows")};
        buf_clear(&bindings);
        buf_clear(&binding);
        d_binding_encode(&b, &binding);
        if (rows[i].binds)
            wire_add_bin(&bindings, buf_span(&binding));
        struct d_step s = {.name = span_str(rows[i].name),
                           .always = rows[i].always,
                           .attempts = rows[i].attempts,
                           .interval_ms = rows[i].interval_ms,
                           .bindings = wire_list_from(&bindings, rows[i].binds != NULL),
                           .on_success = span_str(rows[i].on_success),
                           .on_failure = span_str(rows[i].on_failure)};
        buf_clear(&one);
        d_step_encode(&s, &one);
        wire_add_bin(&steps, buf_span(&one));
    }
    struct d_job j = {.name = span_str("nightly"), .steps = wire_list_from(&steps, n)};
    steps_job_free(&f->def);
    buf_clear(&f->job);
    d_job_encode(&j, &f->job);
    if (steps_job_read(buf_span(&f->job), &f->def, &f->err) < 0)
        fail_msg("%s", f->err.text);
    buf_free(&steps);
    buf_free(&one);
    buf_free(&bindings);
    buf_free(&binding);
}

#define JOB(f, ...) \
    do { \
        static const struct attempts_row rows_[] = {__VA_ARGS__}; \
        make_job(f, rows_, sizeof rows_ / sizeof *rows_); \
    } while (0)

static struct attempts_step step_of(struct attempts_fixture *f, const char *step, uint64_t try_no)
{
    int at = steps_find(&f->def, span_str(step));
    assert_true(at >= 0);
    return (struct attempts_step){.identity = f->identity,
                                  .run = f->run,
                                  .attempt = 1,
                                  .begun = f->begun > 0,
                                  .job = &f->def,
                                  .job_hash = f->job_hash,
                                  .step = (unsigned)at,
                                  .try_no = try_no};
}

static enum attempts_answer ask(struct attempts_fixture *f, const char *step, uint64_t try_no)
{
    const struct attempts_step s = step_of(f, step, try_no);
    return attempts_ask(f->a, &s, f->now, &f->err);
}

#define assert_now(f, step, try_no)     assert_int_equal(ask(f, step, try_no), ATTEMPTS_NOW)
#define assert_busy(f, step, try_no)    assert_int_equal(ask(f, step, try_no), ATTEMPTS_BUSY)
#define assert_refused(f, step, try_no) assert_int_equal(ask(f, step, try_no), ATTEMPTS_REFUSED)

/* It comes, is accepted, and its keeper starts it. */
static void start(struct attempts_fixture *f, const char *step, uint64_t try_no)
{
    struct buf entry = {0};
    const struct attempts_step s = step_of(f, step, try_no);
    if (attempts_ask(f->a, &s, f->now, &f->err) != ATTEMPTS_NOW)
        fail_msg("step '%s', try %d: %s", step, (int)try_no, f->err.text);
    attempts_take(f->a, &s);
    struct s_launched l = {.run = f->run,
                           .attempt = 1,
                           .step = span_str(step),
                           .try_no = try_no,
                           .at = f->now,
                           .identity = f->identity,
                           .job_hash = span_of(f->job_hash.b, sizeof f->job_hash.b)};
    s_launched_encode(&l, &entry);
    assert_int_equal(spoolfile_append(f->keeper, buf_span(&entry), &f->err), 0);
    buf_free(&entry);
    f->begun++;
    f->held = true;
}

static void end_as(struct attempts_fixture *f, const struct d_step_outcome *o, bool told)
{
    struct buf body = {0}, entry = {0};
    d_step_outcome_encode(o, &body);
    struct s_ended e = {.run = f->run,
                        .attempt = 1,
                        .outcome = buf_span(&body),
                        .job_hash = span_of(f->job_hash.b, sizeof f->job_hash.b)};
    s_ended_encode(&e, &entry);
    assert_int_equal(spoolfile_append(f->keeper, buf_span(&entry), &f->err), 0);
    f->held = false;
    if (told)
        attempts_end(f->a, &e, true);
    buf_free(&body);
    buf_free(&entry);
}

static void end(struct attempts_fixture *f, const char *step, uint64_t try_no,
                enum package_outcome package)
{
    end_as(f,
           &(struct d_step_outcome){.name = span_str(step),
                                    .try_no = try_no,
                                    .package = package,
                                    .exit_code = package == PACKAGE_FAILED ? 4 : 0,
                                    .ended_at = f->now},
           true);
}

static void run(struct attempts_fixture *f, const char *step, uint64_t try_no,
                enum package_outcome package)
{
    start(f, step, try_no);
    end(f, step, try_no, package);
}

/* ---- Order */

static void a_step_comes_after_the_one_before_it_and_only_then(void **state)
{
    struct attempts_fixture *f = *state;
    JOB(f, {.name = "a"}, {.name = "b"}, {.name = "c"});
    assert_refused(f, "b", 1);
    assert_contains(f->err.text, "next is step 'a', try 1");
    assert_refused(f, "a", 2);
    start(f, "a", 1);
    assert_busy(f, "b", 1);
    end(f, "a", 1, PACKAGE_SUCCEEDED);
    assert_refused(f, "c", 1);
    assert_refused(f, "a", 2);
    run(f, "b", 1, PACKAGE_SUCCEEDED);
    run(f, "c", 1, PACKAGE_SUCCEEDED);
    assert_refused(f, "c", 2);
    assert_contains(f->err.text, "is over");
}

static void after_a_failure_only_what_its_action_says_may_come(void **state)
{
    struct attempts_fixture *f = *state;
    JOB(f, {.name = "a", .on_failure = "goto repair"}, {.name = "publish"}, {.name = "repair"});
    run(f, "a", 1, PACKAGE_FAILED);
    assert_refused(f, "publish", 1);
    assert_now(f, "repair", 1);
}

static void a_failed_job_is_over_but_for_its_always_steps(void **state)
{
    struct attempts_fixture *f = *state;
    JOB(f, {.name = "a"}, {.name = "b"}, {.name = "clean", .always = true});
    run(f, "a", 1, PACKAGE_FAILED);
    assert_refused(f, "b", 1);
    run(f, "clean", 1, PACKAGE_FAILED);
    assert_refused(f, "clean", 2);
    assert_refused(f, "b", 1);
}

static void a_goto_that_leads_back_counts_the_tries(void **state)
{
    struct attempts_fixture *f = *state;
    JOB(f, {.name = "a", .on_success = "goto a"});
    for (uint64_t i = 1; i <= LIMIT_TRIES; i++) {
        assert_refused(f, "a", i == 1 ? 2 : i - 1);
        run(f, "a", i, PACKAGE_SUCCEEDED);
    }
    assert_refused(f, "a", LIMIT_TRIES + 1);
    assert_contains(f->err.text, "is over");
}

static void a_retry_does_not_come_before_its_interval(void **state)
{
    struct attempts_fixture *f = *state;
    JOB(f, {.name = "a", .attempts = 2, .interval_ms = 3600000}, {.name = "b"});
    run(f, "a", 1, PACKAGE_FAILED);
    assert_refused(f, "a", 2);
    assert_contains(f->err.text, "may run in 3600000 ms, not now");
    assert_refused(f, "b", 1);
    f->now += 3600000;
    assert_now(f, "a", 2);
    restart(f);
    assert_now(f, "a", 2);
    f->now -= 3600000;
    restart(f);
    assert_refused(f, "a", 2);
}

static void what_the_runner_refuses_ends_the_try_and_not_the_job(void **state)
{
    struct attempts_fixture *f = *state;
    struct buf entry = {0};
    JOB(f, {.name = "a"}, {.name = "b", .on_failure = "next"}, {.name = "c"});
    const struct attempts_step first = step_of(f, "a", 1);
    assert_int_equal(attempts_ask(f->a, &first, f->now, &f->err), ATTEMPTS_NOW);
    assert_false(attempts_refuse(f->a, &first, REFUSAL_BAD_PACKAGE, f->now));
    run(f, "a", 1, PACKAGE_SUCCEEDED);
    const struct attempts_step s = step_of(f, "b", 1);
    assert_now(f, "b", 1);
    assert_true(attempts_refuse(f->a, &s, REFUSAL_BAD_PACKAGE, f->now));
    assert_now(f, "c", 1);
    const struct s_launch l = {.run = f->run,
                               .attempt = 1,
                               .step = span_str("b"),
                               .try_no = 1,
                               .job_hash = span_of(f->job_hash.b, sizeof f->job_hash.b)};
    ended_refused(&l, REFUSAL_BAD_PACKAGE, false, "gone", f->now, &entry);
    assert_int_equal(spoolfile_append(f->runner, buf_span(&entry), &f->err), 0);
    restart(f);
    assert_now(f, "c", 1);
    buf_free(&entry);
}

/* What the runner has said of requests that should never have come. */
static void an_answer_to_a_forged_request_is_no_end_of_a_try(void **state)
{
    struct attempts_fixture *f = *state;
    struct buf entry = {0};
    JOB(f, {.name = "a", .on_failure = "next"}, {.name = "b", .on_failure = "next"}, {.name = "c"});
    start(f, "a", 1);
    const char *const steps[] = {"a", "b"};
    for (unsigned i = 0; i < 2; i++) {
        const struct s_launch l = {
            .run = f->run, .attempt = 1, .step = span_str(steps[i]), .try_no = 1};
        buf_clear(&entry);
        ended_refused(&l, REFUSAL_BAD_SIGNATURE, false, "forged", f->now, &entry);
        assert_int_equal(spoolfile_append(f->runner, buf_span(&entry), &f->err), 0);
    }
    restart(f);
    assert_busy(f, "b", 1);
    end(f, "a", 1, PACKAGE_SUCCEEDED);
    restart(f);
    assert_refused(f, "c", 1);
    assert_now(f, "b", 1);
    buf_free(&entry);
}

/* ---- Stops */

static void an_always_step_may_come_when_the_worker_stops_and_then_no_other(void **state)
{
    struct attempts_fixture *f = *state;
    JOB(f, {.name = "a"}, {.name = "b"}, {.name = "clean", .always = true},
        {.name = "tell", .always = true});
    assert_refused(f, "clean", 1); /* nothing has run */
    start(f, "a", 1);
    assert_busy(f, "clean", 1);
    end(f, "a", 1, PACKAGE_SUCCEEDED);
    assert_refused(f, "tell", 1);
    run(f, "clean", 1, PACKAGE_SUCCEEDED);
    assert_refused(f, "b", 1);
    restart(f);
    assert_refused(f, "b", 1);
    run(f, "tell", 1, PACKAGE_SUCCEEDED);
    assert_refused(f, "b", 1);
}

static void after_a_halt_no_step_of_the_main_part_comes(void **state)
{
    struct attempts_fixture *f = *state;
    JOB(f, {.name = "a"}, {.name = "b"}, {.name = "clean", .always = true});
    run(f, "a", 1, PACKAGE_SUCCEEDED);
    attempts_halt(f->a, &(struct s_halt){.run = f->run, .attempt = 1});
    assert_refused(f, "b", 1);
    assert_now(f, "clean", 1);
    attempts_halt(f->a, &(struct s_halt){.run = f->run, .attempt = 1, .force = true});
    assert_refused(f, "clean", 1);
}

/* ---- Keepers */

static void a_lost_step_may_come_again_if_it_had_not_started(void **state)
{
    struct attempts_fixture *f = *state;
    JOB(f, {.name = "a"}, {.name = "b"});
    run(f, "a", 1, PACKAGE_SUCCEEDED);
    const struct attempts_step s = step_of(f, "b", 1);
    assert_now(f, "b", 1);
    attempts_take(f->a, &s);
    assert_busy(f, "b", 1);
    attempts_lose(f->a,
                  &(struct s_kept){.run = f->run, .attempt = 1, .step = span_str("b"), .try_no = 1},
                  false, f->now);
    assert_now(f, "b", 1);
}

static void a_step_whose_keeper_was_killed_is_unknown_and_ends_the_job(void **state)
{
    struct attempts_fixture *f = *state;
    JOB(f, {.name = "a", .on_failure = "next", .attempts = 3}, {.name = "b"},
        {.name = "clean", .always = true});
    start(f, "a", 1);
    f->held = false;
    attempts_lose(f->a,
                  &(struct s_kept){.run = f->run, .attempt = 1, .step = span_str("a"), .try_no = 1},
                  true, f->now);
    for (unsigned i = 0; i < 2; i++, restart(f)) {
        assert_refused(f, "b", 1);
        assert_refused(f, "a", 2);
        assert_now(f, "clean", 1);
    }
}

static void an_end_that_only_the_keepers_file_has_is_found_there(void **state)
{
    struct attempts_fixture *f = *state;
    JOB(f, {.name = "a"}, {.name = "b"});
    start(f, "a", 1);
    end_as(
        f,
        &(struct d_step_outcome){.name = span_str("a"), .try_no = 1, .package = PACKAGE_SUCCEEDED},
        false);
    assert_busy(f, "b", 1);
    attempts_lose(f->a,
                  &(struct s_kept){.run = f->run, .attempt = 1, .step = span_str("a"), .try_no = 1},
                  true, f->now);
    assert_now(f, "b", 1);
}

static void a_missing_file_lets_nothing_run_that_has_run(void **state)
{
    struct attempts_fixture *f = *state;
    char *path = mem_printf("%s/keeper-1.log", f->folder);
    JOB(f, {.name = "a"}, {.name = "b"}, {.name = "c"});
    run(f, "a", 1, PACKAGE_SUCCEEDED);
    spoolfile_close(&f->keeper);
    assert_int_equal(unlink(path), 0);
    f->keeper = open_log(f, "keeper-2.log");
    run(f, "b", 1, PACKAGE_SUCCEEDED);
    restart(f);
    assert_refused(f, "c", 1);
    assert_refused(f, "a", 1);
    assert_contains(f->err.text, "not all there");
    mem_free(&path);
}

/* ---- Outputs */

static void check_outputs(struct attempts_fixture *f, const char *step, int64_t rows)
{
    struct buf items = {0};
    uint32_t count = 0;
    const struct attempts_step s = step_of(f, step, 1);
    assert_int_equal(attempts_ask(f->a, &s, f->now, &f->err), ATTEMPTS_NOW);
    attempts_outputs(f->a, &s, &items, &count);
    const struct wire_list list = wire_list_from(&items, count);
    struct wire_iter it = wire_iter(&list);
    struct span item;
    struct s_outputs o;
    struct value v;
    assert_int_equal(count, 1);
    assert_true(wire_next(&it, &item));
    assert_int_equal(s_outputs_decode(item, &o, &f->err), 0);
    assert_true(span_eq_str(o.step, "a"));
    assert_true(wire_map_get(&o.outputs, "rows", &v));
    assert_int_equal(v.integer, rows);
    buf_free(&items);
}

static void outputs_are_those_of_the_newest_try_and_survive_a_restart(void **state)
{
    struct attempts_fixture *f = *state;
    JOB(f, {.name = "a", .attempts = 2}, {.name = "b", .binds = "a"});
    for (int64_t i = 1; i <= 2; i++) {
        struct buf items = {0};
        value_add_str(&items, span_str("rows"));
        value_add_int(&items, i);
        start(f, "a", (uint64_t)i);
        end_as(f,
               &(struct d_step_outcome){.name = span_str("a"),
                                        .try_no = (uint64_t)i,
                                        .package = i == 1 ? PACKAGE_FAILED : PACKAGE_SUCCEEDED,
                                        .outputs = wire_list_from(&items, 1)},
               true);
        buf_free(&items);
    }
    check_outputs(f, "b", 2);
    restart(f);
    check_outputs(f, "b", 2);
}

/* ---- Other attempts and calls */

static void another_version_of_the_job_or_another_call_is_refused(void **state)
{
    struct attempts_fixture *f = *state;
    JOB(f, {.name = "a"}, {.name = "b"});
    run(f, "a", 1, PACKAGE_SUCCEEDED);
    for (unsigned i = 0; i < 2; i++) {
        restart(f);
        f->job_hash.b[0] = 2;
        assert_refused(f, "b", 1);
        assert_contains(f->err.text, "another version");
        f->job_hash.b[0] = 1;
        assert_now(f, "b", 1);
    }
    f->identity.b[0] = 2;
    assert_refused(f, "b", 1);
    assert_refused(f, "a", 1);
}

static void a_new_attempt_begins_at_the_first_step_when_the_old_one_has_ended(void **state)
{
    struct attempts_fixture *f = *state;
    JOB(f, {.name = "a"}, {.name = "b"});
    start(f, "a", 1);
    struct attempts_step s = step_of(f, "a", 1);
    s.attempt = 2;
    s.begun = false;
    assert_int_equal(attempts_ask(f->a, &s, f->now, &f->err), ATTEMPTS_BUSY);
    end(f, "a", 1, PACKAGE_CANCELLED);
    struct attempts_step second = s;
    second.step = 1;
    assert_int_equal(attempts_ask(f->a, &second, f->now, &f->err), ATTEMPTS_REFUSED);
    assert_int_equal(attempts_ask(f->a, &s, f->now, &f->err), ATTEMPTS_NOW);
    attempts_take(f->a, &s);
    assert_refused(f, "b", 1); /* of the old one */
}

/* ---- Any job, any ends: the runner follows the worker, and nobody else */

static uint64_t seed;

static unsigned chance(unsigned below)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(seed >> 33) % below;
}

static void random_job(struct attempts_fixture *f)
{
    static const char *const names[ROWS_MAX] = {"a", "b", "c", "d", "e", "g"};
    static const char *const actions[] = {"",       "next",   "quit-success", "quit-failure",
                                          "goto a", "goto b", "goto c"};
    struct attempts_row rows[ROWS_MAX];
    unsigned n = 2 + chance(ROWS_MAX - 1), most = 4 + (n < 3 ? n : 3);
    for (unsigned i = 0; i < n; i++) {
        rows[i] = (struct attempts_row){
            .name = names[i], .always = i >= 3 && chance(2), .attempts = chance(4)};
        if (!rows[i].always) {
            rows[i].on_success = actions[chance(most)];
            rows[i].on_failure = actions[chance(most)];
        }
    }
    make_job(f, rows, n);
}

/* Every try but the expected one is refused; `always` steps may say that the worker stops. */
static void check_forged(struct attempts_fixture *f, const struct steps_next *n)
{
    for (unsigned i = 0; i < f->def.n; i++)
        for (uint64_t try_no = 1; try_no <= n->try_no + 1; try_no++) {
            bool due = n->what == STEPS_RUN && i == n->step && try_no == n->try_no;
            char name[2] = {(char)f->def.steps[i].name.p[0], 0};
            enum attempts_answer answer = ask(f, name, try_no);
            if (due)
                assert_int_equal(answer, ATTEMPTS_NOW);
            else if (!f->def.steps[i].always || n->always)
                assert_int_equal(answer, ATTEMPTS_REFUSED);
        }
}

static void whatever_happens_exactly_the_try_that_the_worker_expects_may_come(void **state)
{
    struct attempts_fixture *f = *state;
    static struct steps_try tries[64]; /* what the worker knows */
    static const enum package_outcome ends[] = {PACKAGE_SUCCEEDED, PACKAGE_SUCCEEDED,
                                                PACKAGE_FAILED,    PACKAGE_FAILED,
                                                PACKAGE_CANCELLED, PACKAGE_UNKNOWN};
    for (unsigned i = 0; i < JOBS; i++) {
        struct steps_scope scope = {.stopped_as = JOB_CANCELLED};
        unsigned n = 0;
        seed = i;
        f->run.b[1] = (uint8_t)i;
        f->run.b[2] = (uint8_t)(i >> 8);
        f->identity.b[1] = f->run.b[1];
        f->identity.b[2] = f->run.b[2];
        f->begun = 0;
        for (random_job(f);; n++) {
            struct steps machine;
            struct steps_next next;
            steps_begin(&machine, &f->def, &scope);
            for (unsigned t = 0; t < n; t++)
                steps_add(&machine, &tries[t]);
            steps_next(&machine, &next);
            if (!chance(3))
                restart(f);
            if (!scope.stopped)
                check_forged(f, &next);
            if (next.what == STEPS_OVER || n == 64)
                break;
            char name[2] = {(char)f->def.steps[next.step].name.p[0], 0};
            const struct d_step_outcome o = {.name = span_str(name),
                                             .try_no = next.try_no,
                                             .package = ends[chance(chance(4) ? 4 : 6)],
                                             .ended_at = f->now};
            start(f, name, next.try_no);
            tries[n] =
                (struct steps_try){.step = next.step, .try_no = next.try_no, .launched = true};
            steps_take_end(&tries[n], &o);
            end_as(f, &o, true);
            if (!next.always && !chance(12))
                scope.stopped = true;
        }
    }
}

#define here(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        here(a_step_comes_after_the_one_before_it_and_only_then),
        here(after_a_failure_only_what_its_action_says_may_come),
        here(a_failed_job_is_over_but_for_its_always_steps),
        here(a_goto_that_leads_back_counts_the_tries),
        here(a_retry_does_not_come_before_its_interval),
        here(what_the_runner_refuses_ends_the_try_and_not_the_job),
        here(an_answer_to_a_forged_request_is_no_end_of_a_try),
        here(an_always_step_may_come_when_the_worker_stops_and_then_no_other),
        here(after_a_halt_no_step_of_the_main_part_comes),
        here(a_lost_step_may_come_again_if_it_had_not_started),
        here(a_step_whose_keeper_was_killed_is_unknown_and_ends_the_job),
        here(an_end_that_only_the_keepers_file_has_is_found_there),
        here(a_missing_file_lets_nothing_run_that_has_run),
        here(outputs_are_those_of_the_newest_try_and_survive_a_restart),
        here(another_version_of_the_job_or_another_call_is_refused),
        here(a_new_attempt_begins_at_the_first_step_when_the_old_one_has_ended),
        here(whatever_happens_exactly_the_try_that_the_worker_expects_may_come),
    };
    return cmocka_run_group_tests_name("attempts", tests, NULL, NULL);
}
