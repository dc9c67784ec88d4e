/* runner_test.c - the runner, its keepers and real children, as the worker sees them: over the
 * socket and in the spool. The runner is a process of its own, so that it can be killed. */
#include "runner/testworld.h"

static void a_step_runs_and_its_outcome_and_output_are_in_the_spool(void **state)
{
    struct testworld *w = *state;
    struct testworld_wanted want = world_outcome(
        w, world_ask_script(
               w, "echo out; echo err >&2; echo rows=12 >> $LB_OUTPUTS; echo succeeded fine > "
                  "$LB_RESULT"));
    struct value v;
    struct error err = {0};
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
    assert_true(span_eq_str(want.outcome.message, "fine"));
    assert_true(span_eq_str(want.outcome.name, "run"));
    assert_int_equal(want.outcome.exit_code, 0);
    assert_int_equal(want.outcome.out_bytes, 4);
    assert_int_equal(want.outcome.err_bytes, 4);
    assert_true(wire_map_get(&want.outcome.outputs, "rows", &v) && span_eq_str(v.bytes, "12"));
    assert_true(wire_list_has(&want.outcome.off, "cgroup"));
    assert_int_equal(want.outcome.argv.count, 2);
    assert_true(want.outcome.ended_at >= want.outcome.started_at && want.outcome.started_at > 0);
    assert_true(want.outcome.max_rss_kib > 0);
    world_scan(w, world_collect_output, &want);
    assert_true(span_eq_str(buf_span(&want.text[0]), "out\n"));
    assert_true(span_eq_str(buf_span(&want.text[1]), "err\n"));
    assert_int_equal(err.code, 0);
    buf_free(&want.text[0]);
    buf_free(&want.text[1]);
}

static void a_failure_reports_its_exit_and_the_last_line_of_stderr(void **state)
{
    struct testworld *w = *state;
    struct testworld_wanted want =
        world_outcome(w, world_ask_script(w, "echo first >&2; echo no such table >&2; exit 4"));
    assert_int_equal(want.outcome.package, PACKAGE_FAILED);
    assert_int_equal(want.outcome.exit_code, 4);
    assert_true(span_eq_str(want.outcome.message, "exit 4: no such table"));
    want = world_outcome(w, world_ask_script(w, "exit 3"));
    assert_int_equal(want.outcome.package, PACKAGE_CANCELLED);
    assert_false(want.outcome.cancelled);
    want = world_outcome(w, world_ask_script(w, "kill -SEGV $$"));
    assert_int_equal(want.outcome.signal, SIGSEGV);
    assert_int_equal(want.outcome.exit_code, 128 + SIGSEGV);
    assert_true(span_eq_str(want.outcome.message, "ended by signal 11 (SEGV)"));
}

static void a_verdict_can_worsen_a_success_but_not_improve_a_failure(void **state)
{
    struct testworld *w = *state;
    struct testworld_wanted want =
        world_outcome(w, world_ask_script(w, "echo failed: nothing to load > $LB_RESULT"));
    assert_int_equal(want.outcome.package, PACKAGE_FAILED);
    assert_true(span_eq_str(want.outcome.message, "nothing to load"));
    want = world_outcome(w, world_ask_script(w, "echo succeeded > $LB_RESULT; exit 5"));
    assert_int_equal(want.outcome.package, PACKAGE_FAILED);
    want = world_outcome(w, world_ask_script(w, "echo 'Not = good' > $LB_OUTPUTS"));
    assert_int_equal(want.outcome.package, PACKAGE_FAILED);
    assert_true(memmem(want.outcome.message.p, want.outcome.message.n, "outputs, line 1", 15) !=
                NULL);
}

