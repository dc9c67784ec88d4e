/* termtable_test.c - tables: aligned, fitted to the page, never folded. */
#include "common/term.h"
#include "common/testing.h"

static const struct term pipe_like = {.width = 80}, narrow = {.is_terminal = true, .width = 20},
                         colourful = {.is_terminal = true, .colour = true, .width = 80};

static void prints(struct term_table *t, int width, const char *want)
{
    const struct term term = {.is_terminal = true, .width = width};
    struct buf b = {0};
    term_table_print(t, &term, &b);
    assert_string_equal(buf_str(&b), want);
    buf_free(&b);
}

static const struct term_column plain[] = {{"RUN", 0}, {"N", TERM_RIGHT}, {"MESSAGE", 0}};

static struct term_table *a_table(void)
{
    struct term_table *t = term_table_new(plain, 3);
    term_table_add(t, "one");
    term_table_addf(t, TERM_PLAIN, "%d", 7);
    term_table_add_in(t, TERM_BAD, "a message that goes on");
    term_table_add(t, "fourteen");
    term_table_addf(t, TERM_PLAIN, "%d", 1234);
    term_table_add(t, NULL);
    return t;
}

static void a_table_is_aligned_and_whole_when_it_is_piped(void **state)
{
    (void)state;
    struct buf b = {0};
    struct term_table *t = a_table();
    assert_int_equal(term_table_rows(t), 2);
    term_table_print(t, &pipe_like, &b);
    assert_string_equal(buf_str(&b), "RUN          N  MESSAGE\n"
                                     "one          7  a message that goes on\n"
                                     "fourteen  1234  \n");
    term_table_free(&t);
    assert_null(t);
    buf_free(&b);
}

static void the_last_column_is_cut_on_a_terminal(void **state)
{
    (void)state;
    struct buf b = {0};
    struct term_table *t = a_table();
    prints(t, 28,
           "RUN          N  MESSAGE\n"
           "one          7  a message t\xe2\x80\xa6\n"
           "fourteen  1234  \n");
    term_table_print(t, &colourful, &b);
    assert_contains(buf_str(&b), "\xfe"
                                 "ra message that goes on\xfe"
                                 "0\n");
    term_table_free(&t);
    buf_free(&b);
}

static const struct term_column fitted[] = {
    {"RUN", 0},
    {"CHILD", TERM_SHRINK(6)},
    {"BY", TERM_DROP(2)},
    {"ATTEMPT", TERM_RIGHT | TERM_DROP(1)},
    {"MESSAGE", TERM_SHRINK(8) | TERM_WRAP},
};

static struct term_table *a_fitted_table(void)
{
    struct term_table *t = term_table_new(fitted, 5);
    term_table_add(t, "4b3c2d10");
    term_table_add(t, "nightly/load");
    term_table_add(t, "anna");
    term_table_add(t, "1");
    term_table_add(t, "no such table orders");
    return t;
}

static void columns_shrink_and_then_are_dropped_in_order_of_rank(void **state)
{
    (void)state;
    struct term_table *t = a_fitted_table();
    prints(t, 80,
           "RUN       CHILD         BY    ATTEMPT  MESSAGE\n"
           "4b3c2d10  nightly/load  anna        1  no such table orders\n");
    prints(t, 54,
           "RUN       CHILD         BY    ATTEMPT  MESSAGE\n"
           "4b3c2d10  nightly/load  anna        1  no such table\n"
           "                                       orders\n");
    prints(t, 42,
           "RUN       CHILD    BY    ATTEMPT  MESSAGE\n"
           "4b3c2d10  nightl\xe2\x80\xa6  anna        1  no such\n"
           "                                  table\n"
           "                                  orders\n");
    prints(t, 35,
           "RUN       CHILD   ATTEMPT  MESSAGE\n"
           "4b3c2d10  night\xe2\x80\xa6        1  no such\n"
           "                           table\n"
           "                           orders\n");
    prints(t, 26,
           "RUN       CHILD   MESSAGE\n"
           "4b3c2d10  night\xe2\x80\xa6  no such\n"
           "                  table\n"
           "                  orders\n");
    term_table_free(&t);
}

static void no_row_is_ever_wider_than_the_page(void **state)
{
    (void)state;
    struct term_table *tables[] = {a_table(), a_fitted_table()};
    for (size_t i = 0; i < 2; i++) {
        for (int width = 1; width < 100; width++) {
            const struct term term = {.is_terminal = true, .width = width};
            struct buf b = {0};
            term_table_print(tables[i], &term, &b);
            for (char *save, *line = strtok_r((char *)(uintptr_t)buf_str(&b), "\n", &save); line;
                 line = strtok_r(NULL, "\n", &save))
                assert_true(term_width(span_str(line)) <= width);
            buf_free(&b);
        }
        term_table_free(&tables[i]);
    }
}

static void an_optional_column_without_any_text_is_left_out_on_a_terminal(void **state)
{
    (void)state;
    struct buf b = {0};
    static const struct term_column columns[] = {{"RUN", 0}, {"N", TERM_OPTIONAL}, {"MESSAGE", 0}};
    struct term_table *t = term_table_new(columns, 3);
    term_table_add(t, "one");
    term_table_add(t, "");
    term_table_add(t, "two");
    prints(t, 80, "RUN  MESSAGE\none  two\n");
    term_table_print(t, &pipe_like, &b);
    assert_contains(buf_str(&b), "RUN  N  MESSAGE\n");
    term_table_free(&t);
    buf_free(&b);
}

static void wide_characters_are_aligned_by_their_columns(void **state)
{
    (void)state;
    struct term_table *t = term_table_new(plain, 3);
    term_table_add(t, "\xe6\x97\xa5\xe6\x9c\xac");
    term_table_add(t, "1");
    term_table_add(t, "x");
    prints(t, 80, "RUN   N  MESSAGE\n\xe6\x97\xa5\xe6\x9c\xac  1  x\n");
    term_table_free(&t);
}

static void a_table_without_titles_begins_with_its_first_row(void **state)
{
    static const struct term_column columns[] = {{"", 0}, {"", 0}};
    struct term_table *t = term_table_new(columns, 2);
    (void)state;
    term_table_add(t, "entry");
    term_table_add(t, "17");
    prints(t, 80, "entry  17\n");
    term_table_free(&t);
}

static void a_table_makes_its_cells_safe_and_may_be_empty(void **state)
{
    (void)state;
    struct buf b = {0};
    struct term_table *t = term_table_new(plain, 3);
    term_table_print(t, &narrow, &b);
    assert_string_equal(buf_str(&b), "");
    term_table_add(t, "a\033b");
    term_table_print(t, &pipe_like, &b);
    assert_contains(buf_str(&b), "a\\u001bb");
    term_table_free(&t);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_aligned_and_whole_when_it_is_piped),
        cmocka_unit_test(the_last_column_is_cut_on_a_terminal),
        cmocka_unit_test(columns_shrink_and_then_are_dropped_in_order_of_rank),
        cmocka_unit_test(no_row_is_ever_wider_than_the_page),
        cmocka_unit_test(an_optional_column_without_any_text_is_left_out_on_a_terminal),
        cmocka_unit_test(wide_characters_are_aligned_by_their_columns),
        cmocka_unit_test(a_table_without_titles_begins_with_its_first_row),
        cmocka_unit_test(a_table_makes_its_cells_safe_and_may_be_empty),
    };
    term_unicode_set(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
