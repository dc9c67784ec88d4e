/* proxy_test.c - what a proxy allows, and what it says when it does not. */
#include "common/testing.h"

#include <errno.h>

#include "trust/proxy.h"

static struct error err;

/* A list of texts that are separated by spaces. */
static struct wire_list list_of(const char *words, struct buf *items)
{
    uint32_t n = 0;
    buf_clear(items);
    while (*words) {
        const size_t len = strcspn(words, " ");
        wire_add_str(items, span_of(words, len));
        words += len + (words[len] == ' ');
        n++;
    }
    return wire_list_from(items, n);
}

static struct buf lists[3];

static struct d_proxy etl(const char *subsystems, const char *principals, const char *signers)
{
    return (struct d_proxy){.name = span_str("etl"),
                            .subsystems = list_of(subsystems, &lists[0]),
                            .principals = list_of(principals, &lists[1]),
                            .signers = list_of(signers, &lists[2]),
                            .subsystems_line = 6,
                            .principals_line = 7};
}

static int teardown(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        buf_free(&lists[i]);
    return 0;
}

static void what_is_listed_is_allowed_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *subsystems, *principals, *principal, *subsystem;
        bool allowed;
    } rows[] = {
        {"exec shell", "anna", "anna", "shell", true},
        {"exec shell", "anna", "anna", "sql", false},
        {"*", "anna", "anna", "sql", true},
        {"", "anna", "anna", "exec", false},
        {"exec", "", "anna", "exec", false},
        {"exec", "anna", "bert", "exec", false},
        {"exec", "anna", "annabel", "exec", false},
        {"exec", "nightly-*", "nightly-operator", "exec", true},
        {"exec", "bert *", "anna", "exec", true},
        /* what is run by hand is allowed by name only */
        {"exec", "*", "local:anna", "exec", false},
        {"exec", "local:*", "local:anna", "exec", true},
        {"exec", "local:*", "anna", "exec", false},
        {"exec", "local:anna", "local:bert", "exec", false},
        {"exec", "anna", "local:anna", "exec", false},
        /* whoever it is, whatever it is */
        {"exec", "", "", "exec", true},
        {"exec", "anna", "anna", "", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct d_proxy p = etl(rows[i].subsystems, rows[i].principals, "");
        struct proxy_question q = {span_str(rows[i].principal), span_str(rows[i].subsystem)};
        int rc = proxy_judge(&p, "proxies.d/etl.yaml", &q, &err);
        if (rc != (rows[i].allowed ? 0 : -EACCES))
            fail_msg("row %zu: %d %s", i, rc, err.text);
    }
}

static void a_refusal_names_file_line_and_remedy(void **state)
{
    (void)state;
    struct d_proxy p = etl("exec shell", "a b c d e f g h i j", "");
    struct proxy_question q = {span_str("anna"), span_str("sql")};
    proxy_judge(&p, "proxies.d/etl.yaml", &q, &err);
    assert_string_equal(err.text,
                        "proxy 'etl' has no access to subsystem 'sql' (proxies.d/etl.yaml:6 allows "
                        "exec, shell); to allow it, run on this server: lbctl proxy grant etl "
                        "--subsystem sql");
    q.subsystem = span_str("exec");
    proxy_judge(&p, "proxies.d/etl.yaml", &q, &err);
    assert_contains(err.text, "does not serve principal 'anna' (proxies.d/etl.yaml:7 serves a, b, "
                              "c, d, e, f, g, h and 2 more)");
    assert_contains(err.text, "grant etl --principal anna");
}

static void signers_are_taken_by_key_or_by_name(void **state)
{
    (void)state;
    struct builder anna = {.name = "anna"}, bert = {.name = ""};
    struct minisign_secret secret;
    struct buf keys = {0};
    minisign_make(&anna.key, &secret);
    minisign_make(&bert.key, &secret);
    buf_add_str(&keys, "anna ");
    minisign_public_line(&bert.key, &keys);
    struct d_proxy p = etl("exec", "*", "anna");
    assert_int_equal(proxy_judge_signer(&p, "f", &anna, &err), 0);
    assert_int_equal(proxy_judge_signer(&p, "f", &bert, &err), -EACCES);
    assert_contains(err.text, "accepts no package of signer 'RW");
    p = etl("exec", "*", buf_str(&keys));
    assert_int_equal(proxy_judge_signer(&p, "f", &bert, &err), 0);
    p = etl("exec", "*", "");
    assert_int_equal(proxy_judge_signer(&p, "f", &anna, &err), -EACCES);
    p.any_signer = true;
    assert_int_equal(proxy_judge_signer(&p, "f", &bert, &err), 0);
    buf_free(&keys);
}

static void the_implied_proxy_serves_every_caller_and_its_own_user(void **state)
{
    (void)state;
    struct buf bytes = {0};
    struct d_proxy p;
    proxy_implied("ann", &bytes);
    assert_int_equal(d_proxy_decode(buf_span(&bytes), &p, &err), 0);
    const char *const allowed[] = {"anna", "local:ann"}, *const denied[] = {"local:root"};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(
            proxy_judge(&p, PROXY_IMPLIED,
                        &(struct proxy_question){span_str(allowed[i]), span_str("python")}, &err),
            0);
    assert_int_equal(proxy_judge(&p, PROXY_IMPLIED,
                                 &(struct proxy_question){span_str(denied[0]), span_str("exec")},
                                 &err),
                     -EACCES);
    assert_int_equal(proxy_judge(&p, PROXY_IMPLIED,
                                 &(struct proxy_question){span_str("anna"), span_str("ssis")},
                                 &err),
                     -EACCES);
    assert_contains(err.text, "lbctl proxy new NAME --subsystem ssis");
    assert_true(p.any_signer && !p.user.n);
    buf_free(&bytes);
}

static void variables_that_would_undo_the_childs_environment_are_refused(void **state)
{
    (void)state;
    static const char *const good[] = {"PATH", "A1", "_x", "LANG", "TZ", "L", "LDAP"},
                             *const bad[] = {"LB_RUN",
                                             "LD_PRELOAD",
                                             "LD_LIBRARY_PATH",
                                             "HOME",
                                             "USER",
                                             "LOGNAME",
                                             "GLIBC_TUNABLES",
                                             "",
                                             "1A",
                                             "A=B",
                                             "A B",
                                             "ä"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(proxy_check_variable(span_str(good[i]), &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(proxy_check_variable(span_str(bad[i]), &err), -EINVAL);
}

static void patterns_of_principals_are_names_with_stars(void **state)
{
    (void)state;
    static const char *const good[] = {"*", "anna", "nightly-*", "local:*", "local:Anna.B"},
                             *const bad[] = {"",    "Anna",      "an na",        "local:",
                                             "a:b", "local:a b", "local:local:a"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(proxy_check_principal(span_str(good[i]), &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(proxy_check_principal(span_str(bad[i]), &err), -EINVAL);
}

#define here(test) cmocka_unit_test_teardown(test, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        here(what_is_listed_is_allowed_and_nothing_else),
        here(a_refusal_names_file_line_and_remedy),
        here(signers_are_taken_by_key_or_by_name),
        here(the_implied_proxy_serves_every_caller_and_its_own_user),
        here(variables_that_would_undo_the_childs_environment_are_refused),
        here(patterns_of_principals_are_names_with_stars),
    };
    if (trust_init(NULL) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