static void a_child_gets_a_fixed_environment_with_its_parameters(void **state)
{
    struct testworld *w = *state;
    static const struct rig_parameter p[] = {
        {.name = "table", .type = "string"},
        {.name = "count", .type = "int"},
        {.name = "password", .type = "string", .sensitive = true}};
    struct rig_call c = rig_call();
    struct buf map = {0};
    value_add_str(&map, span_str("table"));
    value_add_str(&map, span_str("orders"));
    value_add_str(&map, span_str("count"));
    value_add_str(&map, span_str("7"));
    value_add_str(&map, span_str("password"));
    value_add_str(&map, span_str("pssst"));
    c.parameters = &map;
    c.n_parameters = 3;
    c.task = "load";
    setenv("LD_PRELOAD_SECRET", "x", 1);
    rig_package(
        &w->rig, "extract", "shell",
        "env | sort; cat $LB_PARAMETERS; umask; ulimit -c; pwd; readlink /proc/self/fd/0; ls "
        "/proc/self/fd\n"
        "grep NoNewPrivs /proc/$$/status; stat -c %a $LB_PARAMETERS",
        p, 3, NULL, 0);
    struct testworld_wanted want = world_outcome(w, world_ask(w, &c));
    world_scan(w, world_collect_output, &want);
    const char *text = buf_str(&want.text[0]);
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
    assert_contains(text, "LB_PARAM_table=orders\n");
    assert_contains(text, "LB_PARAM_count=7\n");
    assert_null(strstr(text, "LB_PARAM_password"));
    assert_null(strstr(text, "LD_PRELOAD_SECRET"));
    assert_contains(text, "{\"table\":\"orders\",\"count\":7,\"password\":\"pssst\"}");
    assert_contains(text, "LB_AS_OF=2026-11-21\n");
    assert_contains(text, "LB_SERVER=etl1\n");
    assert_contains(text, "LB_TASK=load\n");
    assert_contains(text, "LB_ATTEMPT=1\n");
    assert_contains(text, "LANG=C.UTF-8\n");
    assert_null(strstr(text, "TZ=:")); /* by its name, or not at all: Java knows no files */
    char *user = mem_printf("\nUSER=%s\n", w->rig.paths.user),
         *logname = mem_printf("\nLOGNAME=%s\n", w->rig.paths.user);
    assert_contains(text, user);
    assert_contains(text, logname);
    mem_free(&user);
    mem_free(&logname);
    assert_contains(text, "\n0077\n0\n");
    char *folder = mem_printf("LB_WORK=%s/", w->rig.paths.work),
         *at = mem_printf("\n0\n%s/", w->rig.paths.work);
    assert_contains(text, folder);
    assert_contains(text, at);
    mem_free(&folder);
    mem_free(&at);
    assert_contains(text, "/dev/null\n0\n1\n2\n3\nNoNew"); /* 3: the folder that ls is reading */
    assert_contains(text, "NoNewPrivs:\t1\n400\n");
    buf_free(&map);
    buf_free(&want.text[0]);
    buf_free(&want.text[1]);
}

static void a_child_finds_nothing_of_the_previous_one_in_its_folder(void **state)
{
    struct testworld *w = *state;
    struct testworld_wanted want = world_outcome(
        w, world_ask_script(w, "mkdir -p a/b; touch a/b/c; rm $LB_OUTPUTS; mv $LB_RESULT x"));
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
    want = world_outcome(
        w,
        world_ask_script(w, "test -z \"$(ls -A)\" && test -f $LB_OUTPUTS && test -f $LB_RESULT"));
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
}

static void progress_arrives_while_the_step_runs(void **state)
{
    struct testworld *w = *state;
    struct id run = world_ask_script(w, "echo 42 loading orders > $LB_PROGRESS; sleep 100");
    struct testworld_wanted want = {.run = run};
    world_wait_for(w, world_has_progress, &want, "progress");
    assert_int_equal(want.percent, 42);
    assert_string_equal(want.progress, "loading orders");
    world_halt(w, run, true, 0, false);
    world_outcome(w, run);
}

