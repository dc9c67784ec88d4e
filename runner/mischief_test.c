/* mischief_test.c - what children do to the folders, files and pipes that they share with their
 * keepers. */
#include "runner/testworld.h"

#include <sys/resource.h>

static void succeeds(struct testworld *w, const char *script)
{
    struct testworld_wanted want = world_outcome(w, world_ask_script(w, script));
    if (want.outcome.package != PACKAGE_SUCCEEDED)
        fail_msg("'%s': " SPAN_FMT, script, SPAN_ARG(want.outcome.message));
}

static void fails(struct testworld *w, const char *script, const char *part)
{
    struct testworld_wanted want = world_outcome(w, world_ask_script(w, script));
    char *message = span_dup_str(want.outcome.message);
    assert_int_equal(want.outcome.package, PACKAGE_FAILED);
    assert_contains(message, part);
    mem_free(&message);
}

static void a_child_that_removes_its_folders_harms_no_later_step(void **state)
{
    struct testworld *w = *state;
    static const char *const mischief[] = {
        "rm -rf \"$LB_WORK\"",
        "rm -rf \"$(dirname \"$LB_OUTPUTS\")\"",
        "rm -rf \"$(dirname \"$(dirname \"$LB_OUTPUTS\")\")\"",
        "d=$(dirname \"$LB_OUTPUTS\"); rm -rf \"$d\"; ln -s /tmp \"$d\"",
        "d=$(dirname \"$LB_OUTPUTS\"); chmod 0 \"$d\" \"$LB_WORK\"",
        "mv \"$(dirname \"$LB_OUTPUTS\")\" \"$(dirname \"$LB_OUTPUTS\")-moved\"",
    };
    for (size_t i = 0; i < sizeof mischief / sizeof *mischief; i++) {
        world_outcome(w, world_ask_script(w, mischief[i]));
        succeeds(w,
                 "test -s \"$LB_PARAMETERS\" && test ! -L \"$(dirname \"$LB_OUTPUTS\")\" && echo "
                 "a=1 > \"$LB_OUTPUTS\"");
    }
}

static void a_verdict_with_a_long_message_counts(void **state)
{
    struct testworld *w = *state;
    fails(w,
          "{ echo 'failed no rows of yesterday'; head -c 100000 /dev/zero | tr '\\0' x; } > "
          "\"$LB_RESULT\"",
          "no rows of yesterday");
}

static void an_unreadable_verdict_turns_a_success_into_a_failure(void **state)
{
    struct testworld *w = *state;
    fails(w, "rm \"$LB_RESULT\"; mkdir \"$LB_RESULT\"", "$LB_RESULT");
    fails(w, "rm \"$LB_RESULT\"; mkfifo \"$LB_RESULT\"", "$LB_RESULT");
    fails(w, "echo failed > there; ln -sf \"$PWD/there\" \"$LB_RESULT\"", "$LB_RESULT");
    fails(w, "rm \"$LB_RESULT\"; mkdir \"$LB_RESULT\"; echo no such table >&2; exit 4",
          "no such table");
    succeeds(w, "rm \"$LB_RESULT\"");
}

/* As a worker: asks again for what a keeper has let go, until no slot can be used. Returns how many
 * the runner has said are out of service. */
static unsigned until_nowhere(struct testworld *w, const struct rig_call *c, struct id run)
{
    struct s_trouble t = {.slots = 0};
    struct s_kept k = {.state = KEPT_NOTHING};
    struct span m;
    uint64_t kind;
    for (;;) {
        kind = world_hear(w, &m);
        if (kind == KIND_S_TROUBLE) {
            assert_int_equal(s_trouble_decode(m, &t, NULL), 0);
            if (t.slots && !memmem(t.text.p, t.text.n, "/work", 5))
                fail_msg(SPAN_FMT, SPAN_ARG(t.text));
        }
        if (kind != KIND_S_KEPT)
            continue;
        assert_int_equal(s_kept_decode(m, &k, NULL), 0);
        assert_true(id_eq(k.run, run));
        if (k.state == KEPT_NOWHERE)
            return (unsigned)t.slots;
        if (k.state == KEPT_GONE)
            world_ask_as(w, c, run, 0);
    }
}

