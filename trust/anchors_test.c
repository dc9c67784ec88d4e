#include "trust/fixture.h"

static void keys_are_read_from_lines(void **state)
{
    const char *path = testing_path(state, "administrators");
    struct key a = fixture_key('A'), b = fixture_key('B'), c = fixture_key('C');
    char one[KEY_TEXT], two[KEY_TEXT];
    char *text = mem_printf("# ours\n%s anna's laptop\n\n%s\r\n", key_format(&a.sign, one),
                            key_format(&b.sign, two));
    struct trust_anchors anchors;
    assert_int_equal(file_write_atomic(path, span_str(text), 0644, NULL), 0);
    assert_int_equal(anchors_load(path, "test", &anchors, NULL), 0);
    assert_int_equal(anchors.n, 2);
    assert_string_equal(anchors.cluster, "test");
    assert_true(anchors_have(&anchors, &a.sign));
    assert_true(anchors_have(&anchors, &b.sign));
    assert_false(anchors_have(&anchors, &c.sign));
    anchors_free(&anchors);
    mem_free(&text);
}

static void written_anchors_can_be_read_back(void **state)
{
    const char *path = testing_path(state, "administrators");
    struct trust_anchors anchors = fixture_anchors(), back;
    struct buf text = {0};
    anchors_format(&anchors, &text);
    assert_int_equal(file_write_atomic(path, buf_span(&text), 0644, NULL), 0);
    assert_int_equal(anchors_load(path, "test", &back, NULL), 0);
    assert_int_equal(back.n, 1);
    assert_true(hash_eq(&back.administrators[0], &anchors.administrators[0]));
    anchors_free(&anchors);
    anchors_free(&back);
    buf_free(&text);
}

static void a_bad_line_is_named(void **state)
{
    static const char *const wrong[] = {
        "# one\nabc\n", "# one\n0000000000000000000000000000000000000000000000000000000000000000\n",
        "# one\n d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\n",
        "# one\nd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a00\n"};
    const char *path = testing_path(state, "administrators");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct trust_anchors anchors;
        struct error err = {0};
        assert_int_equal(file_write_atomic(path, span_str(wrong[i]), 0644, NULL), 0);
        assert_int_equal(anchors_load(path, "test", &anchors, &err), -EINVAL);
        assert_contains(err.text, "administrators:2");
    }
}

static void a_file_without_keys_is_refused(void **state)
{
    const char *path = testing_path(state, "administrators");
    struct trust_anchors anchors;
    struct error err = {0};
    assert_int_equal(anchors_load(path, "test", &anchors, &err), -ENOENT);
    assert_int_equal(file_write_atomic(path, span_str("# nobody\n"), 0644, NULL), 0);
    assert_int_equal(anchors_load(path, "test", &anchors, &err), -ENODATA);
    assert_contains(err.text, "no one could be trusted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(keys_are_read_from_lines),
        in_folder(written_anchors_can_be_read_back),
        in_folder(a_bad_line_is_named),
        in_folder(a_file_without_keys_is_refused),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