static void a_refused_step_has_an_outcome_that_says_not_executed(void **state)
{
    struct testworld *w = *state;
    rig_package(&w->rig, "extract", "shell", "exit 0", NULL, 0, NULL, 0);
    struct rig_call c = rig_call();
    c.expires = clock_wall_ms() - 5000;
    struct testworld_wanted want = world_outcome(w, world_ask(w, &c));
    assert_int_equal(want.outcome.package, PACKAGE_NOT_EXECUTED);
    assert_int_equal(want.outcome.code, REFUSAL_EXPIRED);
    assert_true(memmem(want.outcome.message.p, want.outcome.message.n, "expired", 7) != NULL);
}

static void a_child_that_cannot_be_executed_has_an_outcome(void **state)
{
    struct testworld *w = *state;
    rig_package(&w->rig, "extract", "exec", "#!/no/such/interpreter\n", NULL, 0, NULL, 0);
    struct rig_call c = rig_call();
    struct testworld_wanted want = world_outcome(w, world_ask(w, &c));
    assert_int_equal(want.outcome.package, PACKAGE_NOT_EXECUTED);
    assert_int_equal(want.outcome.code, REFUSAL_START_FAILED);
    assert_true(memmem(want.outcome.message.p, want.outcome.message.n, "cannot execute", 14) !=
                NULL);
}

/* The hostile child starts three processes: a double fork into its own session that ignores
 * TERM, a stopped one and a plain one. */
#define HOSTILE \
    "setsid sh -c 'trap \"\" TERM HUP; (trap \"\" TERM; echo $$ > %1$s/own; exec sleep 1000) " \
    "& wait' >/dev/null " \
    "2>&1 &\n" \
    "sh -c 'echo $$ > %1$s/stopped; kill -STOP $$; sleep 1000' >/dev/null 2>&1 &\n" \
    "(sh -c 'sh -c \"echo \\$\\$ > %1$s/double; exec sleep 1000\" &' &) >/dev/null 2>&1\n"

static void await_hostile(struct testworld *w, pid_t pids[3])
{
    pids[0] = world_pid_in(w, "own");
    pids[1] = world_pid_in(w, "stopped");
    pids[2] = world_pid_in(w, "double");
}

static void a_cancel_ends_the_whole_process_tree(void **state)
{
    struct testworld *w = *state;
    pid_t pids[3];
    char *script = mem_printf("trap '' TERM\n" HOSTILE "while :; do sleep 1; done\n", w->rig.home);
    struct id run = world_ask_script(w, script);
    await_hostile(w, pids);
    world_halt(w, run, false, 200, false);
    struct testworld_wanted want = world_outcome(w, run);
    assert_int_equal(want.outcome.package, PACKAGE_CANCELLED);
    assert_true(want.outcome.cancelled && !want.outcome.timed_out);
    assert_int_equal(want.outcome.signal, SIGKILL);
    for (int i = 0; i < 3; i++)
        assert_false(world_is_alive(pids[i]));
    mem_free(&script);
}

static void the_end_of_a_step_ends_its_whole_process_tree(void **state)
{
    struct testworld *w = *state;
    pid_t pids[3];
    char *script = mem_printf(
        HOSTILE
        "while ! test -s %1$s/own -a -s %1$s/stopped -a -s %1$s/double; do sleep 0.01; done\n",
        w->rig.home);
    struct id run = world_ask_script(w, script);
    await_hostile(w, pids);
    struct testworld_wanted want = world_outcome(w, run);
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
    for (int i = 0; i < 3; i++)
        assert_false(world_is_alive(pids[i]));
    mem_free(&script);
}

static void a_step_that_takes_too_long_times_out(void **state)
{
    struct testworld *w = *state;
    struct id run = world_ask_script(w, "trap 'exit 0' TERM; while :; do sleep 0.05; done");
    struct testworld_wanted want = {.run = run};
    world_wait_for(w, world_is_launched, &want, "the start");
    world_halt(w, run, false, 5000, true);
    want = world_outcome(w, run);
    assert_int_equal(want.outcome.package, PACKAGE_FAILED);
    assert_true(want.outcome.timed_out && !want.outcome.cancelled);
}