static void until_no_trouble(struct testworld *w)
{
    struct s_trouble t = {.slots = UINT64_MAX};
    struct span m;
    while (t.slots)
        if (world_hear(w, &m) == KIND_S_TROUBLE)
            assert_int_equal(s_trouble_decode(m, &t, NULL), 0);
}

/* Where the folder of folders is none, no slot gets one. */
static void a_slot_without_a_folder_is_out_of_service_until_it_gets_one(void **state)
{
    struct testworld *w = *state;
    struct rig_call c = rig_call();
    struct error err = {0};
    rig_package(&w->rig, "extract", "shell", "exit 0", NULL, 0, NULL, 0);
    assert_int_equal(file_remove_tree(w->rig.paths.work, &err), 0);
    assert_int_equal(file_write_atomic(w->rig.paths.work, span_str("x"), 0600, &err), 0);
    struct id run = world_ask(w, &c);
    assert_int_equal(until_nowhere(w, &c, run), 2);
    assert_int_equal(unlink(w->rig.paths.work), 0);
    assert_int_equal(mkdir(w->rig.paths.work, 0700), 0);
    until_no_trouble(w); /* they are tried again, also without work */
    world_ask_as(w, &c, run, 0);
    struct testworld_wanted want = world_outcome(w, run);
    assert_int_equal(want.outcome.package, PACKAGE_SUCCEEDED);
}

static bool is_launched_by(struct testworld *w, uint64_t kind, struct span entry, void *arg)
{
    (void)w;
    struct s_launched l;
    if (kind == KIND_S_LAUNCHED && s_launched_decode(entry, &l, NULL) == 0)
        *(pid_t *)arg = (pid_t)l.pid;
    return kind == KIND_S_LAUNCHED;
}

static bool count_progress(struct testworld *w, uint64_t kind, struct span entry, void *arg)
{
    (void)w;
    (void)entry;
    *(unsigned *)arg += kind == KIND_S_PROGRESS;
    return false;
}

/* A file size limit acts as a full disk for this keeper alone. */
static void progress_does_not_pile_up_while_the_disk_is_full(void **state)
{
    struct testworld *w = *state;
    struct rlimit was, full;
    pid_t keeper;
    unsigned n = 0;
    char *script = mem_printf(
        "i=0; while test $i -lt 10; do i=$((i+1)); echo $i > \"$LB_PROGRESS\"; sleep 0.25; done; "
        "echo $$ > %s/pid; exec sleep 1000",
        w->rig.home);
    struct id run = world_ask_script(w, script);
    world_wait_for(w, is_launched_by, &keeper, "a start");
    assert_int_equal(prlimit(keeper, RLIMIT_FSIZE, NULL, &was), 0);
    full = was;
    full.rlim_cur = 8;
    assert_int_equal(prlimit(keeper, RLIMIT_FSIZE, &full, NULL), 0);
    world_pid_in(w, "pid");
    assert_int_equal(prlimit(keeper, RLIMIT_FSIZE, &was, NULL), 0);
    world_halt(w, run, true, 0, false);
    world_outcome(w, run);
    world_scan(w, count_progress, &n);
    assert_in_range(n, 0, 4); /* before and after the disk was full */
    mem_free(&script);
}

int main(void)
{
    signal(SIGXFSZ, SIG_IGN); /* inherited by runners and keepers */
    const struct CMUnitTest tests[] = {
        in_world(a_child_that_removes_its_folders_harms_no_later_step),
        in_world(a_verdict_with_a_long_message_counts),
        in_world(an_unreadable_verdict_turns_a_success_into_a_failure),
        in_world(progress_does_not_pile_up_while_the_disk_is_full),
        in_world(a_slot_without_a_folder_is_out_of_service_until_it_gets_one),
    };
    return cmocka_run_group_tests_name("mischief", tests, NULL, NULL);
}
