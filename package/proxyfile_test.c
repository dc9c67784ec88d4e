/* proxyfile_test.c - proxies.d and subsystems.d: what is compiled, and each error's place. */
#include "common/testing.h"

#include <errno.h>
#include <signal.h>

#include "package/proxyfile.h"
#include "package/subsystemfile.h"
#include "proto/protect.h"
#include "trust/proxy.h"

#define HEAD "proxy: etl\nuser: etl\nsubsystems: [exec]\nprincipals: [anna]\n"

#define WHOLE \
    "proxy: etl                # the nightly load\n" \
    "description: loads\n" \
    "user: etl\n" \
    "group: 1234\n" \
    "groups: [warehouse, 77]\n" \
    "subsystems: [exec, shell]\n" \
    "principals:\n" \
    "  - nightly-*\n" \
    "  - local:anna\n" \
    "signers: [anna]\n" \
    "environment: {PATH: /opt/bin, REGION: eu}\n" \
    "credentials: {warehouse: /etc/longboat/secrets/wh}\n" \
    "limits: {timeout: 2h, memory: 4G, cpu: 1.5, processes: 200,\n" \
    "         files: 4096, file_size: 1M, output: 16M, warn: 60s,\n" \
    "         warn_signal: USR1}\n" \
    "sandbox: {landlock: on, seccomp: off, private_tmp: required,\n" \
    "          cgroup: required, reads: [/srv/in], writes: [/srv/out]}\n" \
    "allow_system_user: etl\n"

static struct error err;

static void whole_files_become_documents(void **state)
{
    (void)state;
    struct buf out = {0};
    struct problems ps = {0};
    struct d_proxy p;
    struct value v;
    if (proxyfile_compile("proxies.d/etl.yaml", span_str(WHOLE), &out, &ps) < 0)
        fail_msg("%s", ps.v[0].text);
    assert_int_equal(d_proxy_decode(buf_span(&out), &p, &err), 0);
    assert_true(span_eq_str(p.name, "etl") && span_eq_str(p.user, "etl"));
    assert_true(span_eq_str(p.group, "1234") && span_eq_str(p.description, "loads"));
    assert_false(p.own_groups);
    assert_true(p.groups.count == 2 && wire_list_has(&p.groups, "77"));
    assert_true(p.subsystems.count == 2 && wire_list_has(&p.subsystems, "shell"));
    assert_true(p.principals.count == 2 && wire_list_has(&p.principals, "local:anna"));
    assert_false(p.any_signer);
    assert_true(wire_list_has(&p.signers, "anna"));
    assert_true(wire_map_get(&p.environment, "REGION", &v) && span_eq_str(v.bytes, "eu"));
    assert_true(wire_map_get(&p.credentials, "warehouse", &v));
    assert_int_equal(p.timeout_ms, 7200000);
    assert_int_equal(p.memory, 4ULL << 30);
    assert_int_equal(p.cpu, 1500);
    assert_int_equal(p.processes, 200);
    assert_int_equal(p.files, 4096);
    assert_int_equal(p.file_size, 1 << 20);
    assert_int_equal(p.output_cap, 16 << 20);
    assert_int_equal(p.warn_ms, 60000);
    assert_int_equal(p.warn_signal, SIGUSR1);
    assert_int_equal(p.on, (PROXY_USUALLY_ON | PROTECT_LANDLOCK | PROTECT_PRIVATE_TMP) &
                               ~(unsigned)PROTECT_SECCOMP);
    assert_int_equal(p.required, PROTECT_PRIVATE_TMP | PROTECT_CGROUP);
    assert_true(wire_list_has(&p.reads, "/srv/in") && wire_list_has(&p.writes, "/srv/out"));
    assert_true(p.system_user);
    assert_int_equal(p.user_line, 3);
    assert_int_equal(p.subsystems_line, 6);
    buf_free(&out);
}

/* Compiles `text`, writes it anew, compiles that: both documents, lines apart, must be the same. */
static void comes_back(const char *text)
{
    struct buf first = {0}, again = {0}, second = {0}, bytes[2] = {{0}};
    struct problems ps = {0};
    struct d_proxy p[2];
    assert_int_equal(proxyfile_compile("etl.yaml", span_str(text), &first, &ps), 0);
    assert_int_equal(d_proxy_decode(buf_span(&first), &p[0], &err), 0);
    proxyfile_format(&p[0], &again);
    if (proxyfile_compile("etl.yaml", buf_span(&again), &second, &ps) < 0)
        fail_msg("%s in:\n%s", ps.v[0].text, buf_str(&again));
    assert_int_equal(d_proxy_decode(buf_span(&second), &p[1], &err), 0);
    for (int i = 0; i < 2; i++) {
        p[i].user_line = p[i].subsystems_line = p[i].principals_line = p[i].signers_line = 0;
        d_proxy_encode(&p[i], &bytes[i]);
    }
    if (!span_eq(buf_span(&bytes[0]), buf_span(&bytes[1])))
        fail_msg("not the same again:\n%s", buf_str(&again));
    for (int i = 0; i < 2; i++)
        buf_free(&bytes[i]);
    buf_free(&first);
    buf_free(&again);
    buf_free(&second);
}

