#include "common/error.h"
#include "common/testing.h"
#include "common/utf8.h"

#include <errno.h>

static void a_failure_has_a_code_and_a_sentence(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(error_set(&err, -ENOENT, "no job '%s'", "nightly"), -ENOENT);
    assert_int_equal(err.code, -ENOENT);
    assert_string_equal(err.text, "no job 'nightly'");
}

static void the_error_argument_may_be_null(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, -EBUSY, "x"), -EBUSY);
    assert_int_equal(error_errno(NULL, ENOSPC, "x"), -ENOSPC);
    assert_true(error_prefix(NULL, "x") < 0);
}

static void a_failure_never_has_a_success_code(void **state)
{
    (void)state;
    struct error err = {0};
    assert_true(error_set(&err, 0, "x") < 0);
    assert_true(err.code < 0);
    assert_true(error_errno(&err, 0, "x") < 0);
}

static void a_place_is_put_before_the_cause(void **state)
{
    (void)state;
    struct error err = {0};
    error_set(&err, -EINVAL, "unknown key 'stpes'");
    assert_int_equal(error_prefix(&err, "%s:%d", "nightly.yaml", 14), -EINVAL);
    assert_string_equal(err.text, "nightly.yaml:14: unknown key 'stpes'");
}

static void the_system_reason_follows_the_sentence(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(error_errno(&err, ENOENT, "open '%s'", "/x"), -ENOENT);
    assert_string_equal(err.text, "open '/x': No such file or directory");
}

static void a_sentence_may_be_built_from_itself(void **state)
{
    (void)state;
    struct error err = {0};
    error_set(&err, -EIO, "disk");
    error_set(&err, -EIO, "store: %s", err.text);
    assert_string_equal(err.text, "store: disk");
}

static void truncation_is_marked(void **state)
{
    (void)state;
    char longer[2000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    struct error err = {0};
    error_set(&err, -EINVAL, "%s", longer);
    assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
    assert_string_equal(err.text + ERROR_TEXT_MAX - 4, "...");
    error_set(&err, -EINVAL, "short");
    error_prefix(&err, "%s", longer);
    assert_int_equal(strlen(err.text), ERROR_TEXT_MAX - 1);
    assert_string_equal(err.text + ERROR_TEXT_MAX - 4, "...");
}

static void truncation_keeps_characters_whole(void **state)
{
    (void)state;
    char longer[2000], one[8];
    for (size_t i = 0; i + 1 < sizeof longer; i++)
        longer[i] = i % 2 ? '\xa4' : '\xc3'; /* a-umlaut, again and again */
    longer[sizeof longer - 2] = longer[sizeof longer - 1] = 0;
    for (size_t i = 0; i < 4; i++) { /* wherever the cut falls */
        struct error err = {0};
        memset(one, 'x', i);
        one[i] = 0;
        error_set(&err, -EINVAL, "%s%s", one, longer);
        assert_true(utf8_is_valid(span_str(err.text), NULL));
        assert_string_equal(err.text + strlen(err.text) - 3, "...");
        error_set(&err, -EINVAL, "short");
        error_prefix(&err, "%s%s", one, longer);
        assert_true(utf8_is_valid(span_str(err.text), NULL));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_has_a_code_and_a_sentence),
        cmocka_unit_test(the_error_argument_may_be_null),
        cmocka_unit_test(a_failure_never_has_a_success_code),
        cmocka_unit_test(a_place_is_put_before_the_cause),
        cmocka_unit_test(the_system_reason_follows_the_sentence),
        cmocka_unit_test(a_sentence_may_be_built_from_itself),
        cmocka_unit_test(truncation_is_marked),
        cmocka_unit_test(truncation_keeps_characters_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
