/* sandbox_test.c - children in a real sandbox: what the kernel does with it. Without a delegated
 * cgroup or without Landlock those tests are skipped; make check-vm has both. */
#include "common/testing.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/protect.h"
#include "runner/landlock.h"
#include "runner/owntmp.h"
#include "runner/sandbox.h"
#include "runner/spawn.h"

struct sandbox_world {
    struct runner_paths paths;
    struct sandbox *sandbox;
    struct rusage usage;
    bool leaves; /* what the step has started is not waited for */
};

static struct sandbox_world open_world(void **state, bool cgroup)
{
    struct sandbox_world w = {.paths = {.run = *state, .packages = *state}};
    const struct cgroup_place here = cgroup_here();
    struct error err = {0};
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    if (cgroup && cgroup_claim(&here, &w.paths.cgroup, &err) < 0) {
        print_message("%s\n", err.text);
        skip();
    }
    return w;
}

static void close_world(struct sandbox_world *w)
{
    sandbox_close(&w->sandbox);
    mem_free(&w->paths.cgroup);
}

/* Runs the script within this context; *ret_status as of wait4. */
static struct excess run(struct sandbox_world *w, void **state, const struct d_context *c,
                         const char *script, int *ret_status)
{
    char *argv[] = {mem_strdup("/bin/sh"), mem_strdup("-c"), mem_strdup(script), NULL};
    char *path = mem_strdup("PATH=/usr/bin:/bin"), *envp[] = {path, NULL};
    const struct command command = {.argv = argv, .envp = envp};
    const struct sandbox_step step = {.context = c, .work = *state, .memory = *state};
    struct error err = {0};
    pid_t pid;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC),
        folder = open(*state, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (!w->sandbox && sandbox_open(&w->paths, 0, &w->sandbox, &err) < 0)
        fail_msg("%s", err.text);
    if (sandbox_begin(w->sandbox, &step, &err) < 0)
        fail_msg("%s", err.text);
    struct command wrapped = {0};
    if (sandbox_has_tmp(w->sandbox))
        sandbox_wrap(w->sandbox, &command, &wrapped);
    const struct spawn s = {.command = wrapped.argv ? &wrapped : &command,
                            .folder = folder,
                            .null = null,
                            .out = 1,
                            .err = 2,
                            .sandbox = w->sandbox};
    if (spawn_child(&s, &pid, &err) < 0)
        fail_msg("%s", err.text);
    owntmp_free(&wrapped);
    assert_int_equal(wait4(pid, ret_status, 0, &w->usage), pid);
    /* as the keeper does: only then are the kernel's counts whole */
    while (!w->leaves && wait(NULL) > 0)
        ;
    for (size_t i = 0; i < 3; i++)
        mem_free(&argv[i]);
    mem_free(&path);
    close(null);
    close(folder);
    return sandbox_end(w->sandbox, *ret_status, &w->usage);
}

