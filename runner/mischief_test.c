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
    };
    return cmocka_run_group_tests_name("mischief", tests, NULL, NULL);
}
