/* keeper_test.c - what keepers hold while runners and keepers come and go, as the worker sees
 * it. */
#include "runner/slotfile.h"
#include "runner/testworld.h"

static struct rig_call call_named(const char *key)
{
    struct rig_call c = rig_call();
    c.key = key;
    return c;
}

/* The first refused call shows that the runner has read everything sent before it. The second
 * shows that the turn which read it is over: the keepers then have what the runner had for them,
 * even if it is killed. */
static void turn_twice(struct testworld *w)
{
    static const char *const keys[] = {"late", "later"};
    for (uint8_t i = 0; i < 2; i++) {
        struct rig_call c = call_named(keys[i]);
        struct id run = rig_run((uint8_t)(201 + i));
        c.expires = 1;
        world_ask_as(w, &c, run, 0);
        assert_int_equal(world_outcome(w, run).outcome.code, REFUSAL_EXPIRED);
    }
}

/* Two long steps fill both slots; a third, of the same package, waits at one of their keepers. */
static void fill(struct testworld *w, struct id runs[3])
{
    struct testworld_wanted want;
    static const char *const keys[] = {"a", "b", "c"};
    char *script = mem_printf(
        "echo $LB_RUN >> %s/ran; test \"$LB_RUN\" = \"$(cat %s/last)\" || exec sleep 1000",
        w->rig.home, w->rig.home);
    char last[ID_TEXT];
    rig_path_write(&w->rig, "last", span_str(id_format(rig_run(3), last)), 0600);
    rig_package(&w->rig, "extract", "shell", script, NULL, 0, NULL, 0);
    for (int i = 0; i < 3; i++) {
        struct rig_call c = call_named(keys[i]);
        runs[i] = world_ask(w, &c);
    }
    for (int i = 0; i < 2; i++) {
        want = (struct testworld_wanted){.run = runs[i]};
        world_wait_for(w, world_is_launched, &want, "a start");
    }
    turn_twice(w);
    mem_free(&script);
}

static unsigned times_run(struct testworld *w, struct id run)
{
    struct buf b = {0};
    char text[ID_TEXT], *path = mem_printf("%s/ran", w->rig.home);
    unsigned n = 0;
    assert_int_equal(file_read(path, 100000, &b, NULL), 0);
    for (const char *p = buf_str(&b); (p = strstr(p, id_format(run, text))); p++)
        n++;
    buf_free(&b);
    mem_free(&path);
    return n;
}

static void end_both(struct testworld *w, struct id runs[3])
{
    for (int i = 0; i < 2; i++)
        world_halt(w, runs[i], true, 0, false);
    for (int i = 0; i < 2; i++)
        world_outcome(w, runs[i]);
}

static void a_step_at_a_keeper_is_known_to_the_next_runner_and_runs_once(void **state)
{
    struct testworld *w = *state;
    struct id runs[3];
    struct s_kept kept;
    fill(w, runs);
    world_stop_runner(w, SIGKILL);
    world_start_runner(w, 2);
    assert_int_equal(world_hear_kept(w, KEPT_WAITS, &kept), 1);
    assert_true(id_eq(kept.run, runs[2]));
    struct rig_call c = call_named("c");
    world_ask_as(w, &c, runs[2], 0); /* requested again: it is known */
    end_both(w, runs);
    assert_int_equal(world_outcome(w, runs[2]).outcome.package, PACKAGE_SUCCEEDED);
    struct rig_call next = call_named("d");
    struct id other = world_ask(w, &next); /* a duplicate would have run before this one */
    world_halt(w, other, true, 0, false);
    world_outcome(w, other);
    assert_int_equal(times_run(w, runs[2]), 1);
}

static void a_step_that_waited_at_a_dead_keeper_can_be_requested_again(void **state)
{
    struct testworld *w = *state;
    struct id runs[3];
    struct span m;
    fill(w, runs);
    bool waited = false;
    for (unsigned i = 1; i <= 2; i++) {
        struct channel *c;
        char *path = runner_paths_of_slot(w->rig.paths.run, "keeper", i, ".sock");
        assert_int_equal(channel_connect(path, &c, NULL), 0);
        kill(channel_peer_pid(c), SIGKILL);
        channel_close(&c);
        mem_free(&path);
    }
    for (int gone_steps = 0; gone_steps < 3;) {
        struct s_kept k;
        if (world_hear(w, &m) != KIND_S_KEPT || s_kept_decode(m, &k, NULL) < 0)
            continue;
        assert_int_equal(k.state, 3);
        gone_steps++;
        waited |= id_eq(k.run, runs[2]);
    }
    assert_true(waited);
    struct rig_call c = call_named("c");
    world_ask_as(w, &c, runs[2], 0);
    assert_int_equal(world_outcome(w, runs[2]).outcome.package, PACKAGE_SUCCEEDED);
    assert_int_equal(times_run(w, runs[2]), 1);
}

