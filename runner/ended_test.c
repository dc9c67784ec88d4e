/* ended_test.c - the outcome of a step, from everything known about its child. */
#include "common/testing.h"

#include <signal.h>

#include "runner/ended.h"

#define EXIT(code) ((code) << 8)

static struct buf entry;

static struct d_step_outcome outcome(const struct ending *given)
{
    static struct s_launch l;
    struct ending e = *given;
    struct s_ended s;
    struct d_step_outcome o;
    l = (struct s_launch){.step = span_str("run"), .try_no = 1, .attempt = 1};
    if (!e.launch)
        e.launch = &l;
    if (!e.user)
        e.user = "etl";
    buf_clear(&entry);
    ended_encode(&e, &entry);
    assert_int_equal(s_ended_decode(buf_span(&entry), &s, NULL), 0);
    assert_int_equal(d_step_outcome_decode(s.outcome, &o, NULL), 0);
    return o;
}

static void expect(struct ending e, enum package_outcome package, bool cancelled, bool timed_out,
                   const char *message)
{
    struct d_step_outcome o = outcome(&e);
    char text[LIMIT_TEXT + 1];
    span_copy_str(o.message, text, sizeof text);
    assert_int_equal(o.package, package);
    assert_int_equal(o.cancelled, cancelled);
    assert_int_equal(o.timed_out, timed_out);
    assert_string_equal(text, message);
}

static void without_exit_codes_only_zero_is_success(void **state)
{
    (void)state;
    expect((struct ending){.status = EXIT(0)}, PACKAGE_SUCCEEDED, false, false, "");
    expect((struct ending){.status = EXIT(1)}, PACKAGE_FAILED, false, false, "exit 1");
}

static void exit_codes_mean_what_the_package_says(void **state)
{
    (void)state;
    struct buf codes = {0}, one = {0};
    const struct d_exit_code e = {.code = 7, .package = PACKAGE_SUCCEEDED};
    d_exit_code_encode(&e, &one);
    wire_add_bin(&codes, buf_span(&one));
    struct s_launch l = {.step = span_str("run"), .exit_codes = wire_list_from(&codes, 1)};
    expect((struct ending){.launch = &l, .status = EXIT(7)}, PACKAGE_SUCCEEDED, false, false, "");
    expect((struct ending){.launch = &l, .status = EXIT(0)}, PACKAGE_FAILED, false, false,
           "exit 0");
    buf_free(&codes);
    buf_free(&one);
}

static void a_signal_is_a_failure_with_its_name(void **state)
{
    (void)state;
    struct ending e = {.status = SIGKILL, .tail = span_str("a\nout of cheese \n\n")};
    struct d_step_outcome o = outcome(&e);
    assert_int_equal(o.signal, SIGKILL);
    assert_int_equal(o.exit_code, 128 + SIGKILL);
    expect(e, PACKAGE_FAILED, false, false, "ended by signal 9 (KILL): out of cheese");
    e.said = true;
    e.verdict = PACKAGE_CANCELLED;
    expect(e, PACKAGE_FAILED, false, false, "ended by signal 9 (KILL): out of cheese");
}

static void a_verdict_can_only_make_an_outcome_worse(void **state)
{
    (void)state;
    struct ending e = {
        .status = EXIT(0), .said = true, .verdict = PACKAGE_FAILED, .message = span_str("no rows")};
    expect(e, PACKAGE_FAILED, false, false, "no rows");
    e.verdict = PACKAGE_CANCELLED;
    expect(e, PACKAGE_CANCELLED, false, false, "no rows");
    e.verdict = PACKAGE_SUCCEEDED;
    expect(e, PACKAGE_SUCCEEDED, false, false, "no rows");
}

static void a_success_verdict_with_a_bad_exit_code_reports_both(void **state)
{
    (void)state;
    struct ending e = {.status = EXIT(2), .said = true, .verdict = PACKAGE_SUCCEEDED};
    expect(e, PACKAGE_FAILED, false, false,
           "exit 2, although the package's own verdict is succeeded");
    e.message = span_str("loaded 5 rows");
    expect(e, PACKAGE_FAILED, false, false,
           "exit 2, although the package's own verdict is succeeded: loaded 5 rows");
    assert_int_equal(outcome(&e).exit_code, 2);
}

static void unreadable_outputs_turn_a_success_into_a_failure(void **state)
{
    (void)state;
    struct ending e = {.status = EXIT(0), .trouble = "outputs, line 1: bad"};
    expect(e, PACKAGE_FAILED, false, false, "outputs, line 1: bad");
    e.message = span_str("loaded 5 rows");
    expect(e, PACKAGE_FAILED, false, false,
           "outputs, line 1: bad; the package says: loaded 5 rows");
    e.said = true;
    e.verdict = PACKAGE_FAILED;
    expect(e, PACKAGE_FAILED, false, false, "loaded 5 rows");
    e.said = false;
    e.message = SPAN_NONE;
    e.status = EXIT(3);
    expect(e, PACKAGE_FAILED, false, false, "exit 3");
}