static void a_step_that_finishes_before_it_sees_the_cancel_succeeds(void **state)
{
    struct testworld *w = *state;
    char *script =
        mem_printf("trap 'echo succeeded > $LB_RESULT; exit 0' TERM; echo $$ > %s/ready\n"
                   "while :; do sleep 0.05; done",
                   w->rig.home);
    struct id run = world_ask_script(w, script);
    world_pid_in(w, "ready");
    world_halt(w, run, false, 5000, false);
    struct testworld_wanted want = world_outcome(w, run);
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
    assert_false(want.outcome.cancelled);
    mem_free(&script);
}

static void a_waiting_step_can_be_cancelled(void **state)
{
    struct testworld *w = *state;
    struct id runs[5];
    struct testworld_wanted want;
    for (int i = 0; i < 5; i++)
        runs[i] = world_ask_script(w, "exec sleep 1000");
    want = (struct testworld_wanted){.run = runs[1]};
    world_wait_for(w, world_is_launched, &want, "the second");
    world_halt(w, runs[4], false, 100, false);
    want = world_outcome(w, runs[4]);
    assert_int_equal(want.outcome.package, PACKAGE_NOT_EXECUTED);
    assert_true(want.outcome.cancelled);
    assert_int_equal(want.outcome.code, REFUSAL_NONE);
    for (int i = 0; i < 4; i++) {
        world_halt(w, runs[i], true, 0, false);
        want = world_outcome(w, runs[i]);
        assert_true(want.outcome.cancelled);
    }
}

