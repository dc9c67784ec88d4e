/* proxies_test.c - proxies of a server's files, as its runner judges them. */
#include "runner/testrig.h"

#include "runner/proxies.h"

struct proxies_fixture {
    struct testrig rig;
    struct proxies *p;
    struct proxy_found found;
    struct error err;
};

static int setup(void **state)
{
    testing_folder(state);
    struct proxies_fixture *f = mem_zalloc(1, sizeof *f);
    rig_open(&f->rig, *state);
    f->p = proxies_new(&f->rig.paths);
    mem_free(state);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct proxies_fixture *f = *state;
    char *home = mem_strdup(f->rig.home);
    proxies_free(&f->p);
    rig_close(&f->rig);
    file_remove_tree(home, NULL);
    mem_free(&home);
    mem_free(&f);
    return 0;
}

static int ask(struct proxies_fixture *f, const char *name, const char *principal,
               const char *subsystem)
{
    const struct proxy_question q = {span_str(principal), span_str(subsystem)};
    f->err.text[0] = 0;
    return proxies_judge(f->p, span_str(name), &q, clock_wall_ms(), &f->found, &f->err);
}

static void refused(struct proxies_fixture *f, const char *name, const char *subsystem,
                    const char *text)
{
    if (ask(f, name, "anna", subsystem) >= 0 || !strstr(f->err.text, text))
        fail_msg("%s; expected: %s", f->err.text, text);
}

/* Writes proxies.d/etl.yaml, whose user is ours. */
static void write_etl(struct proxies_fixture *f, const char *rest)
{
    char *text = mem_printf("proxy: etl\nuser: %u\n%s", (unsigned)geteuid(), rest);
    rig_path_write(&f->rig, "etc/proxies.d/etl.yaml", span_str(text), 0644);
    mem_free(&text);
}

static void the_default_needs_no_file_unless_users_are_switched(void **state)
{
    struct proxies_fixture *f = *state;
    assert_int_equal(ask(f, "default", "anna", "python"), 0);
    assert_string_equal(f->found.file, PROXY_IMPLIED);
    refused(f, "default", "ssis", "(built in allows exec, shell, python, sql)");
    proxies_free(&f->p);
    f->rig.paths.separated = true;
    f->p = proxies_new(&f->rig.paths);
    refused(f, "default", "python", "lbctl proxy new default --user USER");
    f->rig.paths.separated = false;
}

static void a_proxy_without_a_file_is_refused_with_what_to_do(void **state)
{
    struct proxies_fixture *f = *state;
    refused(f, "etl", "exec", "this server has no proxy 'etl' (proxies.d/etl.yaml); to make it");
}

static void a_name_that_leads_out_of_the_folder_is_refused(void **state)
{
    struct proxies_fixture *f = *state;
    rig_path_write(&f->rig, "etc/evil.yaml", span_str("proxy: evil\n"), 0644);
    refused(f, "../evil", "exec", "the name of a proxy");
    refused(f, "", "exec", "the name of a proxy");
    write_etl(f, "subsystems: \"*\"\nprincipals: [anna]\n");
    refused(f, "etl", "../proxies.d/etl", "the name of a subsystem");
}

static void what_a_file_no_longer_allows_is_refused_the_next_time(void **state)
{
    struct proxies_fixture *f = *state;
    write_etl(f, "subsystems: [exec]\nprincipals: [anna]\n");
    if (ask(f, "etl", "anna", "exec") < 0)
        fail_msg("%s", f->err.text);
    assert_string_equal(f->found.file, "proxies.d/etl.yaml");
    refused(f, "etl", "shell", "(proxies.d/etl.yaml:3 allows exec)");
    write_etl(f, "subsystems: [exec]\nprincipals: [bert]\n");
    refused(f, "etl", "exec", "does not serve principal 'anna'");
    write_etl(f, "subsystems: [exec\n");
    refused(f, "etl", "exec", "proxy 'etl' is not usable: proxies.d/etl.yaml:");
    char *path = mem_printf("%s/etl.yaml", f->rig.paths.proxies);
    assert_int_equal(unlink(path), 0);
    refused(f, "etl", "exec", "has no proxy 'etl'");
    mem_free(&path);
}

static void a_file_that_others_can_write_is_refused(void **state)
{
    struct proxies_fixture *f = *state;
    char *path = mem_printf("%s/etl.yaml", f->rig.paths.proxies);
    write_etl(f, "subsystems: [exec]\nprincipals: [anna]\n");
    assert_int_equal(chmod(path, 0666), 0);
    refused(f, "etl", "exec", "others can write");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("../default.yaml", path), 0);
    refused(f, "etl", "exec", "is not a regular file");
    mem_free(&path);
}

