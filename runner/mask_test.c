/* mask_test.c - no secret value gets through, wherever the text is cut, and nothing else is
 * touched. */
#include "common/testing.h"

#include <errno.h>
#include <stdlib.h>

#include "runner/mask.h"

static struct mask *mask_of(const char *const *values, size_t n)
{
    struct mask *m = mask_new();
    struct error err = {0};
    for (size_t i = 0; i < n; i++)
        mask_add(m, span_str(values[i]));
    assert_int_equal(mask_ready(m, &err), 0);
    return m;
}

static void expect(const struct mask *m, const char *text, const char *want)
{
    struct buf whole = {0};
    buf_add_str(&whole, text);
    mask_whole(m, buf_span(&whole));
    assert_string_equal(buf_str(&whole), want);
    buf_free(&whole);
}

/* Feeds the text in pieces of which only decided bytes go on, as output.c does. */
static void feed_in_pieces(const struct mask *m, struct span text, const size_t *cuts,
                           size_t n_cuts, struct buf *out)
{
    struct mask_at at = {0};
    struct buf held = {0};
    size_t from = 0;
    for (size_t i = 0; i <= n_cuts; i++) {
        size_t to = i < n_cuts ? cuts[i] : text.n, before = held.n;
        buf_add(&held, text.p + from, to - from);
        size_t undecided = mask_feed(m, &at, held.p, before, to - from);
        assert_true(undecided <= held.n && undecided <= MASK_PIECE_MAX);
        size_t go = held.n - undecided;
        buf_add(out, held.p, go);
        struct buf rest = buf_dup(span_of(held.p + go, undecided));
        buf_free(&held);
        held = rest;
        from = to;
    }
    buf_add(out, held.p, held.n);
    buf_free(&held);
}

static void values_become_as_many_asterisks_and_the_rest_stays(void **state)
{
    (void)state;
    static const char *const values[] = {"hunter22", "s3cr3t", "short", "hunt22"};
    struct mask *m = mask_of(values, 4);
    expect(m, "pw=hunter22;", "pw=********;");
    expect(m, "hunter2 hunter", "hunter2 hunter");
    expect(m, "s3cs3cr3t", "s3c******");
    expect(m, "s3cr3ts3cr3t", "************");
    expect(m, "short words stay", "short words stay");
    expect(m, "huhunter22hunt22", "hu**************");
    mask_free(&m);
    expect(NULL, "hunter22", "hunter22");
    static const char *const file[] = {"s3cr3t\n"};
    m = mask_of(file, 1);
    expect(m, "s3cr3t\nuser\n", "******\nuser\n");
    mask_free(&m);
}

static void one_value_inside_another_is_found_too(void **state)
{
    (void)state;
    static const char *const values[] = {"abcdefghij", "cdefgh", "bcdefgX", "hijklm"};
    struct mask *m = mask_of(values, 4);
    expect(m, "abcdefghij", "**********");
    expect(m, "abcdefghiZ", "ab******iZ");
    expect(m, "abcdefgX", "a*******");
    expect(m, "abcdefghijklm", "*************");
    mask_free(&m);
}

static void no_cut_lets_a_value_through(void **state)
{
    (void)state;
    static const char *const values[] = {"hunter22", "ter22ter22x", "aaaaaaab",
                                         "line one\nline two"};
    static const char text[] = "x hunter22 hunter hunter22ter22x aaaaaaaaaab aaaaaaa\nline one\n"
                               "line two; line two\nline on";
    struct mask *m = mask_of(values, 4);
    struct buf whole = buf_dup(span_str(text)), out = {0};
    mask_whole(m, buf_span(&whole));
    assert_null(strstr(buf_str(&whole), "hunter22"));
    assert_null(strstr(buf_str(&whole), "line two"));
    for (size_t a = 0; a < sizeof text; a++)
        for (size_t b = a; b < sizeof text; b++) {
            const size_t cuts[] = {a, b};
            buf_clear(&out);
            feed_in_pieces(m, span_of(text, sizeof text - 1), cuts, 2, &out);
            if (!span_eq(buf_span(&out), buf_span(&whole)))
                fail_msg("cut at %zu and %zu: %s", a, b, buf_str(&out));
        }
    size_t each[sizeof text];
    for (size_t i = 0; i < sizeof text - 1; i++)
        each[i] = i;
    buf_clear(&out);
    feed_in_pieces(m, span_of(text, sizeof text - 1), each, sizeof text - 1, &out);
    assert_true(span_eq(buf_span(&out), buf_span(&whole)));
    buf_free(&whole);
    buf_free(&out);
    mask_free(&m);
}