/* Eight times the limit, and more than twice of what the keeper may ever have had in memory. */
static void output_far_beyond_its_limit_is_counted_truncated_and_delays_nobody(void **state)
{
    enum { PRINTED = 8 * LIMIT_LOG_STEP };
    struct testworld *w = *state;
    char script[80];
    snprintf(script, sizeof script, "head -c %d /dev/zero; echo done >&2", PRINTED);
    struct id run = world_ask_script(w, script);
    struct testworld_wanted want = world_outcome(w, run);
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
    assert_int_equal(want.outcome.out_bytes, PRINTED);
    assert_int_equal(want.outcome.cut_bytes, PRINTED + 5 - LIMIT_LOG_STEP);
    world_scan(w, world_collect_output, &want);
    assert_int_equal(want.text[0].n + want.text[1].n, LIMIT_LOG_STEP);
    assert_int_equal(want.cut, PRINTED - LIMIT_LOG_STEP);
    char *path = runner_paths_of_slot(w->rig.paths.run, "keeper", 1, ".sock");
    struct channel *c;
    assert_int_equal(channel_connect(path, &c, NULL), 0);
    char status[60], line[200];
    long kib = 0;
    snprintf(status, sizeof status, "/proc/%d/status", (int)channel_peer_pid(c));
    FILE *f = fopen(status, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        sscanf(line, "VmHWM: %ld", &kib);
    fclose(f);
#ifndef __SANITIZE_ADDRESS__ /* it keeps freed memory */
    assert_in_range(kib, 1, 48 * 1024);
#endif
    channel_close(&c);
    mem_free(&path);
    buf_free(&want.text[0]);
    buf_free(&want.text[1]);
}

static void a_child_survives_its_runner_and_the_next_runner_finds_it(void **state)
{
    struct testworld *w = *state;
    struct s_kept kept;
    char *script =
        mem_printf("echo $$ > %s/pid; while ! test -e %s/go; do sleep 0.02; done; exit 3",
                   w->rig.home, w->rig.home);
    struct id run = world_ask_script(w, script);
    pid_t pid = world_pid_in(w, "pid");
    world_stop_runner(w, SIGKILL);
    assert_true(world_is_alive(pid));
    world_start_runner(w, 2);
    assert_int_equal(world_hear_kept(w, KEPT_RUNS, &kept), 1);
    assert_true(id_eq(kept.run, run) && kept.slot == 1);
    rig_path_write(&w->rig, "go", span_str("x"), 0600);
    struct testworld_wanted want = world_outcome(w, run);
    assert_int_equal(want.outcome.exit_code, 3);
    struct testworld_wanted next = world_outcome(w, world_ask_script(w, "exit 0"));
    assert_int_equal(next.outcome.package, PACKAGE_SUCCEEDED);
    mem_free(&script);
}

static void a_step_that_ran_before_the_restart_is_not_run_again(void **state)
{
    struct testworld *w = *state;
    struct rig_call c = rig_call();
    char *script = mem_printf("echo $$ >> %s/ran", w->rig.home);
    rig_package(&w->rig, "extract", "shell", script, NULL, 0, NULL, 0);
    world_outcome(w, world_ask(w, &c));
    world_stop_runner(w, SIGKILL);
    world_start_runner(w, 2);
    world_hear_kept(w, KEPT_RUNS, NULL);
    struct testworld_wanted want =
        world_outcome(w, world_ask(w, &c)); /* the same call under another run id */
    assert_int_equal(want.outcome.code, REFUSAL_REPLAYED);
    struct buf b = {0};
    char *path = mem_printf("%s/ran", w->rig.home);
    assert_int_equal(file_read(path, 100, &b, NULL), 0);
    assert_ptr_equal(memchr(b.p, '\n', b.n), b.p + b.n - 1);
    buf_free(&b);
    mem_free(&path);
    mem_free(&script);
}

static void when_a_keeper_is_killed_its_tree_dies_and_the_worker_hears_it(void **state)
{
    struct testworld *w = *state;
    pid_t pids[3];
    struct channel *c;
    struct span m;
    struct s_kept k;
    char *script = mem_printf(HOSTILE "echo $$ > %1$s/main; sleep 1000\n", w->rig.home);
    char *path = runner_paths_of_slot(w->rig.paths.run, "keeper", 1, ".sock");
    struct id run = world_ask_script(w, script);
    await_hostile(w, pids);
    pid_t child = world_pid_in(w, "main");
    assert_int_equal(channel_connect(path, &c, NULL), 0);
    kill(channel_peer_pid(c), SIGKILL);
    channel_close(&c);
    world_wait_gone(child);
    for (int i = 0; i < 3; i++)
        world_wait_gone(pids[i]);
    while (world_hear(w, &m) != KIND_S_KEPT)
        ;
    assert_int_equal(s_kept_decode(m, &k, NULL), 0);
    assert_true(id_eq(k.run, run) && k.state == 3);
    struct testworld_wanted want =
        world_outcome(w, world_ask_script(w, "exit 0")); /* the slot is in use again */
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
    mem_free(&script);
    mem_free(&path);
}

enum { LOST_AFTER = LOST_AFTER_MIN_MS };

/* A renewal old enough to put the fence of an attempt with LOST_AFTER at `until`. */
static void write_fence(struct testworld *w, int64_t until)
{
    struct {
        int64_t renewed;
        struct id boot;
    } file = {until - LOST_AFTER, ID_ZERO};
    assert_int_equal(clock_boot_id(&file.boot, NULL), 0);
    rig_path_write(&w->rig, "var/spool/fence", span_of(&file, sizeof file), 0600);
}

static void a_rerun_child_ends_before_the_fence_and_others_do_not(void **state)
{
    struct testworld *w = *state;
    struct rig_call c = rig_call();
    int64_t fence = clock_boot_ms() + LOST_AFTER / 2 + 700; /* almost at once: TERM */
    c.key = "fenced";
    c.on_lost = ON_LOST_RERUN;
    c.lost_after_ms = LOST_AFTER;
    write_fence(w, fence);
    rig_package(&w->rig, "extract", "shell", "trap '' TERM; while :; do sleep 0.1; done", NULL, 0,
                NULL, 0);
    struct id fenced = world_ask(w, &c), free_run = world_ask_script(w, "exec sleep 1000");
    struct testworld_wanted want = world_outcome(w, fenced);
    assert_true(clock_boot_ms() >= fence - 600); /* how soon we hear of it: the machine's affair */
    assert_true(want.outcome.cancelled);
    assert_true(memmem(want.outcome.message.p, want.outcome.message.n, "counts as lost", 14) !=
                NULL);
    struct testworld_wanted other = {.run = free_run};
    assert_false(world_scan(w, world_is_ended, &other));
    world_halt(w, free_run, true, 0, false);
    world_outcome(w, free_run);
}

static void a_rerun_step_past_its_fence_waits_and_lets_others_pass(void **state)
{
    struct testworld *w = *state;
    struct rig_call c = rig_call();
    c.key = "waits";
    c.on_lost = ON_LOST_RERUN;
    c.lost_after_ms = LOST_AFTER;
    write_fence(w, clock_boot_ms() - 10);
    rig_package(&w->rig, "extract", "shell", "exit 0", NULL, 0, NULL, 0);
    struct id waits = world_ask(w, &c);
    c.key = "cancelled";
    struct id cancelled = world_ask(w, &c);
    /* requested later, not fenced */
    struct testworld_wanted want = world_outcome(w, world_ask_script(w, "exit 0"));
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
    world_halt(w, cancelled, false, 0, false);
    want = world_outcome(w, cancelled);
    assert_true(want.outcome.cancelled);
    want = (struct testworld_wanted){.run = waits};
    assert_false(world_scan(w, world_is_launched, &want));
    write_fence(w, clock_boot_ms() + 60000); /* the broker has been heard again */
    want = world_outcome(w, waits);
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
}

/* The step is sent to the keeper while the fence holds, but the step before it outlasts the
 * fence. */
static void a_rerun_step_at_a_keeper_goes_back_when_the_fence_has_passed(void **state)
{
    struct testworld *w = *state;
    struct id runs[3];
    struct rig_call c = rig_call();
    c.on_lost = ON_LOST_RERUN;
    c.lost_after_ms = LOST_AFTER;
    write_fence(w, clock_boot_ms() + 60000);
    c.key = "a";
    rig_package(&w->rig, "extract", "shell", "exit 0", NULL, 0, NULL, 0);
    world_outcome(w, world_ask(w, &c)); /* short ones, so that others are sent ahead */
    for (int i = 0; i < 2; i++)
        runs[i] = world_ask_script(w, "exec sleep 1000");
    rig_package(&w->rig, "extract", "shell", "exit 0", NULL, 0, NULL, 0);
    c.key = "behind";
    runs[2] = world_ask(w, &c);
    for (int i = 0; i < 2; i++) {
        struct testworld_wanted want = {.run = runs[i]};
        world_wait_for(w, world_is_launched, &want, "the start of a long step");
    }
    write_fence(w, clock_boot_ms() - 10);
    world_halt(w, runs[0], true, 0, false);
    world_halt(w, runs[1], true, 0, false);
    world_outcome(w, runs[0]);
    world_outcome(w, runs[1]);
    struct testworld_wanted want = world_outcome(w, world_ask_script(w, "exit 0"));
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
    want = (struct testworld_wanted){.run = runs[2]};
    assert_false(world_scan(w, world_is_launched, &want));
    assert_false(world_scan(w, world_is_ended, &want));
    write_fence(w, clock_boot_ms() + 60000);
    want = world_outcome(w, runs[2]);
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
}

static void two_hundred_short_steps_all_run_once_in_two_slots(void **state)
{
    struct testworld *w = *state;
    struct id runs[200];
    char *script = mem_printf("echo $LB_RUN >> %s/ran", w->rig.home);
    rig_package(&w->rig, "extract", "shell", script, NULL, 0, NULL, 0);
    for (int i = 0; i < 200; i++) {
        struct rig_call c = rig_call();
        char key[20];
        snprintf(key, sizeof key, "s%d", i);
        c.key = key;
        runs[i] = world_ask(w, &c);
    }
    for (int i = 0; i < 200; i++) {
        struct testworld_wanted want = world_outcome(w, runs[i]);
        assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
    }
    struct buf b = {0};
    char *path = mem_printf("%s/ran", w->rig.home);
    assert_int_equal(file_read(path, 100000, &b, NULL), 0);
    assert_int_equal(b.n, 200 * 37);
    buf_free(&b);
    mem_free(&path);
    mem_free(&script);
}

static void a_step_that_waits_behind_a_long_one_moves_to_an_idle_slot(void **state)
{
    struct testworld *w = *state;
    struct id runs[60], longest = {{0}};
    for (int i = 0; i < 60; i++) /* short ones, so that steps are sent ahead to the keepers */
        runs[i] = world_ask_script(w, i == 50 ? "exec sleep 1000" : "exit 0");
    longest = runs[50];
    for (int i = 0; i < 60; i++)
        if (i != 50)
            assert_int_equal(world_outcome(w, runs[i]).outcome.package, PACKAGE_SUCCEEDED);
    world_halt(w, longest, true, 0, false);
    world_outcome(w, longest);
}

static void another_users_process_or_a_stray_message_gets_nothing(void **state)
{
    struct testworld *w = *state;
    struct error err = {0};
    struct span m;
    struct channel *c;
    char *path = mem_printf("%s/runner.sock", w->rig.paths.run);
    struct buf b = {0};
    struct s_halt h = {.run = rig_run(1), .attempt = 1};
    s_halt_encode(&h, &b);
    assert_int_equal(channel_connect(path, &c, &err), 0);
    assert_int_equal(channel_send(c, buf_span(&b), &err), 0);
    int rc;
    while ((rc = channel_receive(c, &m, &err)) == 0) {
        struct pollfd p = {.fd = channel_fd(c), .events = POLLIN};
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    }
    assert_int_equal(rc, -ECONNRESET);
    channel_close(&c);
    mem_free(&path);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_step_runs_and_its_outcome_and_output_are_in_the_spool),
        in_world(a_failure_reports_its_exit_and_the_last_line_of_stderr),
        in_world(a_verdict_can_worsen_a_success_but_not_improve_a_failure),
        in_world(a_child_gets_a_fixed_environment_with_its_parameters),
        in_world(a_child_finds_nothing_of_the_previous_one_in_its_folder),
        in_world(progress_arrives_while_the_step_runs),
        in_world(a_refused_step_has_an_outcome_that_says_not_executed),
        in_world(a_child_that_cannot_be_executed_has_an_outcome),
        in_world(a_cancel_ends_the_whole_process_tree),
        in_world(the_end_of_a_step_ends_its_whole_process_tree),
        in_world(a_step_that_takes_too_long_times_out),
        in_world(a_step_that_finishes_before_it_sees_the_cancel_succeeds),
        in_world(a_waiting_step_can_be_cancelled),
        in_world(output_far_beyond_its_limit_is_counted_truncated_and_delays_nobody),
        in_world(a_child_survives_its_runner_and_the_next_runner_finds_it),
        in_world(a_step_that_ran_before_the_restart_is_not_run_again),
        in_world(when_a_keeper_is_killed_its_tree_dies_and_the_worker_hears_it),
        in_world(a_rerun_step_past_its_fence_waits_and_lets_others_pass),
        in_world(a_rerun_step_at_a_keeper_goes_back_when_the_fence_has_passed),
        in_world(a_rerun_child_ends_before_the_fence_and_others_do_not),
        in_world(two_hundred_short_steps_all_run_once_in_two_slots),
        in_world(a_step_that_waits_behind_a_long_one_moves_to_an_idle_slot),
        in_world(another_users_process_or_a_stray_message_gets_nothing),
    };
    return cmocka_run_group_tests_name("server", tests, NULL, NULL);
}
