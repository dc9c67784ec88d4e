/* subsystem_test.c - the subsystems that every server has. */
#include "common/testing.h"

#include "trust/subsystem.h"

static void each_of_them_is_a_document(void **state)
{
    (void)state;
    struct error err = {0};
    for (unsigned i = 0; i < SUBSYSTEM_BUILTINS; i++) {
        struct buf out = {0};
        struct d_subsystem d;
        const char *name = subsystem_builtin_name(i);
        subsystem_builtin(i, &out);
        if (d_subsystem_decode(buf_span(&out), &d, &err) < 0)
            fail_msg("%s: %s", name, err.text);
        assert_true(span_eq_str(d.name, name) && d.description.n);
        assert_int_equal(subsystem_builtin_find(d.name), i);
        assert_true(subsystem_parameters_parse(d.parameters) >= 0);
        assert_int_equal(d.argv.count == 0, span_eq_str(d.name, "exec"));
        assert_int_equal(subsystem_is_replaceable(i), i > 1);
        buf_free(&out);
    }
    assert_null(subsystem_builtin_name(SUBSYSTEM_BUILTINS));
    assert_int_equal(subsystem_builtin_find(span_str("perl")), -1);
}

static void python_holds_no_output_back(void **state)
{
    (void)state;
    struct buf out = {0};
    struct d_subsystem d;
    subsystem_builtin((unsigned)subsystem_builtin_find(span_str("python")), &out);
    assert_int_equal(d_subsystem_decode(buf_span(&out), &d, NULL), 0);
    assert_true(wire_list_has(&d.argv, "-u") && wire_list_has(&d.text_argv, "-u"));
    buf_free(&out);
}

static void a_database_says_whose_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *text, *taken, *need;
        int engine;
    } rows[] = {
        {"sqlite:/srv/wh.db", "/srv/wh.db", "command:sqlite3", SUBSYSTEM_SQLITE3},
        {"sqlite::memory:", ":memory:", "command:sqlite3", SUBSYSTEM_SQLITE3},
        {"postgresql://db1/wh", "postgresql://db1/wh", "command:psql", SUBSYSTEM_PSQL},
        {"postgres://db1/wh", "postgres://db1/wh", "command:psql", SUBSYSTEM_PSQL},
        {"service=wh", "service=wh", "command:psql", SUBSYSTEM_PSQL},
        {"sqlite:", NULL, "", -1},
        {"wh", NULL, "", -1},
        {"", NULL, "", -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span taken;
        assert_int_equal(subsystem_sql_engine(span_str(rows[i].text), &taken), rows[i].engine);
        assert_true(!rows[i].taken || span_eq_str(taken, rows[i].taken));
        assert_string_equal(subsystem_sql_need(span_str(rows[i].text)), rows[i].need);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_of_them_is_a_document),
        cmocka_unit_test(python_holds_no_output_back),
        cmocka_unit_test(a_database_says_whose_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
