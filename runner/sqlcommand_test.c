/* sqlcommand_test.c - what sqlite3 and psql are started with, and what they read first. */
#include "common/testing.h"

#include <errno.h>

#include "common/mem.h"
#include "runner/sqlcommand.h"

static struct buf items;

static struct wire_list parameters(void)
{
    buf_clear(&items);
    value_add_str(&items, span_str("day"));
    value_add_str(&items, span_str("2026-11-21"));
    value_add_str(&items, span_str("n"));
    value_add_int(&items, INT64_MIN);
    value_add_str(&items, span_str("name"));
    value_add_str(&items, span_str("O'Neil'); DROP TABLE t; --\n\\x:y"));
    value_add_str(&items, span_str("really"));
    value_add_bool(&items, true);
    return wire_list_from(&items, 4);
}

static void has_words(struct command *c, const char *const words[])
{
    size_t n = 0;
    for (; words[n]; n++)
        if (n >= c->n_argv || strcmp(c->argv[n], words[n]) != 0)
            fail_msg("word %zu is %s, not %s", n, n < c->n_argv ? c->argv[n] : "(none)", words[n]);
    assert_int_equal(c->n_argv, n);
    command_free(c);
}

static void the_command_line_stops_at_the_first_error_and_has_no_value(void **state)
{
    (void)state;
    struct error err = {0};
    struct command c = {0};
    const struct wire_list p = parameters();
    struct sqlcommand s = {.engine = SUBSYSTEM_SQLITE3,
                           .database = span_str("-wh.db"),
                           .script = "-",
                           .parameters = &p};
    assert_int_equal(sqlcommand_arguments(&s, &c, &err), 0);
    has_words(&c, (const char *const[]){"-batch", "-bail", "-init", "/dev/fd/3", "./-wh.db", NULL});
    s.engine = SUBSYSTEM_PSQL;
    s.database = span_str("service=wh");
    s.script = "/p/load.sql";
    assert_int_equal(sqlcommand_arguments(&s, &c, &err), 0);
    has_words(&c,
              (const char *const[]){"-X", "-w", "-q", "-v", "ON_ERROR_STOP=1", "-f", "/dev/fd/3",
                                    "-f", "/p/load.sql", "-d", "service=wh", NULL});
    s.database = SPAN_NONE;
    assert_int_equal(sqlcommand_arguments(&s, &c, &err), -EINVAL);
    command_free(&c);
}

static void sqlite3_gets_every_byte_of_a_value_as_a_literal(void **state)
{
    (void)state;
    struct buf out = {0};
    const struct wire_list p = parameters();
    const struct sqlcommand_own own[] = {{"lb_run", "r"}, {"lb_package", NULL}};
    const struct sqlcommand s = {
        .engine = SUBSYSTEM_SQLITE3, .parameters = &p, .own = own, .n_own = 2};
    sqlcommand_bindings(&s, &out);
    const char *text = buf_str(&out);
    assert_true(strncmp(text, ".parameter init\n", 16) == 0);
    assert_null(strstr(text, "DROP"));
    assert_contains(text, "CAST(X'4f274e65696c27293b2044524f50");
    assert_contains(text, "(VALUES(CAST('-9223372036854775808' AS INTEGER)))");
    assert_contains(text, "(VALUES(1))");
    assert_contains(text, "(VALUES(CAST(X'72' AS TEXT)))");
    assert_null(strstr(text, "6c625f7061636b616765")); /* lb_package, which there is not */
    buf_free(&out);
}

static void psql_gets_each_value_as_a_quoted_variable(void **state)
{
    (void)state;
    struct buf out = {0};
    const struct wire_list p = parameters();
    const struct sqlcommand s = {.engine = SUBSYSTEM_PSQL, .parameters = &p};
    sqlcommand_bindings(&s, &out);
    assert_contains(buf_str(&out), "\\set day '2026-11-21'\n");
    assert_contains(buf_str(&out), "\\set n '-9223372036854775808'\n");
    assert_contains(buf_str(&out), "\\set name 'O\\047Neil\\047\\051\\073 DROP TABLE t\\073 "
                                   "--\\012\\134x\\072y'\n");
    assert_contains(buf_str(&out), "\\set really 'true'\n");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_line_stops_at_the_first_error_and_has_no_value),
        cmocka_unit_test(sqlite3_gets_every_byte_of_a_value_as_a_literal),
        cmocka_unit_test(psql_gets_each_value_as_a_quoted_variable),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    buf_free(&items);
    return rc;
}