static void a_step_that_we_end_says_so_unless_it_had_finished(void **state)
{
    (void)state;
    struct ending e = {.status = SIGTERM, .stop = STOP_CANCEL};
    expect(e, PACKAGE_CANCELLED, true, false, "cancelled");
    e.status = EXIT(0);
    expect(e, PACKAGE_CANCELLED, true, false, "cancelled");
    e.stop = STOP_TIMEOUT;
    expect(e, PACKAGE_FAILED, false, true, "timed out and was ended");
    e.stop = STOP_FENCE;
    expect(e, PACKAGE_CANCELLED, true, false,
           "ended before its server counts as lost (on_lost: rerun)");
    e.said = true;
    e.verdict = PACKAGE_SUCCEEDED;
    expect(e, PACKAGE_SUCCEEDED, false, false, "");
    e.status = EXIT(1);
    expect(e, PACKAGE_CANCELLED, true, false,
           "ended before its server counts as lost (on_lost: rerun)");
}

static void long_texts_and_many_arguments_are_truncated(void **state)
{
    (void)state;
    char *argv[100], *longer = mem_alloc(LIMIT_TEXT + 1);
    memset(longer, 'x', LIMIT_TEXT);
    longer[LIMIT_TEXT] = 0;
    for (int i = 0; i < 100; i++)
        argv[i] = longer;
    struct ending e = {.status = SIGTERM,
                       .stop = STOP_CANCEL,
                       .message = span_str(longer),
                       .argv = argv,
                       .n_argv = 100};
    struct d_step_outcome o = outcome(&e);
    assert_int_equal(o.argv.count, 64);
    assert_true(o.message.n <= LIMIT_TEXT);
    mem_free(&longer);
}

static void a_refusal_carries_its_code_and_message(void **state)
{
    (void)state;
    struct s_ended s;
    struct d_step_outcome o;
    struct id run = {{1}};
    buf_clear(&entry);
    const struct s_launch l = {.run = run, .attempt = 3, .step = span_str("run"), .try_no = 2};
    ended_refused(&l, REFUSAL_DENIED, false, "no grant", 5, &entry);
    assert_int_equal(s_ended_decode(buf_span(&entry), &s, NULL), 0);
    assert_int_equal(d_step_outcome_decode(s.outcome, &o, NULL), 0);
    assert_true(id_eq(s.run, run) && s.attempt == 3 && o.try_no == 2);
    assert_int_equal(o.package, PACKAGE_NOT_EXECUTED);
    assert_int_equal(o.code, REFUSAL_DENIED);
    assert_true(span_eq_str(o.message, "no grant"));
}

/* A worker that cannot read an entry would wait for it for ever, and could not start again. */
static void a_refusal_can_be_decoded_whatever_its_message(void **state)
{
    (void)state;
    struct s_ended s;
    struct d_step_outcome o;
    buf_clear(&entry);
    const struct s_launch l = {
        .run = (struct id){{1}}, .attempt = 1, .step = span_str("run"), .try_no = 1};
    ended_refused(&l, REFUSAL_START_FAILED, false, "cannot execute '/a\xff/b'", 5, &entry);
    assert_int_equal(s_ended_decode(buf_span(&entry), &s, NULL), 0);
    assert_int_equal(d_step_outcome_decode(s.outcome, &o, NULL), 0);
    assert_true(span_eq_str(o.message, "cannot execute '/a\xef\xbf\xbd/b'"));
}

static int free_entry(void **state)
{
    (void)state;
    buf_free(&entry);
    return 0;
}

static void an_exceeded_limit_explains_a_failure_and_no_success(void **state)
{
    (void)state;
    struct ending e = {.status = SIGKILL,
                       .excess = {.out_of_memory = true, .text = "used too much"}};
    expect(e, PACKAGE_FAILED, false, false, "used too much; ended by signal 9 (KILL)");
    assert_true(outcome(&e).out_of_memory);
    e.message = span_str("loading");
    expect(e, PACKAGE_FAILED, false, false, "used too much; the package says: loading");
    e.status = EXIT(0);
    expect(e, PACKAGE_SUCCEEDED, false, false, "loading");
    assert_false(outcome(&e).out_of_memory);
    e.status = SIGKILL;
    e.stop = STOP_CANCEL;
    assert_false(outcome(&e).out_of_memory);
}

static void a_warning_is_said_of_what_failed_after_it(void **state)
{
    (void)state;
    struct ending e = {.status = SIGKILL, .stop = STOP_TIMEOUT, .warned = SIGUSR1};
    expect(e, PACKAGE_FAILED, false, true,
           "timed out and was ended, after the signal USR1 that its time was running out");
    e.stop = STOP_NONE;
    e.status = EXIT(0);
    expect(e, PACKAGE_SUCCEEDED, false, false, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_exit_codes_only_zero_is_success),
        cmocka_unit_test(exit_codes_mean_what_the_package_says),
        cmocka_unit_test(a_signal_is_a_failure_with_its_name),
        cmocka_unit_test(an_exceeded_limit_explains_a_failure_and_no_success),
        cmocka_unit_test(a_warning_is_said_of_what_failed_after_it),
        cmocka_unit_test(a_verdict_can_only_make_an_outcome_worse),
        cmocka_unit_test(a_success_verdict_with_a_bad_exit_code_reports_both),
        cmocka_unit_test(unreadable_outputs_turn_a_success_into_a_failure),
        cmocka_unit_test(a_step_that_we_end_says_so_unless_it_had_finished),
        cmocka_unit_test(long_texts_and_many_arguments_are_truncated),
        cmocka_unit_test(a_refusal_carries_its_code_and_message),
        cmocka_unit_test(a_refusal_can_be_decoded_whatever_its_message),
    };
    return cmocka_run_group_tests_name("ended", tests, NULL, free_entry);
}
