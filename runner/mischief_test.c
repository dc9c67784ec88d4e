/* mischief_test.c - what children do to the folders, files and pipes that they share with their keepers. */
#include "runner/testworld.h"

static void succeeds(struct world *w, const char *script)
{
    struct wanted want = outcome_of(w, ask_script(w, script));
    if (want.outcome.package != PACKAGE_SUCCEEDED)
        fail_msg("'%s': " SPAN_FMT, script, SPAN_ARG(want.outcome.message));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_child_that_removes_its_folders_spoils_no_later_step),
    };
    return cmocka_run_group_tests_name("mischief", tests, NULL, NULL);
}