static void a_file_that_is_written_anew_says_the_same(void **state)
{
    (void)state;
    comes_back(WHOLE);
    comes_back(HEAD);
    comes_back("proxy: etl\nuser: '1000'\ngroups: []\nsubsystems: '*'\nprincipals: ['*']\n"
               "signers: []\nenvironment: {A: \"x\\\"y\\\\z\\n\\t\", B: 'on', C: ' ä ', D: ''}\n"
               "sandbox: {memory_files: required, landlock: on, seccomp: off}\n"
               "limits: {cpu: 0.01, timeout: 1ms}\nallow_system_user: 1000\n");
}

static void a_short_file_has_defaults(void **state)
{
    (void)state;
    struct buf out = {0};
    struct problems ps = {0};
    struct d_proxy p;
    assert_int_equal(proxyfile_compile("etl.yaml",
                                       span_str("proxy: etl\nuser: 5000\n"
                                                "subsystems: \"*\"\nprincipals: []\n"),
                                       &out, &ps),
                     0);
    assert_int_equal(d_proxy_decode(buf_span(&out), &p, &err), 0);
    assert_true(p.own_groups && p.any_signer && !p.system_user);
    assert_true(wire_list_has(&p.subsystems, "*"));
    assert_int_equal(p.principals.count, 0);
    assert_int_equal(p.on, PROXY_USUALLY_ON);
    assert_int_equal(p.required, 0);
    buf_free(&out);
}

static void every_error_names_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"[]", "etl.yaml:1:1: "},
        {"proxy: etl\nsubsystems: [exec]\nprincipals: []\n", "etl.yaml:1:1: 'user' is missing"},
        {"proxy: etl\nuser: etl\nprincipals: []\n", "etl.yaml:1:1: 'subsystems' is missing"},
        {"proxy: etl\nuser: etl\nsubsystems: []\n", "etl.yaml:1:1: 'principals' is missing"},
        {"proxy: other\nuser: etl\nsubsystems: []\nprincipals: []\n",
         "etl.yaml:1:8: proxy 'other' must be in a file named other.yaml"},
        {HEAD "usr: x\n", "etl.yaml:5:1: unknown key 'usr' (did you mean 'user'?)"},
        {HEAD "user: y\n", "etl.yaml:5:1: "},
        {HEAD "groups: warehouse\n", "etl.yaml:5:9: "},
        {HEAD "groups: [a, a]\n", "etl.yaml:5:13: 'a' is listed twice"},
        {HEAD "signers: [\"\"]\n", "etl.yaml:5:11: a signer is"},
        {HEAD "environment: [A]\n", "etl.yaml:5:14: "},
        {HEAD "environment: {LB_RUN: x}\n", "etl.yaml:5:15: Longboat sets 'LB_RUN' itself"},
        {HEAD "environment: {LD_PRELOAD: x}\n", "etl.yaml:5:15: 'LD_PRELOAD' changes"},
        {HEAD "credentials: {wh: secrets/wh}\n", "etl.yaml:5:19: 'secrets/wh' is not an absolute"},
        {HEAD "credentials: {wh: /a/../b}\n", "etl.yaml:5:19: "},
        {HEAD "credentials: {../wh: /a}\n", "etl.yaml:5:15: the name of a credential"},
        {HEAD "limits: {tiemout: 2h}\n", "(did you mean 'timeout'?)"},
        {HEAD "limits: {memory: 0}\n", "etl.yaml:5:18: a limit must be more than 0"},
        {HEAD "limits: {cpu: many}\n", "etl.yaml:5:15: "},
        {HEAD "limits: {cpu: 1e9}\n", "etl.yaml:5:15: processors are a number"},
        {HEAD "limits: {warn_signal: TERM}\n", "etl.yaml:5:23: 'warn_signal' needs 'warn'"},
        {HEAD "limits: {warn: 1s, warn_signal: KILL}\n", "etl.yaml:5:33: unknown signal 'KILL'"},
        {HEAD "sandbox: {landlock: maybe}\n", "etl.yaml:5:21: 'maybe': 'landlock' is off, on or"},
        {HEAD "sandbox: {user: off}\n", "etl.yaml:5:17: 'off': 'user' is on or required"},
        {HEAD "sandbox: {reads: [srv]}\n", "etl.yaml:5:19: 'srv' is not an absolute path"},
        {HEAD "allow_system_user: root\n", "etl.yaml:5:20: this allows 'root', but the user is"},
        {HEAD "allow_system_user: \"\"\n", "etl.yaml:5:20: "},
        {HEAD "description: &a x\n", "etl.yaml:5:14: "},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = {0};
        struct problems ps = {0};
        int rc = proxyfile_compile("etl.yaml", span_str(rows[i].text), &out, &ps);
        if (rc != -EINVAL || out.n || !ps.n || !strstr(ps.v[0].text, rows[i].wanted))
            fail_msg("row %zu: %d, %s; expected %s", i, rc, ps.n ? ps.v[0].text : "no problem",
                     rows[i].wanted);
        problems_free(&ps);
        buf_free(&out);
    }
}