static void another_user_is_refused_where_none_can_be_switched_to(void **state)
{
    struct proxies_fixture *f = *state;
    rig_path_write(&f->rig, "etc/proxies.d/etl.yaml",
                   span_str("proxy: etl\nuser: 54321\nsubsystems: [exec]\nprincipals: [anna]\n"),
                   0644);
    refused(f, "etl", "exec", "cannot switch (proxies.d/etl.yaml:2)");
}

static void a_credential_that_cannot_be_read_is_named_before_the_step(void **state)
{
    struct proxies_fixture *f = *state;
    char *secret = mem_printf("%s/etc/wh", f->rig.home), *text;
    text = mem_printf("subsystems: [exec]\nprincipals: [anna]\ncredentials: {wh: %s}\n", secret);
    write_etl(f, text);
    refused(f, "etl", "exec", "proxy 'etl': credential 'wh': cannot open");
    rig_path_write(&f->rig, "etc/wh", span_str("s3cret"), 0644);
    refused(f, "etl", "exec", "credential 'wh': others can read");
    assert_int_equal(chmod(secret, 0400), 0);
    assert_int_equal(ask(f, "etl", "anna", "exec"), 0);
    mem_free(&secret);
    mem_free(&text);
}

static void a_subsystem_of_the_administrators_needs_its_file(void **state)
{
    struct proxies_fixture *f = *state;
    write_etl(f, "subsystems: [perl]\nprincipals: [anna]\n");
    refused(f, "etl", "perl", "has no subsystem 'perl' (subsystems.d/perl.yaml)");
    rig_path_write(&f->rig, "etc/subsystems.d/perl.yaml", span_str("subsystem: perl\n"), 0644);
    refused(f, "etl", "perl", "'perl' is not usable: subsystems.d/perl.yaml:1:1: 'command'");
    rig_path_write(&f->rig, "etc/subsystems.d/perl.yaml",
                   span_str("subsystem: perl\ncommand: [/usr/bin/perl, -T]\n"), 0644);
    assert_int_equal(ask(f, "etl", "anna", "perl"), 0);
    assert_int_equal(f->found.subsystem.argv.count, 2);
}

static void the_context_has_the_smaller_limits_and_both_environments(void **state)
{
    struct proxies_fixture *f = *state;
    struct buf out = {0};
    struct d_context c;
    struct value v;
    struct proxies_step step = {
        .principal = span_str("anna"), .memory = 1000, .processes = 9, .signer = {{7}}};
    write_etl(f, "subsystems: [perl]\nprincipals: [anna]\nenvironment: {A: proxy, B: proxy}\n"
                 "limits: {memory: 2000, processes: 5, cpu: 2}\nsandbox: {landlock: required}\n");
    rig_path_write(&f->rig, "etc/subsystems.d/perl.yaml",
                   span_str("subsystem: perl\ncommand: [/usr/bin/perl]\n"
                            "environment: {A: subsystem, C: subsystem}\n"),
                   0644);
    assert_int_equal(ask(f, "etl", "anna", "perl"), 0);
    assert_int_equal(proxies_context(&f->found, &step, false, &out, &f->err), 0);
    assert_int_equal(d_context_decode(buf_span(&out), &c, &f->err), 0);
    assert_true(span_eq_str(c.proxy, "etl") && span_eq_str(c.principal, "anna"));
    assert_true(span_eq_str(c.user, f->rig.paths.user));
    assert_int_equal(c.uid, 0);
    assert_int_equal(c.memory, 1000);
    assert_int_equal(c.processes, 5);
    assert_int_equal(c.cpu, 2000);
    assert_int_equal(c.required, PROTECT_LANDLOCK);
    assert_int_equal(c.environment.count, 3);
    assert_true(wire_map_get(&c.environment, "A", &v) && span_eq_str(v.bytes, "proxy"));
    assert_true(wire_map_get(&c.environment, "C", &v) && span_eq_str(v.bytes, "subsystem"));
    assert_true(wire_list_has(&c.argv, "/usr/bin/perl"));
    step.is_text = true;
    assert_int_equal(proxies_context(&f->found, &step, false, &out, &f->err), -EINVAL);
    assert_contains(f->err.text, "takes no text");
    buf_free(&out);
}

#define here(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        here(the_default_needs_no_file_unless_users_are_switched),
        here(a_proxy_without_a_file_is_refused_with_what_to_do),
        here(a_name_that_leads_out_of_the_folder_is_refused),
        here(what_a_file_no_longer_allows_is_refused_the_next_time),
        here(a_file_that_others_can_write_is_refused),
        here(another_user_is_refused_where_none_can_be_switched_to),
        here(a_credential_that_cannot_be_read_is_named_before_the_step),
        here(a_subsystem_of_the_administrators_needs_its_file),
        here(the_context_has_the_smaller_limits_and_both_environments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
