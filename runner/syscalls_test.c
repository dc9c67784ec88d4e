/* syscalls_test.c - what a process may still call once the list is in force. */
#include "common/testing.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/syscalls.h"

/* In a process of its own, with the list in force. Its exit code: 0, or what `act` returns. */
static int under_the_list(int (*act)(void))
{
    struct sock_fprog f;
    struct error err = {0};
    int status;
    if (syscalls_compile(&f, &err) < 0)
        fail_msg("%s", err.text);
    pid_t pid = fork();
    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscalls_refuse(&f) < 0)
            _exit(100);
        _exit(act());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    syscalls_free(&f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int refused(long rc)
{
    return rc == -1 && errno == EPERM ? 0 : 1;
}

static int reach_into_others(void)
{
    /* as root and as the same user all of these would be allowed, or fail in another way */
    return refused(ptrace(PTRACE_TRACEME, 0, NULL, NULL)) |
           refused(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0)) << 1 |
           refused(syscall(SYS_keyctl, 0, -3, 0)) << 2 |
           refused(syscall(SYS_io_uring_setup, 0, NULL)) << 3 |
           refused(unshare(CLONE_NEWUSER)) << 4 | refused(syscall(SYS_bpf, 99, NULL, 0)) << 5;
}

static void *nothing(void *arg)
{
    return arg;
}

static int do_ordinary_work(void)
{
    pthread_t t;
    if (unshare(CLONE_FS) < 0)
        return 1;
    if (pthread_create(&t, NULL, nothing, NULL) != 0 || pthread_join(t, NULL) != 0)
        return 2;
    return system("exit 7") == 7 << 8 ? 0 : 3;
}

static void calls_that_reach_into_others_fail_and_nothing_is_killed(void **state)
{
    (void)state;
    assert_int_equal(under_the_list(reach_into_others), 0);
}

static void threads_and_processes_start_as_ever(void **state)
{
    (void)state;
    assert_int_equal(under_the_list(do_ordinary_work), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_that_reach_into_others_fail_and_nothing_is_killed),
        cmocka_unit_test(threads_and_processes_start_as_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
