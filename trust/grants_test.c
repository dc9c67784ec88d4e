#include "trust/fixture.h"

static void a_grant_survives_a_round_trip_through_text(void **state)
{
    (void)state;
    static const char *const good[] = {"call nightly-*@etl", "watch *@all",       "operate *@*",
                                       "deploy x_1@wh1",     "define *load*@wh1", "admin *@all",
                                       "call package:*@etl"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct grant g;
        char text[GRANT_TEXT];
        assert_int_equal(grant_parse(span_str(good[i]), &g, NULL), 0);
        assert_string_equal(grant_format(&g, text), good[i]);
    }
}

static void invalid_grants_are_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"", "no space"},
        {"call", "no space"},
        {"dance *@all", "is not a verb"},
        {"CALL *@all", "is not a verb"},
        {" call *@all", "is not a verb"},
        {"call *", "no @ADDRESS"},
        {"call @all", "invalid pattern"},
        {"call  *@all", "invalid pattern"},
        {"call a b@all", "invalid pattern"},
        {"call [a-z]@all", "invalid pattern"},
        {"call Load@all", "invalid pattern"},
        {"call aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
         "ffffffffffgggggggggghhhhhhhhhhi@all",
         "invalid pattern"},
        {"call *@", "invalid address"},
        {"call *@wh*", "invalid address"},
        {"call *@wh1 ", "invalid address"},
        {"call *@wh1@wh2", "invalid address"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct grant g = {.pattern = "as it was"};
        struct error err = {0};
        assert_int_equal(grant_parse(span_str(wrong[i].text), &g, &err), -EINVAL);
        assert_contains(err.text, wrong[i].why);
        assert_string_equal(g.pattern, "as it was");
    }
}

