/* tree_test.c - every descendant is found and ended, and no other process. */
#include "common/testing.h"

#include <signal.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/tree.h"

static _Noreturn void sleep_for_ever(void)
{
    for (;;)
        pause();
}

/* Reports over the pipe that it is there. */
static void say_here(int fd)
{
    pid_t self = getpid();
    if (write(fd, &self, sizeof self) != sizeof self)
        _exit(9);
}

/* Forks one process of each kind that hides; each reports its pid. */
static void start_hiders(int fd)
{
    if (fork() == 0) { /* ends, so that its child becomes an orphan in its own session */
        if (fork() == 0) {
            setsid();
            if (fork() == 0) {
                say_here(fd);
                sleep_for_ever();
            }
            _exit(0);
        }
        _exit(0);
    }
    if (fork() == 0) {
        signal(SIGTERM, SIG_IGN);
        say_here(fd);
        if (fork() == 0) {
            say_here(fd);
            sleep_for_ever();
        }
        sleep_for_ever();
    }
    if (fork() == 0) {
        say_here(fd);
        raise(SIGSTOP);
        sleep_for_ever();
    }
    if (fork() == 0) {
        say_here(fd);
        sleep_for_ever();
    }
}

static bool reap(void)
{
    bool any;
    int status;
    struct rusage usage;
    return tree_reap(0, &any, &status, &usage);
}

static void reap_until_none(int sig)
{
    for (int i = 0; i < 2000 && reap(); i++) {
        if (sig)
            tree_signal(sig, 0);
        poll(NULL, 0, 5);
    }
    assert_false(reap());
}

static void hidden_descendants_are_found_and_killed(void **state)
{
    (void)state;
    struct error err = {0};
    int fds[2];
    pid_t pids[5];
    assert_int_equal(tree_own(&err), 0);
    assert_int_equal(pipe(fds), 0);
    start_hiders(fds[1]);
    for (int i = 0; i < 5; i++)
        assert_int_equal(read(fds[0], &pids[i], sizeof pids[i]), (int)sizeof pids[i]);
    assert_in_range(tree_signal(0, 0), 5, 8);
    assert_true(tree_signal(SIGTERM, 0) >= 5);
    for (int i = 0; i < 400 && tree_signal(0, 0) > 2; i++) {
        /* those that ignore TERM remain: parent and child */
        reap();
        poll(NULL, 0, 5);
    }
    assert_int_equal(tree_signal(0, 0), 2);
    reap_until_none(SIGKILL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(kill(pids[i], 0), -1);
    close(fds[0]);
    close(fds[1]);
}

static void a_spared_process_and_its_descendants_are_left_alone(void **state)
{
    (void)state;
    int fds[2];
    pid_t spared, below, other;
    assert_int_equal(pipe(fds), 0);
    spared = fork();
    if (spared == 0) {
        if (fork() == 0) {
            say_here(fds[1]);
            sleep_for_ever();
        }
        sleep_for_ever();
    }
    assert_int_equal(read(fds[0], &below, sizeof below), (int)sizeof below);
    other = fork();
    if (other == 0)
        sleep_for_ever();
    assert_int_equal(tree_signal(SIGKILL, spared), 1);
    assert_int_equal(waitpid(other, NULL, 0), other);
    assert_int_equal(kill(below, 0), 0);
    reap_until_none(SIGKILL);
    close(fds[0]);
    close(fds[1]);
}

static void the_end_and_usage_of_the_main_child_are_reported(void **state)
{
    (void)state;
    bool is_main = false;
    int status = 0;
    struct rusage usage = {0};
    pid_t main_child = fork();
    if (main_child == 0)
        _exit(7);
    if (fork() == 0)
        _exit(8);
    for (int i = 0; i < 2000 && tree_reap(main_child, &is_main, &status, &usage); i++)
        poll(NULL, 0, 5);
    assert_true(is_main);
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void an_endless_chain_of_forks_is_killed(void **state)
{
    (void)state;
    int fds[2];
    pid_t pid;
    assert_int_equal(pipe(fds), 0);
    if (fork() == 0) {
        say_here(fds[1]);
        /* each generation ends and leaves the next one, faster than a walk can reach it */
        for (int i = 0; i < 3000; i++)
            if (fork() != 0)
                _exit(0);
        sleep_for_ever();
    }
    assert_int_equal(read(fds[0], &pid, sizeof pid), (int)sizeof pid);
    reap_until_none(SIGKILL);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hidden_descendants_are_found_and_killed),
        cmocka_unit_test(a_spared_process_and_its_descendants_are_left_alone),
        cmocka_unit_test(the_end_and_usage_of_the_main_child_are_reported),
        cmocka_unit_test(an_endless_chain_of_forks_is_killed),
    };
    return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
