/* probes_test.c - what a server would take, and what its needs are, as its runner says. */
#include "runner/testrig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "runner/probes.h"

struct probes_fixture {
    struct testrig rig;
    struct policy *policy;
    struct proxies *proxies;
    struct probes *p;
    struct loop *loop;
    uint64_t number; /* of the last answer */
    unsigned n;
    enum refusal code;
    struct buf text; /* of the refusal; else a line for each need: NAME holds, or NAME: TROUBLE */
};

static void on_answer(void *self, const struct s_probed *m)
{
    struct probes_fixture *f = self;
    struct wire_iter it = wire_iter(&m->needs);
    struct span item;
    struct d_need d;
    f->number = m->number;
    f->n++;
    f->code = m->code;
    buf_clear(&f->text);
    buf_add(&f->text, m->text.p, m->text.n);
    while (wire_next(&it, &item)) {
        assert_int_equal(d_need_decode(item, &d, NULL), 0);
        if (d.holds)
            buf_printf(&f->text, SPAN_FMT " holds\n", SPAN_ARG(d.need));
        else
            buf_printf(&f->text, SPAN_FMT ": " SPAN_FMT "\n", SPAN_ARG(d.need),
                       SPAN_ARG(d.trouble));
    }
}

static int setup(void **state)
{
    testing_folder(state);
    struct probes_fixture *f = mem_zalloc(1, sizeof *f);
    rig_open(&f->rig, *state);
    f->policy = policy_new(&f->rig.paths);
    f->proxies = proxies_new(&f->rig.paths);
    f->loop = loop_new(NULL);
    f->p = probes_new(&f->rig.paths, f->policy, f->proxies, f->loop, on_answer, f);
    mem_free(state);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct probes_fixture *f = *state;
    char *home = mem_strdup(f->rig.home);
    probes_free(&f->p);
    while (waitpid(-1, NULL, 0) > 0)
        ;
    proxies_free(&f->proxies);
    policy_free(&f->policy);
    loop_destroy(&f->loop);
    buf_free(&f->text);
    rig_close(&f->rig);
    file_remove_tree(home, NULL);
    mem_free(&home);
    mem_free(&f);
    return 0;
}

/* The answer, as text. */
static const char *answer(struct probes_fixture *f, const char *proxy, const char *subsystem)
{
    const unsigned before = f->n;
    const int64_t until = clock_boot_ms() + 20000;
    probes_take(f->p,
                &(struct s_probe){.number = before + 1,
                                  .proxy = span_str(proxy),
                                  .subsystem = span_str(subsystem),
                                  .package = f->rig.package},
                clock_wall_ms());
    while (f->n == before && clock_boot_ms() < until)
        assert_true(loop_turn(f->loop, until, NULL) >= 0);
    assert_int_equal(f->n, before + 1);
    assert_int_equal(f->number, before + 1);
    return buf_str(&f->text);
}

/* proxies.d/etl.yaml, and a subsystem with these needs. */
static void write_files(struct probes_fixture *f, const char *proxy, const char *needs)
{
    char *text = mem_printf("proxy: etl\nuser: %u\nsubsystems: [tool]\nprincipals: [anna]\n%s",
                            (unsigned)geteuid(), proxy);
    rig_path_write(&f->rig, "etc/proxies.d/etl.yaml", span_str(text), 0644);
    mem_free(&text);
    text = mem_printf("subsystem: tool\ncommand: [/bin/sh]\n%s", needs);
    rig_path_write(&f->rig, "etc/subsystems.d/tool.yaml", span_str(text), 0644);
    mem_free(&text);
}

static void a_step_without_needs_is_answered_at_once(void **state)
{
    struct probes_fixture *f = *state;
    rig_package(&f->rig, "extract", "shell", "exit 0", NULL, 0, NULL, 0);
    assert_string_equal(answer(f, "default", "shell"), "");
    assert_int_equal(f->code, REFUSAL_NONE);
}

static void what_a_step_would_meet_is_said_beforehand(void **state)
{
    struct probes_fixture *f = *state;
    rig_package(&f->rig, "extract", "shell", "exit 0", NULL, 0, NULL, 0);
    assert_contains(answer(f, "etl", "shell"), "no proxy 'etl'");
    assert_int_equal(f->code, REFUSAL_NO_PROXY);
    write_files(f, "", "");
    assert_contains(answer(f, "etl", "shell"), "subsystem");
    write_files(f, "sandbox: {private_tmp: required}\n", "");
    assert_contains(answer(f, "etl", "tool"), "requires private_tmp");
    rig_path_write(&f->rig, "etc/trust/signers", span_str(""), 0644);
    assert_contains(answer(f, "default", "shell"), "has no signature of a signer");
    assert_int_equal(f->code, REFUSAL_BAD_PACKAGE);
}