static void a_cancel_of_another_attempt_leaves_this_one_alone(void **state)
{
    struct testworld *w = *state;
    struct buf m = {0};
    struct id run = world_ask_script(w, "exec sleep 1000");
    struct testworld_wanted want = {.run = run};
    world_wait_for(w, world_is_launched, &want, "the start");
    struct s_halt h = {.run = run, .attempt = 2, .force = true};
    s_halt_encode(&h, &m);
    world_say(w, &m);
    world_outcome(w, world_ask_script(w, "exit 0")); /* sent after it */
    assert_false(world_scan(w, world_is_ended, &want));
    world_halt(w, run, true, 0, false);
    world_outcome(w, run);
    buf_free(&m);
}

static void a_step_past_its_deadline_is_timed_out_and_its_tree_killed(void **state)
{
    struct testworld *w = *state;
    struct rig_call c = call_named("late");
    struct id run = rig_run(77);
    char *script = mem_printf("echo $$ > %s/pid; exec sleep 1000", w->rig.home);
    rig_package(&w->rig, "extract", "shell", script, NULL, 0, NULL, 0);
    world_ask_as(w, &c, run, clock_boot_ms() + 400);
    pid_t pid = world_pid_in(w, "pid");
    struct testworld_wanted want = world_outcome(w, run);
    assert_true(want.outcome.timed_out && !want.outcome.cancelled);
    assert_int_equal(want.outcome.package, PACKAGE_FAILED);
    assert_false(world_is_alive(pid));
    c = call_named("too late");
    run = rig_run(78);
    world_ask_as(w, &c, run, clock_boot_ms() - 1);
    want = world_outcome(w, run);
    assert_int_equal(want.outcome.package, PACKAGE_NOT_EXECUTED);
    assert_int_equal(want.outcome.code, REFUSAL_EXPIRED);
    mem_free(&script);
}

static void a_stopped_keeper_delays_nobody_and_its_spool_says_what_it_runs(void **state)
{
    struct testworld *w = *state;
    struct s_kept kept;
    struct channel *c;
    struct id run = world_ask_script(w, "exec sleep 1000");
    struct testworld_wanted want = {.run = run};
    world_wait_for(w, world_is_launched, &want, "the start");
    char *path = runner_paths_of_slot(w->rig.paths.run, "keeper", 1, ".sock");
    assert_int_equal(channel_connect(path, &c, NULL), 0);
    pid_t keeper = channel_peer_pid(c);
    channel_close(&c);
    kill(keeper, SIGSTOP);
    world_stop_runner(w, SIGKILL);
    world_start_runner(w, 2);
    assert_int_equal(world_hear_kept(w, KEPT_RUNS, &kept), 1);
    assert_true(id_eq(kept.run, run));
    assert_int_equal(world_outcome(w, world_ask_script(w, "exit 0")).outcome.package,
                     PACKAGE_SUCCEEDED);
    kill(keeper, SIGCONT);
    world_halt(w, run, true, 0, false);
    assert_true(world_outcome(w, run).outcome.cancelled);
    mem_free(&path);
}

static pid_t keeper_of(struct testworld *w, unsigned slot)
{
    struct channel *c;
    char *path = runner_paths_of_slot(w->rig.paths.run, "keeper", slot, ".sock");
    assert_int_equal(channel_connect(path, &c, NULL), 0);
    pid_t pid = channel_peer_pid(c); /* stopped before it sees the connection */
    kill(pid, SIGSTOP);
    channel_close(&c);
    mem_free(&path);
    return pid;
}

/* A stalled disk also stops a keeper. */
static void a_step_at_a_stopped_keeper_is_known_and_runs_once(void **state)
{
    struct testworld *w = *state;
    struct id runs[3];
    fill(w, runs);
    world_stop_runner(w, SIGKILL);
    const pid_t keepers[] = {keeper_of(w, 1), keeper_of(w, 2)};
    world_start_runner(w, 3);
    assert_int_equal(world_hear_kept(w, KEPT_WAITS, NULL), 1);
    struct rig_call c = call_named("c");
    world_ask_as(w, &c, runs[2], 0); /* as the worker requests a step that no keeper holds */
    struct rig_call d = call_named("d");
    struct id other = world_ask(w, &d);
    struct testworld_wanted want = {.run = other};
    world_wait_for(w, world_is_launched, &want, "a start behind it");
    for (int i = 0; i < 2; i++)
        kill(keepers[i], SIGCONT);
    end_both(w, runs);
    assert_int_equal(world_outcome(w, runs[2]).outcome.package, PACKAGE_SUCCEEDED);
    world_halt(w, other, true, 0, false);
    world_outcome(w, other);
    assert_int_equal(times_run(w, runs[2]), 1);
}

