/* lbbroker_test.c - the program itself. Needs bin/lbbroker beside the tests' folder, which make
 * builds first. */
#include "broker/testing.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *program(void)
{
    char self[1000];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = 0;
    char *p = strstr(self, "/test/broker/");
    assert_non_null(p);
    *p = 0;
    char *path = mem_printf("%s/bin/lbbroker", self);
    assert_int_equal(access(path, X_OK), 0);
    return path;
}

static void files_are_readable_only_by_their_owner(void **state)
{
    struct btest *w = *state;
    struct stat st;
    char *path = program(), *lock = mem_printf("%s/var/broker/broker.db.lock", w->home);
    pid_t pid = fork();
    if (pid == 0) {
        umask(0);
        setenv("LONGBOAT_HOME", w->home, 1);
        execl(path, "lbbroker", "--cluster", "test", "--listen", "tcp://127.0.0.1:*", "--log-level",
              "error", NULL);
        _exit(9);
    }
    for (int64_t until = clock_boot_ms() + BTEST_WAIT_MS;
         access(lock, F_OK) < 0 && clock_boot_ms() < until;)
        poll(NULL, 0, 5);
    assert_int_equal(stat(lock, &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    if (geteuid() != 0) { /* if the process were dumpable, /proc would belong to its user */
        char *proc = mem_printf("/proc/%d/environ", (int)pid);
        assert_int_equal(stat(proc, &st), 0);
        assert_int_equal(st.st_uid, 0);
        mem_free(&proc);
    }
    int status;
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    mem_free(&lock);
    mem_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(files_are_readable_only_by_their_owner, btest_setup,
                                        btest_teardown),
    };
    return cmocka_run_group_tests_name("lbbroker", tests, NULL, NULL);
}
