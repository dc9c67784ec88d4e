/* lbrunner_test.c - the program: its libraries, its usage, and that only one runs. Needs
 * bin/lbrunner beside the tests' folder; make builds it first. */
#include "runner/testrig.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static char *program(void)
{
    char self[1000];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = 0;
    char *p = strstr(self, "/test/runner/");
    assert_non_null(p);
    *p = 0;
    char *path = mem_printf("%s/bin/lbrunner", self);
    assert_int_equal(access(path, X_OK), 0);
    return path;
}

static int run(const char *format, const char *path, char *out, size_t size)
{
    char *command = mem_printf(format, path);
    FILE *f = popen(command, "r");
    assert_non_null(f);
    size_t n = fread(out, 1, size - 1, f);
    out[n] = 0;
    mem_free(&command);
    return WEXITSTATUS(pclose(f));
}

static void it_links_only_libc_libsodium_and_libseccomp(void **state)
{
    (void)state;
    static const char *const known[] = {"linux-vdso",    "libsodium.so", "libc.so",
                                        "libseccomp.so", "ld-linux",     NULL};
    char *path = program(), text[4000], *rest = NULL;
    int rc = run("ldd '%s'", path, text, sizeof text);
    mem_free(&path);
    if (rc != 0)
        skip();
    if (strstr(text, "libasan") || strstr(text, "libubsan") || strstr(text, "libtsan"))
        skip(); /* sanitizers bring libraries of their own */
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        bool good = false;
        for (int i = 0; known[i]; i++)
            good |= strstr(line, known[i]) != NULL;
        if (!good)
            fail_msg("lbrunner is linked with %s", line);
    }
}

static void help_shows_the_usage_and_bad_arguments_are_refused(void **state)
{
    (void)state;
    char *path = program(), text[4000];
    assert_int_equal(run("'%s' --help", path, text, sizeof text), 0);
    assert_contains(text, "usage: lbrunner");
    assert_int_equal(run("'%s' --nonsense 2>&1", path, text, sizeof text), 2);
    assert_int_equal(run("'%s' please 2>&1", path, text, sizeof text), 2);
    assert_contains(text, "unexpected argument 'please'");
    assert_int_equal(run("'%s' --log-level loud 2>&1", path, text, sizeof text), 2);
    mem_free(&path);
}

static void two_runners_cannot_share_a_folder(void **state)
{
    char *path = program(), text[4000];
    const char *sock = testing_path(state, "run/runner.sock");
    setenv("LONGBOAT_HOME", *state, 1);
    pid_t first = fork();
    if (first == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* so that it does not outlive a failing test */
        unsetenv("LONGBOAT_HOME");
        execl(path, "lbrunner", "--home", *state, "--log-level", "error", "--worker-user", "7001",
              "--unpack-user", "7002", NULL);
        _exit(9);
    }
    for (int i = 0; i < 2000 && access(sock, F_OK) < 0; i++)
        poll(NULL, 0, 5);
    assert_int_equal(
        run("'%s' --worker-user 7001 --unpack-user 7002 2>&1", path, text, sizeof text), 3);
    int status;
    kill(first, SIGTERM);
    assert_int_equal(waitpid(first, &status, 0), first);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    mem_free(&path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_links_only_libc_libsodium_and_libseccomp),
        cmocka_unit_test(help_shows_the_usage_and_bad_arguments_are_refused),
        in_folder(two_runners_cannot_share_a_folder),
    };
    return cmocka_run_group_tests_name("lbrunner", tests, NULL, NULL);
}
