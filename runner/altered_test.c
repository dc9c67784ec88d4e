/* altered_test.c - a package that was altered after it was installed does not run, whoever altered
 * it and whenever. */
#include "runner/testworld.h"

#define MAIN "echo as installed > \"$LB_OUTPUTS.ran\"; echo done=1 > \"$LB_OUTPUTS\"\n"

static struct testworld_wanted run_again(struct testworld *w)
{
    static unsigned n;
    struct rig_call c = rig_call();
    char key[20];
    snprintf(key, sizeof key, "again-%u", n++);
    c.key = key;
    return world_outcome(w, world_ask(w, &c));
}

static void refuses(struct testworld *w, const char *part)
{
    struct testworld_wanted want = run_again(w);
    char *message = span_dup_str(want.outcome.message);
    assert_int_equal(want.outcome.package, PACKAGE_NOT_EXECUTED);
    assert_int_equal(want.outcome.code, REFUSAL_BAD_PACKAGE);
    assert_contains(message, part);
    mem_free(&message);
}

static void install(struct testworld *w)
{
    static const struct rig_parameter done = {.name = "done", .type = "int"};
    rig_package(&w->rig, "extract", "shell", MAIN, NULL, 0, &done, 1);
    rig_fingerprint(&w->rig);
}

static char *package_file(struct testworld *w, const char *name)
{
    char *folder = runner_paths_of_hash(w->rig.paths.packages, &w->rig.package);
    char *path = mem_printf("%s/%s", folder, name);
    mem_free(&folder);
    return path;
}

static void replace(struct testworld *w, const char *name, struct span bytes)
{
    char *path = package_file(w, name);
    assert_int_equal(file_write_atomic(path, bytes, 0555, NULL), 0);
    mem_free(&path);
}

static void an_entry_that_was_altered_does_not_run_until_it_is_as_before(void **state)
{
    struct testworld *w = *state;
    install(w);
    assert_int_equal(run_again(w).outcome.package, PACKAGE_SUCCEEDED);
    replace(w, "files/bin/entry", span_str("echo evil\n"));
    refuses(w, "files/bin/entry");
    replace(w, "files/bin/entry", span_str(MAIN));
    assert_int_equal(run_again(w).outcome.package, PACKAGE_SUCCEEDED);
    replace(w, "files/bin/sneaked-in", span_str("more"));
    refuses(w, "files/bin");
}

static void who_alters_the_fingerprint_too_gains_nothing(void **state)
{
    struct testworld *w = *state;
    install(w);
    assert_int_equal(run_again(w).outcome.package, PACKAGE_SUCCEEDED);
    replace(w, "files/bin/entry", span_str("echo evil\n"));
    rig_fingerprint(&w->rig);
    refuses(w, "'files/bin/entry' of the package");
    world_stop_runner(w, SIGKILL); /* what this keeper knows it knows still */
    world_start_runner(w, 2);
    world_hear_kept(w, KEPT_RUNS, NULL);
}

static void what_describes_the_package_cannot_be_altered_either(void **state)
{
    struct testworld *w = *state;
    struct buf other = {0};
    struct d_runnable d;
    install(w);
    assert_int_equal(run_again(w).outcome.package, PACKAGE_SUCCEEDED);
    assert_int_equal(d_runnable_decode(buf_span(&w->rig.runnable), &d, NULL), 0);
    d.timeout_ms = 1;
    d_runnable_encode(&d, &other);
    replace(w, "runnable", buf_span(&other));
    refuses(w, "'runnable' of package extract");
    buf_free(&other);
}

static void a_step_that_waits_does_not_run_what_was_altered_meanwhile(void **state)
{
    struct testworld *w = *state;
    struct rig_call c = rig_call();
    char *path, *script;
    install(w);
    path = package_file(w, "files/bin/entry");
    const struct hash good = w->rig.package;
    struct buf job = {0};
    buf_add(&job, w->rig.job.p, w->rig.job.n);
    script = mem_printf("echo $$ > %s/pid-$LB_JOB-$$; while ! test -e %s/go; do sleep 0.01; done; "
                        "chmod u+w %s; echo evil > %s",
                        w->rig.home, w->rig.home, path, path);
    struct id evil[2] = {world_ask_script(w, script), world_ask_script(w, script)}; /* all slots */
    w->rig.package = good;
    buf_clear(&w->rig.job);
    buf_add(&w->rig.job, job.p, job.n);
    c.key = "waits";
    struct id run = world_ask(w, &c);
    rig_path_write(&w->rig, "go", span_str(""), 0600);
    world_outcome(w, evil[0]);
    world_outcome(w, evil[1]);
    struct testworld_wanted want = world_outcome(w, run);
    assert_int_equal(want.outcome.code, REFUSAL_BAD_PACKAGE);
    buf_free(&job);
    mem_free(&script);
    mem_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(an_entry_that_was_altered_does_not_run_until_it_is_as_before),
        in_world(who_alters_the_fingerprint_too_gains_nothing),
        in_world(what_describes_the_package_cannot_be_altered_either),
        in_world(a_step_that_waits_does_not_run_what_was_altered_meanwhile),
    };
    return cmocka_run_group_tests_name("altered", tests, NULL, NULL);
}
