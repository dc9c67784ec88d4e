/* What a child inherits of our signals: nothing. */
#include "common/testing.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/spawn.h"

/* Exit status of a child that runs this, and the beginning of what it prints. */
static int status_of(const char *script, char out[4096])
{
    char *argv[] = {"/bin/sh", "-c", (char *)script, NULL}, *envp[] = {NULL};
    struct command c = {.argv = argv, .n_argv = 3, .envp = envp};
    struct error err = {0};
    pid_t pid;
    int status, ends[2], null = open("/dev/null", O_RDWR | O_CLOEXEC),
                         folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const struct spawn s = {
        .command = &c, .folder = folder, .null = null, .out = ends[1], .err = null};
    if (spawn_child(&s, &pid, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(waitpid(pid, &status, 0), pid); /* what it prints fits into the pipe */
    close(ends[1]);
    ssize_t n = read(ends[0], out, 4095);
    out[n > 0 ? n : 0] = '\0';
    close(ends[0]);
    close(null);
    close(folder);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Which of the 31 signals of the first kind a line of /proc/PID/status names. Those that the C
 * library uses itself, 32 and 33, are ignored in what posix_spawn starts, as by make. */
static unsigned long signals_in(const char *status, const char *line)
{
    const char *at = strstr(status, line);
    assert_non_null(at);
    return strtoul(at + strlen(line), NULL, 16) & 0x7fffffff;
}

static void on_signal(int sig)
{
    (void)sig;
}

/* SIGPIPE is what the loop ignores, SIGHUP what nohup does; the first and the last there are. */
static void no_signal_stays_ignored_or_blocked(void **state)
{
    (void)state;
    const struct sigaction ignored = {.sa_handler = SIG_IGN}, handled = {.sa_handler = on_signal};
    sigset_t blocked;
    char out[4096];
    assert_int_equal(sigaction(SIGHUP, &ignored, NULL), 0);
    assert_int_equal(sigaction(SIGPIPE, &ignored, NULL), 0);
    assert_int_equal(sigaction(SIGSYS, &ignored, NULL), 0);
    assert_int_equal(sigaction(SIGUSR1, &handled, NULL), 0);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
    for (int i = 0; i < 2; i++) { /* it knows them by now, the second time */
        assert_int_equal(status_of("exec cat /proc/self/status", out), 0);
        assert_int_equal(signals_in(out, "\nSigBlk:\t"), 0);
        assert_int_equal(signals_in(out, "\nSigIgn:\t"), 0);
    }
    assert_int_equal(status_of("kill -PIPE $$; exit 4", out), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_signal_stays_ignored_or_blocked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