static void needs_are_probed_with_the_variables_of_the_proxy(void **state)
{
    struct probes_fixture *f = *state;
    char *proxy = mem_printf("environment: {PATH: '%s/tools', ORACLE_SID: dwh}\n", f->rig.home),
         *tool = mem_printf("%s/tools/loader", f->rig.home);
    rig_package(&f->rig, "extract", "shell", "exit 0", NULL, 0, NULL, 0);
    write_files(f, "", "needs: [{command: loader}, {command: sh}, {env: ORACLE_SID}]\n");
    const char *text = answer(f, "etl", "tool");
    assert_int_equal(f->code, REFUSAL_NONE);
    assert_contains(text, "command:loader: loader is not in the PATH of children (/usr/local");
    assert_contains(text, "command:sh holds\n");
    assert_contains(text, "env:ORACLE_SID: ORACLE_SID is not set");
    write_files(f, proxy, "needs: [{command: loader}, {command: sh}, {env: ORACLE_SID}]\n");
    rig_path_write(&f->rig, "tools/loader", span_str("#!/bin/sh\n"), 0755);
    text = answer(f, "etl", "tool");
    assert_contains(text, "command:loader holds\n");
    assert_contains(text, "command:sh: sh is not in the PATH of children");
    assert_contains(text, "env:ORACLE_SID holds\n");
    assert_int_equal(unlink(tool), 0);
    assert_contains(answer(f, "etl", "tool"), "command:loader: loader is not");
    mem_free(&proxy);
    mem_free(&tool);
}

static void questions_of_one_context_are_answered_each_with_its_own_needs(void **state)
{
    struct probes_fixture *f = *state;
    const int64_t until = clock_boot_ms() + 20000;
    rig_package(&f->rig, "extract", "shell", "exit 0", NULL, 0, NULL, 0);
    write_files(f, "", "needs: [{command: sh}]\n");
    for (uint64_t i = 1; i <= 3; i++) {
        if (i == 3) /* while the first are probed */
            write_files(f, "", "needs: [{command: sh}, {path: /}]\n");
        probes_take(f->p,
                    &(struct s_probe){.number = i,
                                      .proxy = span_str("etl"),
                                      .subsystem = span_str("tool"),
                                      .package = f->rig.package},
                    clock_wall_ms());
    }
    while (f->n < 3 && clock_boot_ms() < until)
        assert_true(loop_turn(f->loop, until, NULL) >= 0);
    assert_int_equal(f->n, 3);
    assert_int_equal(f->number, 3);
    assert_string_equal(buf_str(&f->text), "command:sh holds\npath:/ holds\n");
}

/* A port of ours to which nobody gets a connection for a while; its queue is full. */
static unsigned silent_port(int fds[3])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    for (int i = 0; i < 3; i++)
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fds[0], (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(getsockname(fds[0], (struct sockaddr *)&at, &n), 0);
    assert_int_equal(listen(fds[0], 0), 0);
    for (int i = 1; i < 3; i++)
        assert_true(connect(fds[i], (struct sockaddr *)&at, sizeof at) == 0 ||
                    errno == EINPROGRESS);
    return ntohs(at.sin_port);
}

static void kill_child(void)
{
    char path[60];
    int pid = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &pid), 1);
    fclose(f);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

/* Whoever runs as the same user may end it. */
static void a_probe_that_is_killed_says_so_and_the_rest_goes_on(void **state)
{
    struct probes_fixture *f = *state;
    const int64_t until = clock_boot_ms() + 20000;
    int fds[3];
    char *needs = mem_printf("needs: [{tcp: '127.0.0.1:%u'}, {command: sh}]\n", silent_port(fds));
    rig_package(&f->rig, "extract", "shell", "exit 0", NULL, 0, NULL, 0);
    write_files(f, "", needs);
    probes_take(f->p,
                &(struct s_probe){.number = 1,
                                  .proxy = span_str("etl"),
                                  .subsystem = span_str("tool"),
                                  .package = f->rig.package},
                clock_wall_ms());
    kill_child();
    while (!f->n && clock_boot_ms() < until)
        assert_true(loop_turn(f->loop, until, NULL) >= 0);
    assert_contains(buf_str(&f->text), "has ended early");
    assert_contains(buf_str(&f->text), "command:sh holds\n");
    for (int i = 0; i < 3; i++)
        close(fds[i]);
    mem_free(&needs);
}

#define in_probes(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_probes(a_step_without_needs_is_answered_at_once),
        in_probes(what_a_step_would_meet_is_said_beforehand),
        in_probes(needs_are_probed_with_the_variables_of_the_proxy),
        in_probes(questions_of_one_context_are_answered_each_with_its_own_needs),
        in_probes(a_probe_that_is_killed_says_so_and_the_rest_goes_on),
    };
    return cmocka_run_group_tests_name("probes", tests, NULL, NULL);
}
