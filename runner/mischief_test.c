/* mischief_test.c - what children do to the folders, files and pipes that they share with their keepers. */
#include "runner/testworld.h"

static void succeeds(struct world *w, const char *script)
{
    struct wanted want = outcome_of(w, ask_script(w, script));
    if (want.outcome.package != PACKAGE_SUCCEEDED)
        fail_msg("'%s': " SPAN_FMT, script, SPAN_ARG(want.outcome.message));
}

static void fails(struct world *w, const char *script, const char *part)
{
    struct wanted want = outcome_of(w, ask_script(w, script));
    char *message = span_dup_str(want.outcome.message);
    assert_int_equal(want.outcome.package, PACKAGE_FAILED);
    assert_contains(message, part);
    mem_free(&message);
}

static void a_child_that_removes_its_folders_spoils_no_later_step(void **state)
{
    struct world *w = *state;
    static const char *const mischief[] = {
        "rm -rf \"$LB_WORK\"",
        "rm -rf \"$(dirname \"$LB_OUTPUTS\")\"",
        "rm -rf \"$(dirname \"$(dirname \"$LB_OUTPUTS\")\")\"",
        "d=$(dirname \"$LB_OUTPUTS\"); rm -rf \"$d\"; ln -s /tmp \"$d\"",
        "d=$(dirname \"$LB_OUTPUTS\"); chmod 0 \"$d\" \"$LB_WORK\"",
        "mv \"$(dirname \"$LB_OUTPUTS\")\" \"$(dirname \"$LB_OUTPUTS\")-moved\"",
    };
    for (size_t i = 0; i < sizeof mischief / sizeof *mischief; i++) {
        outcome_of(w, ask_script(w, mischief[i]));
        succeeds(
            w,
            "test -s \"$LB_PARAMETERS\" && test ! -L \"$(dirname \"$LB_OUTPUTS\")\" && echo a=1 > \"$LB_OUTPUTS\"");
    }
}

static void a_verdict_with_a_long_message_counts(void **state)
{
    struct world *w = *state;
    fails(w, "{ echo 'failed no rows of yesterday'; head -c 100000 /dev/zero | tr '\\0' x; } > \"$LB_RESULT\"",
          "no rows of yesterday");
}

static void a_verdict_that_cannot_be_read_spoils_a_success(void **state)
{
    struct world *w = *state;
    fails(w, "rm \"$LB_RESULT\"; mkdir \"$LB_RESULT\"", "$LB_RESULT");
    fails(w, "rm \"$LB_RESULT\"; mkfifo \"$LB_RESULT\"", "$LB_RESULT");
    fails(w, "echo failed > there; ln -sf \"$PWD/there\" \"$LB_RESULT\"", "$LB_RESULT");
    fails(w, "rm \"$LB_RESULT\"; mkdir \"$LB_RESULT\"; echo no such table >&2; exit 4", "no such table");
    succeeds(w, "rm \"$LB_RESULT\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_child_that_removes_its_folders_spoils_no_later_step),
        in_world(a_verdict_with_a_long_message_counts),
        in_world(a_verdict_that_cannot_be_read_spoils_a_success),
    };
    return cmocka_run_group_tests_name("mischief", tests, NULL, NULL);
}