/* The same as a search for each value at each place. */
static void random_texts_are_masked_as_the_plain_search_does(void **state)
{
    (void)state;
    srandom(7);
    for (int round = 0; round < 300; round++) {
        char values[5][13], text[200], want[200];
        const char *list[5];
        for (int v = 0; v < 5; v++) {
            int n = MASK_MIN + (int)(random() % 6);
            for (int i = 0; i < n; i++)
                values[v][i] = (char)('a' + random() % 2);
            values[v][n] = '\0';
            list[v] = values[v];
        }
        for (size_t i = 0; i < sizeof text - 1; i++)
            text[i] = (char)('a' + random() % 2);
        text[sizeof text - 1] = '\0';
        memcpy(want, text, sizeof text);
        for (size_t v = 0; v < 5; v++)
            for (char *at = text; (at = strstr(at, values[v])); at++)
                memset(want + (at - text), MASK_STAR, strlen(values[v]));
        struct mask *m = mask_of(list, 5);
        struct buf out = {0};
        size_t cut = (size_t)random() % sizeof text;
        feed_in_pieces(m, span_str(text), &cut, 1, &out);
        assert_string_equal(buf_str(&out), want);
        buf_free(&out);
        mask_free(&m);
    }
}

static void lines_and_the_form_in_json_are_values_too(void **state)
{
    (void)state;
    static const char *const values[] = {"first line\r\nab\nthird line\n", "quo\"te\\d"};
    struct mask *m = mask_of(values, 2);
    expect(m, "> first line\n> third line\nab", "> **********\n> **********\nab");
    expect(m, "{\"v\":\"quo\\\"te\\\\d\"}", "{\"v\":\"**********\"}");
    mask_free(&m);
}

static void a_long_value_is_masked_whole(void **state)
{
    (void)state;
    for (size_t n = MASK_PIECE_MAX - 2; n < 3 * MASK_PIECE_MAX + 3; n += 511) {
        struct buf value = {0};
        for (size_t i = 0; i < n; i++)
            buf_printf(&value, "%c", (int)('a' + i * 7 % 26));
        struct mask *m = mask_new();
        mask_add(m, buf_span(&value));
        assert_int_equal(mask_ready(m, NULL), 0);
        mask_whole(m, buf_span(&value));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(value.p[i], MASK_STAR);
        mask_free(&m);
        buf_free(&value);
    }
}

static void more_than_can_be_looked_for_is_refused(void **state)
{
    (void)state;
    struct mask *m = mask_new();
    struct buf value = {0};
    struct error err = {0};
    buf_grow(&value, MASK_BYTES_MAX);
    memset(value.p, 'x', MASK_BYTES_MAX);
    mask_add(m, span_of(value.p, MASK_BYTES_MAX));
    assert_int_equal(mask_ready(m, &err), -E2BIG);
    assert_contains(err.text, "secret values");
    mask_free(&m);
    buf_free(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_become_as_many_asterisks_and_the_rest_stays),
        cmocka_unit_test(one_value_inside_another_is_found_too),
        cmocka_unit_test(no_cut_lets_a_value_through),
        cmocka_unit_test(random_texts_are_masked_as_the_plain_search_does),
        cmocka_unit_test(lines_and_the_form_in_json_are_values_too),
        cmocka_unit_test(a_long_value_is_masked_whole),
        cmocka_unit_test(more_than_can_be_looked_for_is_refused),
    };
    return cmocka_run_group_tests_name("mask", tests, NULL, NULL);
}
