/* confine_test.c - what a confined process can and cannot do. Each test confines a process of
 * its own. */
#include "common/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <linux/landlock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/unpack/confine.h"

static bool kernel_has_landlock(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 1;
}

/* Runs `act` confined to reading <folder>/in and writing <folder>/out; returns its result. */
static int confined(void **state, int (*act)(void **state))
{
    assert_int_equal(mkdir(testing_path(state, "out"), 0700), 0);
    assert_int_equal(file_write_atomic(testing_path(state, "in"), span_str("in"), 0600, NULL), 0);
    assert_int_equal(file_write_atomic(testing_path(state, "other"), span_str("other"), 0600, NULL),
                     0);
    pid_t pid = fork();
    if (pid == 0) {
        const char *const files[] = {testing_path(state, "in"), testing_path(state, "none"), NULL};
        struct error err = {0};
        if (confine(files, testing_path(state, "out"), &err) < 0) {
            fprintf(stderr, "%s\n", err.text);
            _exit(99);
        }
        _exit(act(state));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int do_its_work(void **state)
{
    char byte;
    int in = open(testing_path(state, "in"), O_RDONLY),
        out = open(testing_path(state, "out/f"), O_WRONLY | O_CREAT | O_EXCL, 0600);
    return in < 0 || out < 0 || read(in, &byte, 1) != 1 || write(out, &byte, 1) != 1 ||
           fchmod(out, 0444) < 0 || fsync(out) < 0 ||
           mkdir(testing_path(state, "out/d"), 0700) < 0 ||
           symlink("f", testing_path(state, "out/l")) < 0 ||
           rename(testing_path(state, "out/f"), testing_path(state, "out/g")) < 0 ||
           unlink(testing_path(state, "out/g")) < 0 || rmdir(testing_path(state, "out/d")) < 0;
}

static void a_confined_process_can_do_its_work(void **state)
{
    assert_int_equal(confined(state, do_its_work), 0);
}

static bool fails(long rc, int why)
{
    return rc < 0 && errno == why;
}

static int reach_for_files(void **state)
{
    if (!fails(open(testing_path(state, "other"), O_RDONLY), EACCES))
        return 1;
    if (!fails(open(testing_path(state, "in"), O_WRONLY), EACCES))
        return 2;
    if (!fails(open(testing_path(state, "new"), O_WRONLY | O_CREAT, 0600), EACCES))
        return 3;
    if (!fails(open("/etc/passwd", O_RDONLY), EACCES))
        return 4;
    if (!fails(unlink(testing_path(state, "other")), EACCES))
        return 5;
    return fails(rename(testing_path(state, "other"), testing_path(state, "out/x")), EACCES) ? 0
                                                                                             : 6;
}

static void a_confined_process_reaches_no_other_files(void **state)
{
    if (!kernel_has_landlock())
        skip();
    assert_int_equal(confined(state, reach_for_files), 0);
}

static int reach_for_the_world(void **state)
{
    static char *const argv[] = {"/bin/true", NULL}, *const envp[] = {NULL};
    if (!fails(socket(AF_INET, SOCK_STREAM, 0), EPERM) ||
        !fails(socket(AF_UNIX, SOCK_STREAM, 0), EPERM))
        return 1;
    if (!fails(fork(), EPERM) || !fails(execve("/bin/true", argv, envp), EPERM))
        return 2;
    if (!fails(kill(getppid(), 0), EPERM))
        return 3;
    if (!fails(mknod(testing_path(state, "out/fifo"), S_IFIFO | 0600, 0), EPERM))
        return 4;
    if (!fails(link(testing_path(state, "in"), testing_path(state, "out/hard")), EPERM))
        return 5;
    if (!fails(chown(testing_path(state, "out"), 1, 1), EPERM))
        return 6;
    return fails(syscall(SYS_unshare, 0), EPERM) ? 0 : 7;
}

static void a_confined_process_reaches_no_network_process_or_privilege(void **state)
{
    assert_int_equal(confined(state, reach_for_the_world), 0);
}

static int use_what_was_open(void **state)
{
    (void)state;
    return fails(fcntl(7, F_GETFD), EBADF) ? 0 : 1;
}

static void a_confined_process_holds_no_descriptor_of_its_parent(void **state)
{
    assert_int_equal(dup2(2, 7), 7);
    int rc = confined(state, use_what_was_open);
    close(7);
    assert_int_equal(rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_confined_process_can_do_its_work),
        in_folder(a_confined_process_reaches_no_other_files),
        in_folder(a_confined_process_reaches_no_network_process_or_privilege),
        in_folder(a_confined_process_holds_no_descriptor_of_its_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