static void in_a_pattern_only_the_star_is_special(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        {"*", "", true},           {"*", "anything", true},    {"load", "load", true},
        {"load", "loads", false},  {"load", "loa", false},     {"", "", true},
        {"", "x", false},          {"a*c", "abbbc", true},     {"a*c", "ac", true},
        {"a*c", "abcd", false},    {"a*b*c", "aXbYbZc", true}, {"**", "x", true},
        {"*a", "bca", true},       {"*a", "bcab", false},      {"?", "x", false},
        {"[x]", "x", false},       {"a*a", "a", false},        {"package:*", "package:x", true},
        {"*x", "package:x", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (grants_glob_matches(rows[i].pattern, span_str(rows[i].text)) != rows[i].matches)
            fail_msg("'%s' on '%s'", rows[i].pattern, rows[i].text);
}

static void a_pattern_of_many_stars_is_matched_quickly(void **state)
{
    (void)state;
    char text[81];
    memset(text, 'a', 80);
    text[80] = 0;
    assert_false(grants_glob_matches(
        "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b",
        span_str(text)));
}

static struct certificate holder(const char *grant)
{
    struct certificate c = {.role = ROLE_CALLER, .name = "anna"};
    if (grant) {
        c.grants = mem_zalloc(1, sizeof *c.grants);
        c.n_grants = 1;
        assert_int_equal(grant_parse(span_str(grant), c.grants, NULL), 0);
    }
    return c;
}

static void grants_cover_what_the_table_says(void **state)
{
    (void)state;
    static const char *const etl[] = {"etl", "big"};
    static const struct {
        const char *grant;
        enum verb verb;
        const char *job, *address;
        bool in_etl, covers;
    } rows[] = {
        {"call load@wh1", VERB_CALL, "load", "wh1", false, true},
        {"call load@wh1", VERB_CALL, "load", "wh2", false, false},
        {"call load@wh1", VERB_CALL, "load2", "wh1", false, false},
        {"call load@wh1", VERB_WATCH, "load", "wh1", false, false},
        {"call load@wh1", VERB_CALL, "load", "etl", false, false},
        {"call load@wh1", VERB_CALL, "load", "all", false, false},
        {"call *@etl", VERB_CALL, "load", "etl", false, true},
        {"call *@etl", VERB_CALL, "load", "wh1", true, true},
        {"call *@etl", VERB_CALL, "load", "wh1", false, false},
        {"call *@etl", VERB_CALL, "load", "all", true, false},
        {"call *@all", VERB_CALL, "load", "all", false, true},
        {"call *@all", VERB_CALL, "load", "wh1", false, true},
        {"call *@*", VERB_CALL, "load", "all", false, true},
        {"call *@*", VERB_CALL, "load", "etl", false, true},
        {"operate *@wh1", VERB_OPERATE, "", "wh1", false, true},
        {"operate load@wh1", VERB_OPERATE, "", "wh1", false, false},
        {"admin *@all", VERB_CALL, "load", "wh1", false, false},
        {NULL, VERB_CALL, "load", "wh1", false, false},
        {"call *@all", VERB_COUNT, "load", "wh1", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct certificate c = holder(rows[i].grant);
        if (grant_covers(&c, rows[i].verb, rows[i].job, rows[i].address, etl,
                         rows[i].in_etl ? 2 : 0) != rows[i].covers)
            fail_msg("row %zu: %s", i, rows[i].grant);
        certificate_free(&c);
    }
}

static void administrators_may_do_everything(void **state)
{
    (void)state;
    struct certificate c = {.role = ROLE_ADMINISTRATOR};
    for (int v = 0; v < VERB_COUNT; v++)
        assert_true(grant_covers(&c, (enum verb)v, "load", "all", NULL, 0));
    assert_false(grant_covers(&c, VERB_COUNT, "load", "all", NULL, 0));
}

static void an_empty_certificate_allows_nothing(void **state)
{
    (void)state;
    struct certificate c = {0};
    for (int v = 0; v < VERB_COUNT; v++)
        assert_false(grant_covers(&c, (enum verb)v, "load", "all", NULL, 0));
}

static void a_refusal_names_the_principal_its_grants_and_the_remedy(void **state)
{
    (void)state;
    struct certificate c = holder("call *@etl");
    struct error err = {0};
    assert_int_equal(grant_check(&c, VERB_CALL, "load", "etl", NULL, 0, &err), 0);
    assert_int_equal(grant_check(&c, VERB_CALL, "load", "wh1", NULL, 0, &err), -EACCES);
    assert_string_equal(
        err.text,
        "principal 'anna' may not call load@wh1 (its grants: call *@etl). An administrator can "
        "run: "
        "lbctl certificates renew anna --grant 'call load@wh1'");
    certificate_free(&c);
    c = holder(NULL);
    assert_int_equal(grant_check(&c, VERB_OPERATE, "", "wh1", NULL, 0, &err), -EACCES);
    assert_contains(err.text, "its grants: none");
    assert_contains(err.text, "'operate *@wh1'");
}

static void a_refusal_shows_its_remedy_however_many_grants_there_are(void **state)
{
    (void)state;
    static const char *const long_one =
        "watch aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhh@"
        "a234567890123456789012345678901234567890123456789012345678901234";
    struct certificate c = {.role = ROLE_CALLER, .name = "anna", .n_grants = LIMIT_GRANTS};
    c.grants = mem_zalloc(LIMIT_GRANTS, sizeof *c.grants);
    for (size_t i = 0; i < c.n_grants; i++)
        assert_int_equal(grant_parse(span_str(long_one), &c.grants[i], NULL), 0);
    struct error err = {0};
    assert_int_equal(grant_check(&c, VERB_CALL, "load", "wh1", NULL, 0, &err), -EACCES);
    assert_contains(err.text, "and 125 more");
    assert_contains(err.text, "--grant 'call load@wh1'");
    certificate_free(&c);
}

static void every_verb_has_its_word(void **state)
{
    (void)state;
    for (int v = 0; v < VERB_COUNT; v++) {
        enum verb back;
        assert_int_equal(verb_parse(span_str(verb_word((enum verb)v)), &back, NULL), 0);
        assert_int_equal(back, v);
        assert_true(strlen(verb_text((enum verb)v)) > 5);
    }
    assert_string_equal(verb_word(VERB_COUNT), "?");
    assert_string_equal(verb_text(VERB_COUNT), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grant_survives_a_round_trip_through_text),
        cmocka_unit_test(invalid_grants_are_refused_with_the_reason),
        cmocka_unit_test(in_a_pattern_only_the_star_is_special),
        cmocka_unit_test(a_pattern_of_many_stars_is_matched_quickly),
        cmocka_unit_test(grants_cover_what_the_table_says),
        cmocka_unit_test(administrators_may_do_everything),
        cmocka_unit_test(an_empty_certificate_allows_nothing),
        cmocka_unit_test(a_refusal_names_the_principal_its_grants_and_the_remedy),
        cmocka_unit_test(a_refusal_shows_its_remedy_however_many_grants_there_are),
        cmocka_unit_test(every_verb_has_its_word),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