static void all_errors_of_a_file_are_found_at_once(void **state)
{
    (void)state;
    struct buf out = {0};
    struct problems ps = {0};
    assert_int_equal(proxyfile_compile("etl.yaml",
                                       span_str("proxy: etl\nusr: etl\nsubsystems: [Exec, exec]\n"
                                                "principals: [A, b, C]\nlimits: {memory: x}\n"),
                                       &out, &ps),
                     -EINVAL);
    assert_int_equal(ps.errors, 6);
    problems_free(&ps);
}

static void a_file_that_gives_too_much_is_refused(void **state)
{
    (void)state;
    struct buf text = {0}, out = {0};
    struct problems ps = {0};
    buf_add_str(&text, HEAD "environment:\n");
    for (int i = 0; i < 3; i++) {
        buf_printf(&text, "  V%d: ", i);
        memset(buf_grow(&text, 30000), 'x', 30000);
        text.n += 30000;
        buf_add_str(&text, "\n");
    }
    assert_int_equal(proxyfile_compile("etl.yaml", buf_span(&text), &out, &ps), -EINVAL);
    assert_contains(ps.v[0].text, "etl.yaml:6:3: environment has ");
    problems_free(&ps);
    buf_clear(&text);
    buf_add_str(&text, "proxy: etl\nuser: etl\nsubsystems: [exec]\nprincipals: [anna]\nsigners:\n");
    for (int i = 0; i < 1001; i++)
        buf_printf(&text, "  - s%d\n", i);
    assert_int_equal(proxyfile_compile("etl.yaml", buf_span(&text), &out, &ps), -EINVAL);
    assert_contains(ps.v[0].text, "1001 signers; the limit is 1000");
    problems_free(&ps);
    buf_free(&text);
}

static void a_subsystem_becomes_a_document(void **state)
{
    (void)state;
    struct buf out = {0};
    struct problems ps = {0};
    struct d_subsystem s;
    struct value v;
    assert_int_equal(
        subsystemfile_compile("subsystems.d/perl.yaml",
                              span_str("subsystem: perl\ncommand: [/usr/bin/perl, -T]\n"
                                       "text: [/usr/bin/perl, -e]\nenvironment: {A: b}\n"
                                       "needs: [{command: perl}]\nexit_codes: {3: cancelled}\n"),
                              &out, &ps),
        0);
    assert_int_equal(d_subsystem_decode(buf_span(&out), &s, &err), 0);
    assert_true(span_eq_str(s.name, "perl"));
    assert_true(s.argv.count == 2 && wire_list_has(&s.argv, "-T"));
    assert_true(s.text_argv.count == 2 && wire_list_has(&s.needs, "command:perl"));
    assert_true(wire_map_get(&s.environment, "A", &v));
    assert_int_equal(s.exit_codes.count, 1);
    buf_free(&out);
}

static void every_error_of_a_subsystem_names_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        {"subsystem: perl\n", "perl.yaml:1:1: 'command' is missing"},
        {"subsystem: perl\ncommand: []\n", "perl.yaml:2:10: a command has 1 to 60 words"},
        {"subsystem: perl\ncommand: [perl]\n", "perl.yaml:2:11: 'perl' is not an absolute path"},
        {"subsystem: perl\ncommand: [/p]\nneeds: [{comand: p}]\n", "(did you mean 'command'?)"},
        {"subsystem: perl\ncommand: [/p]\nexit_codes: {300: succeeded}\n", "perl.yaml:3:14: "},
        {"subsystem: perl\ncomand: [/p]\n", "perl.yaml:2:1: unknown key 'comand'"},
        {"subsystem: sh\ncommand: [/p]\n", "must be in a file named sh.yaml"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = {0};
        struct problems ps = {0};
        int rc = subsystemfile_compile("perl.yaml", span_str(rows[i].text), &out, &ps);
        if (rc != -EINVAL || out.n || !ps.n || !strstr(ps.v[0].text, rows[i].wanted))
            fail_msg("row %zu: %d, %s; expected %s", i, rc, ps.n ? ps.v[0].text : "no problem",
                     rows[i].wanted);
        problems_free(&ps);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_files_become_documents),
        cmocka_unit_test(a_short_file_has_defaults),
        cmocka_unit_test(a_file_that_is_written_anew_says_the_same),
        cmocka_unit_test(every_error_names_its_place),
        cmocka_unit_test(all_errors_of_a_file_are_found_at_once),
        cmocka_unit_test(a_file_that_gives_too_much_is_refused),
        cmocka_unit_test(a_subsystem_becomes_a_document),
        cmocka_unit_test(every_error_of_a_subsystem_names_its_place),
    };
    if (trust_init(NULL) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
