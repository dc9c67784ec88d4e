/* context_test.c - what a child of a real runner gets from its proxy. */
#include "runner/testworld.h"

#include "runner/keeper.h"
#include "runner/slots.h"

/* Its proxy `default` is a file of ours, with these lines. */
static void write_default(struct testworld *w, const char *lines)
{
    char *text = mem_printf("proxy: default\nuser: %u\nsubsystems: [shell]\nprincipals: [anna]\n%s",
                            (unsigned)geteuid(), lines);
    rig_path_write(&w->rig, "etc/proxies.d/default.yaml", span_str(text), 0644);
    mem_free(&text);
}

static struct testworld_wanted run_script(struct testworld *w, const char *script)
{
    return world_outcome(w, world_ask_script(w, script));
}

static void succeeds(struct testworld *w, const char *script)
{
    struct testworld_wanted want = run_script(w, script);
    if (want.outcome.package != PACKAGE_SUCCEEDED)
        fail_msg("exit %d: " SPAN_FMT, (int)want.outcome.exit_code, SPAN_ARG(want.outcome.message));
}

static void a_child_has_its_proxys_environment_and_its_users_name(void **state)
{
    struct testworld *w = *state;
    write_default(w, "environment: {PATH: /opt/etl:/usr/bin:/bin, REGION: 'e u'}\n");
    char *script = mem_printf("[ \"$PATH\" = /opt/etl:/usr/bin:/bin ] && [ \"$REGION\" = 'e u' ] &&"
                              " [ \"$USER\" = '%s' ] && [ \"$LOGNAME\" = \"$USER\" ] &&\n"
                              "[ \"$HOME\" = '%s' ] && [ -z \"$LB_CREDENTIALS\" ]",
                              w->rig.paths.user, w->rig.paths.home);
    succeeds(w, script);
    mem_free(&script);
}

static void a_child_reads_its_credentials_from_files_that_go_with_it(void **state)
{
    struct testworld *w = *state;
    char *lines = mem_printf("credentials: {wh: %s/etc/wh}\n", w->rig.home);
    rig_path_write(&w->rig, "etc/wh", span_str("s3cret"), 0400);
    write_default(w, lines);
    char *script = mem_printf("[ \"$(cat \"$LB_CREDENTIALS/wh\")\" = s3cret ] &&\n"
                              "[ \"$(stat -c %%a \"$LB_CREDENTIALS/wh\")\" = 400 ] &&\n"
                              "! tr '\\0' '\\n' </proc/self/environ | grep -q s3cret &&\n"
                              "echo \"$LB_CREDENTIALS\" >%s/where",
                              w->rig.home);
    succeeds(w, script);
    mem_free(&script);
    write_default(w, "");
    script = mem_printf("[ -z \"$LB_CREDENTIALS\" ] && ! [ -e \"$(cat %s/where)\" ]", w->rig.home);
    succeeds(w, script);
    mem_free(&script);
    mem_free(&lines);
}

static void fails_with(struct testworld *w, const char *script, const char *message)
{
    struct testworld_wanted want = run_script(w, script);
    char *said = span_dup_str(want.outcome.message);
    assert_int_equal(want.outcome.package, PACKAGE_FAILED);
    assert_false(want.outcome.out_of_memory);
    assert_contains(said, message);
    mem_free(&said);
}

static void a_protection_that_is_required_and_missing_stops_the_step(void **state)
{
    struct testworld *w = *state;
    write_default(w, "sandbox: {user: required}\n");
    struct testworld_wanted want = run_script(w, "exit 0");
    assert_int_equal(want.outcome.code, REFUSAL_START_FAILED);
    char *message = span_dup_str(want.outcome.message);
    assert_contains(message, "proxy 'default' requires user (a user of its own)");
    mem_free(&message);
}

static void system_calls_are_refused_where_the_proxy_wants_that(void **state)
{
    struct testworld *w = *state;
    const char *script = "grep -q '^Seccomp:.*2' /proc/self/status && ! unshare -U true";
    write_default(w, "sandbox: {seccomp: required}\n");
    struct testworld_wanted want = run_script(w, script);
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
    assert_false(wire_list_has(&want.outcome.off, "seccomp"));
    assert_true(wire_list_has(&want.outcome.off, "private_tmp"));
    write_default(w, "sandbox: {seccomp: off}\n");
    want = run_script(w, "exit 0");
    assert_true(wire_list_has(&want.outcome.off, "seccomp"));
}

static void a_child_opens_no_more_files_than_its_proxy_says(void **state)
{
    struct testworld *w = *state;
    write_default(w, "limits: {files: 32}\n");
    succeeds(w, "[ $(ulimit -Sn) = 32 ] && [ $(ulimit -Hn) = 32 ]");
    write_default(w, "");
    succeeds(w, "[ $(ulimit -Sn) -ge 1024 ]");
}

static void a_file_that_grows_too_large_ends_its_writer_and_is_named(void **state)
{
    struct testworld *w = *state;
    write_default(w, "limits: {file_size: 1M}\n");
    succeeds(w, "head -c 1048576 /dev/zero >fits");
    fails_with(w, "exec head -c 1048577 /dev/zero >large",
               "wrote a file of more than its 1.0 MiB (file_size); ended by signal 25 (XFSZ)");
    fails_with(w, "head -c 1048577 /dev/zero >large", "wrote a file of more than its 1.0 MiB");
}