static void more_memory_than_allowed_ends_the_step_and_is_named(void **state)
{
    struct sandbox_world w = open_world(state, true);
    const struct d_context c = {.memory = 32 << 20}, none = {0};
    int status;
    struct excess e = run(&w, state, &c, "x=$(head -c 100000000 /dev/zero | tr '\\0' x)", &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_true(e.out_of_memory);
    assert_string_equal(e.text, "used more than its 32.0 MiB of memory (memory.max)");
    /* the slot goes on, and what one killed itself is no excess */
    e = run(&w, state, &c, "exit 0", &status);
    assert_int_equal(status, 0);
    assert_false(e.out_of_memory);
    e = run(&w, state, &none, "kill -9 $$", &status);
    assert_false(e.out_of_memory);
    close_world(&w);
}

static void more_processes_than_allowed_do_not_start_and_are_named(void **state)
{
    struct sandbox_world w = open_world(state, true);
    const struct d_context c = {.processes = 4};
    int status;
    const struct excess e =
        run(&w, state, &c, "sleep 1 & sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait", &status);
    assert_int_not_equal(status, 0);
    assert_string_equal(e.text, "wanted more than its 4 processes (pids.max)");
    close_world(&w);
}

static void what_is_left_behind_is_killed_at_once(void **state)
{
    struct sandbox_world w = open_world(state, true);
    const struct d_context c = {.cpu = 500};
    int status;
    w.leaves = true;
    /* the shell ends, and what it has started twice over goes on and ignores what it can */
    run(&w, state, &c, "trap '' TERM; (setsid sh -c 'while :; do :; done' &) & exit 0", &status);
    sandbox_kill(w.sandbox);
    while (wait(&status) > 0)
        assert_true(!WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL);
    close_world(&w);
}

/* Where this system gives its users no namespaces, that is what the survey must say. */
static bool has_tmp(struct sandbox_world *w)
{
    const struct runner_paths elsewhere = {.work = "/srv/work", .packages = "/srv/packages"};
    struct error err = {0};
    w->paths.private_tmp = owntmp_possible(&elsewhere, &err);
    if (!w->paths.private_tmp)
        print_message("%s\n", err.text);
    return w->paths.private_tmp;
}

static void a_step_has_a_tmp_of_its_own_within_its_other_walls(void **state)
{
    const uint64_t walls[] = {PROTECT_PRIVATE_TMP,
                              PROTECT_PRIVATE_TMP | PROTECT_LANDLOCK | PROTECT_SECCOMP};
    struct sandbox_world w = open_world(state, false);
    char other[] = "/var/tmp/lbt-XXXXXX", script[400];
    int status, fd = mkstemp(other);
    assert_true(fd >= 0);
    close(fd);
    if (!has_tmp(&w))
        skip();
    snprintf(script, sizeof script,
             "[ ! -e %s ] || exit 1\n"
             "echo own >/tmp/lbt-own && [ $(cat /var/tmp/lbt-own) = own ] || exit 2\n"
             "[ $(id -u) = %u ] && [ $(stat -c %%u /tmp/lbt-own) = %u ] || exit 3\n"
             "rm /tmp/lbt-own && echo >/tmp/lbt-left\n",
             other, geteuid(), geteuid());
    for (size_t i = 0; i < sizeof walls / sizeof *walls; i++) {
        const struct d_context c = {.on = walls[i]};
        run(&w, state, &c, script, &status);
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(status, 0);
        assert_int_equal(sandbox_off(w.sandbox) & PROTECT_PRIVATE_TMP, 0);
        assert_int_equal(access("/tmp/lbt-left", F_OK), -1);
        char *left = mem_printf("%s/.tmp/lbt-left", (char *)*state);
        assert_int_equal(unlink(left), 0);
        mem_free(&left);
    }
    unlink(other);
    close_world(&w);
}

static void a_tmp_of_its_own_needs_a_home_elsewhere(void **state)
{
    const struct runner_paths below = {.work = "/tmp/x/var/work"}, beside = {.work = "/tmpx/work"};
    struct error err = {0};
    (void)state;
    assert_false(owntmp_possible(&below, &err));
    assert_string_equal(err.text, "the server's own folder /tmp/x/var/work is below it");
    if (!owntmp_possible(&beside, &err))
        assert_null(strstr(err.text, "is below it"));
}

static void a_file_that_is_not_on_the_list_cannot_be_reached(void **state)
{
    struct sandbox_world w = open_world(state, false);
    const struct d_context c = {.on = PROTECT_LANDLOCK | PROTECT_SECCOMP};
    char other[] = "/var/tmp/lbt-XXXXXX", script[300];
    int status, fd = mkstemp(other);
    if (landlock_version(&landlock_kernel) < 1) {
        print_message("this kernel has no Landlock\n");
        skip();
    }
    assert_true(fd >= 0);
    close(fd);
    snprintf(script, sizeof script,
             "echo own >own && [ $(cat own) = own ] && cat /etc/passwd >/dev/null || exit 1\n"
             "cat %s 2>/dev/null && exit 2\n"
             "echo x 2>/dev/null >%s && exit 3\n"
             "echo x 2>/dev/null >/etc/longboat-was-here && exit 4\n"
             "exit 0",
             other, other);
    run(&w, state, &c, script, &status);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(sandbox_off(w.sandbox) & (PROTECT_LANDLOCK | PROTECT_SECCOMP), 0);
    unlink(other);
    close_world(&w);
}

static void without_a_cgroup_nothing_is_said_of_memory(void **state)
{
    struct sandbox_world w = open_world(state, false);
    const struct d_context c = {.memory = 32 << 20};
    int status;
    const struct excess e = run(&w, state, &c, "kill -9 $$", &status);
    assert_true(WIFSIGNALED(status));
    assert_false(e.out_of_memory);
    assert_string_equal(e.text, "");
    assert_true(sandbox_off(w.sandbox) & PROTECT_CGROUP);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(more_memory_than_allowed_ends_the_step_and_is_named),
        in_folder(more_processes_than_allowed_do_not_start_and_are_named),
        in_folder(what_is_left_behind_is_killed_at_once),
        in_folder(a_step_has_a_tmp_of_its_own_within_its_other_walls),
        in_folder(a_tmp_of_its_own_needs_a_home_elsewhere),
        in_folder(a_file_that_is_not_on_the_list_cannot_be_reached),
        in_folder(without_a_cgroup_nothing_is_said_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
