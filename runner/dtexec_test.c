/* dtexec_test.c - the command line of dtexec. */
#include "common/testing.h"

#include <errno.h>

#include "common/mem.h"
#include "runner/dtexec.h"

static struct buf values, declared, sensitive;
static struct wire_list parameters, types, secrets;
static struct error err;

static int set_up(void **state)
{
    struct buf one = {0};
    const struct d_parameter day = {.name = span_str("day"), .type = span_str("date")};
    (void)state;
    value_add_str(&values, span_str("day"));
    value_add_str(&values, span_str("2026-11-21"));
    value_add_str(&values, span_str("far"));
    value_add_int(&values, 3000000000);
    value_add_str(&values, span_str("full"));
    value_add_bool(&values, true);
    value_add_str(&values, span_str("rate"));
    value_add_float(&values, 0.5);
    value_add_str(&values, span_str("rows"));
    value_add_int(&values, 7);
    value_add_str(&values, span_str("table"));
    value_add_str(&values, span_str("a;b \"c\""));
    parameters = wire_list_from(&values, 6);
    d_parameter_encode(&day, &one);
    wire_add_bin(&declared, buf_span(&one));
    types = wire_list_from(&declared, 1);
    buf_free(&one);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_free(&values);
    buf_free(&declared);
    buf_free(&sensitive);
    secrets = (struct wire_list){.count = 0};
    return 0;
}

static void has_words(const struct dtexec *d, const char *const words[])
{
    struct command c = {0};
    size_t n = 0;
    if (dtexec_arguments(d, &c, &err) < 0)
        fail_msg("%s", err.text);
    for (; words[n]; n++)
        if (n >= c.n_argv || strcmp(c.argv[n], words[n]) != 0)
            fail_msg("word %zu is %s, not %s", n, n < c.n_argv ? c.argv[n] : "(none)", words[n]);
    assert_int_equal(c.n_argv, n);
    command_free(&c);
}

static void each_parameter_has_its_type(void **state)
{
    (void)state;
    const struct dtexec d = {.file = "/p/load.dtsx",
                             .parameters = &parameters,
                             .sensitive = &secrets,
                             .declared = &types};
    has_words(&d, (const char *const[]){
                      "/File", "/p/load.dtsx", "/Par", "$Package::day(DateTime);2026-11-21", "/Par",
                      "$Package::far(Int64);3000000000", "/Par", "$Package::full(Boolean);True",
                      "/Par", "$Package::rate(Double);0.5", "/Par", "$Package::rows(Int32);7",
                      "/Par", "$Package::table(String);a;b \"c\"", NULL});
}

static void a_path_of_the_catalogue_runs_on_its_server_until_it_ends(void **state)
{
    (void)state;
    static const struct wire_list none;
    struct dtexec d = {.catalogue = span_str("  \\SSISDB\\sales\\load\\load.dtsx\n"),
                       .parameters = &none,
                       .sensitive = &none};
    has_words(&d, (const char *const[]){"/ISServer", "\\SSISDB\\sales\\load\\load.dtsx", "/Par",
                                        "$ServerOption::SYNCHRONIZED(Boolean);True", NULL});
    d.server = span_str("sql1");
    has_words(&d, (const char *const[]){"/ISServer", "\\SSISDB\\sales\\load\\load.dtsx", "/Server",
                                        "sql1", "/Par", "$ServerOption::SYNCHRONIZED(Boolean);True",
                                        NULL});
}

static void what_is_no_path_of_the_catalogue_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "load.dtsx", "\\SSISDB\\", "\\SSISDB\\a\n\\SSISDB\\b",
                                        "/Reporting V \\SSISDB\\a"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct command c = {0};
        const struct dtexec d = {
            .catalogue = span_str(texts[i]), .parameters = &parameters, .sensitive = &secrets};
        assert_int_equal(dtexec_arguments(&d, &c, &err), -EINVAL);
        assert_contains(err.text, "expected one path of the SSIS catalogue");
        command_free(&c);
    }
}

static void a_sensitive_parameter_is_refused_and_not_shown(void **state)
{
    (void)state;
    struct command c = {0};
    wire_add_str(&sensitive, span_str("table"));
    secrets = wire_list_from(&sensitive, 1);
    const struct dtexec d = {
        .file = "/p/load.dtsx", .parameters = &parameters, .sensitive = &secrets};
    assert_int_equal(dtexec_arguments(&d, &c, &err), -EINVAL);
    assert_contains(err.text, "parameter 'table' is sensitive");
    assert_null(strstr(err.text, "a;b"));
    command_free(&c);
}

static void a_file_is_known_by_its_ending(void **state)
{
    (void)state;
    assert_true(dtexec_is_file("/p/load.dtsx") && dtexec_is_file("/p/Load.DTSX"));
    assert_false(dtexec_is_file("/p/load") || dtexec_is_file("dtsx"));
}

#define here(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        here(each_parameter_has_its_type),
        here(a_path_of_the_catalogue_runs_on_its_server_until_it_ends),
        here(what_is_no_path_of_the_catalogue_is_refused),
        here(a_sensitive_parameter_is_refused_and_not_shown),
        here(a_file_is_known_by_its_ending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
