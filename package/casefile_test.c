#include "common/testing.h"

#include <errno.h>

#include "common/json.h"
#include "package/casefile.h"

static const char yaml[] =
    "name: p\nversion: 1\nsubsystem: shell\nentry: m\nlimits: {timeout: 1m}\n"
    "parameters:\n  whom: {type: string}\n  day: {type: date}\n  n: {type: int, max: 9}\n"
    "outputs: {rows: {type: int}, total: {type: float}}\n";

static void make(struct manifest *m)
{
    struct problems ps = {0};
    assert_int_equal(manifest_parse_yaml("p", span_str(yaml), m, &ps), 0);
    problems_free(&ps);
}

static void cases_are_read_with_the_types_that_the_package_declares(void **state)
{
    (void)state;
    struct manifest m;
    struct casefile c;
    struct problems ps = {0};
    make(&m);
    int rc = casefile_parse("t",
                            span_str("cases:\n"
                                     "- {name: one}\n"
                                     "- name: two\n"
                                     "  parameters: {whom: 1.10, day: 2026-11-21, n: 12}\n"
                                     "  timeout: 5s\n"
                                     "  as_of: 2026-11-20\n"
                                     "  needs_command: psql\n"
                                     "  expect:\n"
                                     "    {outcome: refused, exit_code: 3, message: no, "
                                     "message_matches: n., outputs: {total: 2}, output_has: x}\n"),
                            &m, &c, &ps);
    if (rc < 0)
        fail_msg("%s", ps.v[0].text);
    assert_int_equal(c.n, 2);
    assert_string_equal(c.v[0].outcome, "succeeded");
    assert_int_equal(c.v[0].exit_code, -1);
    assert_int_equal(c.v[0].timeout_ms, CASEFILE_TIMEOUT_MS);
    char *text = json_dump_canonical(c.v[1].parameters);
    assert_string_equal(text, "{\"day\":\"2026-11-21\",\"n\":12,\"whom\":\"1.10\"}");
    free(text);
    assert_true(json_is_real(json_object_get(c.v[1].outputs, "total")));
    assert_string_equal(c.v[1].outcome, "refused");
    assert_string_equal(c.v[1].needs_command, "psql");
    assert_int_equal(c.v[1].timeout_ms, 5000);
    casefile_free(&c);
    manifest_free(&m);
}

static void each_wrong_case_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"- a\n", "t:1:1: "},
        {"case: []\n", "unknown key 'case' (did you mean 'cases'?)"},
        {"{}\n", "'cases' is missing"},
        {"cases: []\n", "'cases' has 1 to 1000 cases"},
        {"cases: [{}]\n", "'name' is missing"},
        {"cases: [{name: ''}]\n", "the name of a case has 1 to"},
        {"cases: [{name: a}, {name: a}]\n", "t:1:27: another case has this name, in line 1"},
        {"cases: [{name: a, expct: {}}]\n", "unknown key 'expct' (did you mean 'expect'?)"},
        {"cases: [{name: a, parameters: {whon: x}}]\n",
         "t:1:32: the package has no parameter 'whon' (did you mean 'whom'?)"},
        {"cases: [{name: a, parameters: {day: x}}]\n", "t:1:37: expected a date"},
        {"cases: [{name: a, timeout: 5}]\n", "t:1:28: "},
        {"cases: [{name: a, timeout: 0s}]\n", "more than 0"},
        {"cases: [{name: a, expect: {outcome: succeded}}]\n", "did you mean 'succeeded'?"},
        {"cases: [{name: a, expect: {exit_code: 256}}]\n", "from 0 to 255"},
        {"cases: [{name: a, expect: {exit: 1}}]\n", "unknown key 'exit'"},
        {"cases: [{name: a, expect: {outputs: {row: 1}}}]\n",
         "the package has no output 'row' (did you mean 'rows'?)"},
        {"cases: [{name: a, expect: {outputs: {rows: x}}}]\n", "t:1:44: "},
        {"cases: [{name: a, expect: {message_matches: '['}}]\n", "t:1:45: "},
    };
    struct manifest m;
    make(&m);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct casefile c;
        struct problems ps = {0};
        if (casefile_parse("t", span_str(rows[i].text), &m, &c, &ps) == 0)
            fail_msg("was taken: %s", rows[i].text);
        struct buf all = {0};
        for (size_t k = 0; k < ps.n; k++)
            buf_printf(&all, "%s\n", ps.v[k].text);
        assert_contains(buf_str(&all), rows[i].says);
        buf_free(&all);
        problems_free(&ps);
    }
    manifest_free(&m);
}

static void each_difference_is_a_line(void **state)
{
    (void)state;
    struct manifest m;
    struct casefile c;
    struct problems ps = {0};
    struct buf out = {0};
    make(&m);
    assert_int_equal(
        casefile_parse(
            "t",
            span_str("cases: [{name: a, expect: {exit_code: 0, message_matches: 'a+', "
                     "message: aa, output_has: hello, outputs: {rows: 2, total: 1}}}]\n"),
            &m, &c, &ps),
        0);
    json_t *good = json_pack("{s:i,s:f,s:s}", "rows", 2, "total", 1.0, "more", "x"),
           *bad = json_pack("{s:i}", "rows", 3);
    struct casefile_end end = {.outcome = "succeeded",
                               .message = span_str("aa"),
                               .output = span_str("oh hello"),
                               .outputs = good};
    casefile_judge(&c.v[0], &end, &out);
    assert_int_equal(out.n, 0);
    end = (struct casefile_end){
        .outcome = "failed", .exit_code = 4, .message = span_str("b"), .outputs = bad};
    casefile_judge(&c.v[0], &end, &out);
    assert_string_equal(buf_str(&out), "it has failed, not succeeded: b\n"
                                       "the exit code is 4, not 0\n"
                                       "the message is 'b', not 'aa'\n"
                                       "the message 'b' does not match 'a+'\n"
                                       "the output rows is 3, not 2\n"
                                       "there is no output total; expected 1.0\n"
                                       "the output does not have 'hello'\n");
    buf_clear(&out);
    end.late = true;
    casefile_judge(&c.v[0], &end, &out);
    assert_string_equal(buf_str(&out), "it was stopped after 1m 00s, the timeout of the case\n");
    buf_free(&out);
    json_decref(good);
    json_decref(bad);
    casefile_free(&c);
    manifest_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_are_read_with_the_types_that_the_package_declares),
        cmocka_unit_test(each_wrong_case_is_named_with_its_place),
        cmocka_unit_test(each_difference_is_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