static void a_step_is_warned_once_before_its_time_is_up(void **state)
{
    struct testworld *w = *state;
    write_default(w, "limits: {timeout: 60s, warn: 58s, warn_signal: USR1}\n");
    char *script = mem_printf("trap 'echo . >>%s/warned' USR1; mkfifo pipe; read x <>pipe\n"
                              "[ $(wc -l <%s/warned) = 1 ]",
                              w->rig.home, w->rig.home);
    succeeds(w, script);
    mem_free(&script);
    write_default(w, "limits: {timeout: 60s, warn: 59s}\n");
    fails_with(w, "exec sleep 60",
               "ended by signal 15 (TERM), after the signal TERM that its time was running out");
}

static void a_proxy_that_is_withdrawn_stops_the_next_step(void **state)
{
    struct testworld *w = *state;
    write_default(w, "");
    succeeds(w, "exit 0");
    rig_path_write(&w->rig, "etc/proxies.d/default.yaml",
                   span_str("proxy: default\nuser: 0\nsubsystems: [python]\nprincipals: [anna]\n"),
                   0644);
    struct testworld_wanted want = run_script(w, "exit 0");
    assert_int_equal(want.outcome.code, REFUSAL_NO_PROXY);
    char *message = span_dup_str(want.outcome.message);
    assert_contains(message, "has no access to subsystem 'shell' (proxies.d/default.yaml:3");
    mem_free(&message);
}

/* What waits is judged when its turn comes: here the third at a keeper, behind a long step, the
 * others in the runner's queue. */
static void a_proxy_that_is_withdrawn_stops_what_waits(void **state)
{
    struct testworld *w = *state;
    enum { LONG = 2, WAIT = 6 };
    struct id run[LONG + WAIT];
    write_default(w, "environment: {A: old}\n");
    char *go = mem_printf("%s/go", w->rig.home);
    char *script = mem_printf("while [ ! -e %s ]; do sleep 0.05; done; [ \"$A\" = old ]", go);
    for (int i = 0; i < LONG + WAIT; i++)
        run[i] = world_ask_script(w, script);
    for (int i = 0; i < LONG; i++)
        world_wait_for(w, world_is_launched, &(struct testworld_wanted){.run = run[i]}, "a start");
    const int64_t stale = clock_boot_ms() + KEEPER_STALE_MS + SLOTS_STALE_MS;
    while (clock_boot_ms() < stale)
        poll(NULL, 0, (int)(stale - clock_boot_ms()));
    rig_path_write(&w->rig, "etc/proxies.d/default.yaml",
                   span_str("proxy: default\nuser: 0\nsubsystems: [python]\nprincipals: [anna]\n"),
                   0644);
    rig_path_write(&w->rig, "go", span_str(""), 0644);
    for (int i = 0; i < LONG + WAIT; i++) {
        struct testworld_wanted want = world_outcome(w, run[i]);
        if (want.outcome.code != (i < LONG ? REFUSAL_NONE : REFUSAL_NO_PROXY))
            fail_msg("step %d: " SPAN_FMT, i, SPAN_ARG(want.outcome.message));
    }
    mem_free(&go);
    mem_free(&script);
}

static void what_waits_gets_what_its_proxy_gives_when_its_turn_comes(void **state)
{
    struct testworld *w = *state;
    struct id run[6];
    write_default(w, "environment: {A: old}\n");
    char *go = mem_printf("%s/go", w->rig.home);
    char *script = mem_printf("while [ ! -e %s ]; do sleep 0.05; done; echo \"$A\" >>%s/said", go,
                              w->rig.home);
    for (int i = 0; i < 6; i++)
        run[i] = world_ask_script(w, script);
    for (int i = 0; i < 2; i++)
        world_wait_for(w, world_is_launched, &(struct testworld_wanted){.run = run[i]}, "a start");
    const int64_t stale = clock_boot_ms() + KEEPER_STALE_MS + SLOTS_STALE_MS;
    while (clock_boot_ms() < stale)
        poll(NULL, 0, (int)(stale - clock_boot_ms()));
    write_default(w, "environment: {A: new}\n");
    rig_path_write(&w->rig, "go", span_str(""), 0644);
    for (int i = 0; i < 6; i++)
        assert_int_equal(world_outcome(w, run[i]).outcome.package, PACKAGE_SUCCEEDED);
    struct buf said = {0};
    char *path = mem_printf("%s/said", w->rig.home);
    assert_int_equal(file_read(path, 1000, &said, NULL), 0);
    unsigned old = 0, new = 0; /* two run at a time, so in whatever order */
    for (const char *at = buf_str(&said); *at; at += 4) {
        old += strncmp(at, "old\n", 4) == 0;
        new += strncmp(at, "new\n", 4) == 0;
    }
    assert_int_equal(old, 2);
    assert_int_equal(new, 4);
    buf_free(&said);
    mem_free(&path);
    mem_free(&go);
    mem_free(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_child_has_its_proxys_environment_and_its_users_name),
        in_world(a_child_reads_its_credentials_from_files_that_go_with_it),
        in_world(a_protection_that_is_required_and_missing_stops_the_step),
        in_world(system_calls_are_refused_where_the_proxy_wants_that),
        in_world(a_child_opens_no_more_files_than_its_proxy_says),
        in_world(a_file_that_grows_too_large_ends_its_writer_and_is_named),
        in_world(a_step_is_warned_once_before_its_time_is_up),
        in_world(a_proxy_that_is_withdrawn_stops_the_next_step),
        in_world(a_proxy_that_is_withdrawn_stops_what_waits),
        in_world(what_waits_gets_what_its_proxy_gives_when_its_turn_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