static void a_step_that_a_silent_keeper_turns_out_not_to_hold_is_reported(void **state)
{
    struct testworld *w = *state;
    struct slot_step lost = {.run = rig_run(99), .attempt = 1, .try_no = 1, .step = "run"};
    struct slotfile *f = NULL;
    struct s_kept k = {.state = KEPT_NOTHING};
    struct error err = {0};
    struct span m;
    struct id run = world_ask_script(w, "exec sleep 1000");
    struct testworld_wanted want = {.run = run};
    world_wait_for(w, world_is_launched, &want, "the start");
    world_stop_runner(w, SIGKILL);
    pid_t keeper = keeper_of(w, 1);
    char *path = runner_paths_of_slot(w->rig.paths.run, "keeper", 1, ".held");
    assert_int_equal(slotfile_open(path, &f, &err), 0);
    slotfile_put(f, &lost); /* the runner that sent it died with its bytes */
    slotfile_close(&f);
    world_start_runner(w, 2);
    assert_int_equal(world_hear_kept(w, KEPT_WAITS, &k), 1);
    assert_true(id_eq(k.run, lost.run));
    kill(keeper, SIGCONT);
    while (k.state != 3)
        if (world_hear(w, &m) == KIND_S_KEPT)
            assert_int_equal(s_kept_decode(m, &k, NULL), 0);
    assert_true(id_eq(k.run, lost.run));
    world_halt(w, run, true, 0, false); /* the other one is still known */
    assert_true(world_outcome(w, run).outcome.cancelled);
    mem_free(&path);
}

/* A peer that only connects is not taken for a runner. */
static void a_stray_connection_to_a_keeper_changes_nothing(void **state)
{
    struct testworld *w = *state;
    struct channel *stray[2];
    struct id run = world_ask_script(w, "exec sleep 1000");
    struct testworld_wanted want = {.run = run};
    world_wait_for(w, world_is_launched, &want, "the start");
    char *path = runner_paths_of_slot(w->rig.paths.run, "keeper", 1, ".sock");
    for (int i = 0; i < 2; i++)
        assert_int_equal(channel_connect(path, &stray[i], NULL), 0);
    world_outcome(w, world_ask_script(w, "exit 0")); /* keeps both busy while this runs */
    world_halt(w, run, true, 0, false);
    assert_true(world_outcome(w, run).outcome.cancelled);
    struct span m;
    struct error err = {0};
    int rc;
    while ((rc = channel_receive(w->c, &m, &err)) == 1) {
        uint64_t kind;
        size_t size;
        assert_int_equal(wire_peek(m, &kind, &size, &err), 0);
        assert_int_not_equal(kind, KIND_S_KEPT); /* no step is reported gone */
    }
    assert_int_equal(rc, 0);
    for (int i = 0; i < 2; i++)
        channel_close(&stray[i]);
    mem_free(&path);
}

static void the_newest_worker_replaces_the_last_one(void **state)
{
    struct testworld *w = *state;
    struct channel *first = w->c;
    struct error err = {0};
    struct span m;
    struct buf b = {0};
    char *path = mem_printf("%s/runner.sock", w->rig.paths.run);
    struct s_attach a = {.version = RUNNER_PROTOCOL, .slots = 1};
    assert_int_equal(channel_connect(path, &w->c, &err), 0);
    s_attach_encode(&a, &b);
    world_say(w, &b);
    assert_int_equal(world_hear_kept(w, KEPT_RUNS, NULL), 0);
    int rc;
    while ((rc = channel_receive(first, &m, &err)) >= 0) {
        struct pollfd p = {.fd = channel_fd(first), .events = POLLIN};
        assert_int_equal(rc ? 1 : poll(&p, 1, PATIENCE_MS), 1);
    }
    assert_int_equal(rc, -ECONNRESET);
    assert_int_equal(world_outcome(w, world_ask_script(w, "exit 0")).outcome.package,
                     PACKAGE_SUCCEEDED);
    channel_close(&first);
    mem_free(&path);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_step_at_a_keeper_is_known_to_the_next_runner_and_runs_once),
        in_world(a_step_that_waited_at_a_dead_keeper_can_be_requested_again),
        in_world(a_cancel_of_another_attempt_leaves_this_one_alone),
        in_world(a_step_past_its_deadline_is_timed_out_and_its_tree_killed),
        in_world(a_stopped_keeper_delays_nobody_and_its_spool_says_what_it_runs),
        in_world(a_step_at_a_stopped_keeper_is_known_and_runs_once),
        in_world(a_step_that_a_silent_keeper_turns_out_not_to_hold_is_reported),
        in_world(a_stray_connection_to_a_keeper_changes_nothing),
        in_world(the_newest_worker_replaces_the_last_one),
    };
    return cmocka_run_group_tests_name("keeper", tests, NULL, NULL);
}
