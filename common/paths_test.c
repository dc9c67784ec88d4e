#include "common/paths.h"
#include "common/testing.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

static void parts_are_joined_by_one_slash(void **state)
{
    (void)state;
    char out[32];
    assert_int_equal(path_join(out, sizeof out, NULL, "/a", "b", "c.yaml", NULL), 0);
    assert_string_equal(out, "/a/b/c.yaml");
    assert_int_equal(path_join(out, sizeof out, NULL, "/a/", "/b", "", "c", NULL), 0);
    assert_string_equal(out, "/a/b/c");
    assert_int_equal(path_join(out, sizeof out, NULL, "/", "a", NULL), 0);
    assert_string_equal(out, "/a");
    assert_int_equal(path_join(out, sizeof out, NULL, "", "a", NULL), 0);
    assert_string_equal(out, "a");
    assert_int_equal(path_join(out, sizeof out, NULL, out, "b", NULL), 0);
    assert_string_equal(out, "a/b");
}

static void a_path_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    char out[6];
    struct error err = {0};
    assert_int_equal(path_join(out, sizeof out, &err, "ab", "cd", NULL), 0);
    assert_string_equal(out, "ab/cd");
    assert_int_equal(path_join(out, sizeof out, &err, "ab", "cde", NULL), -ENAMETOOLONG);
    assert_string_equal(out, "");
}

static void clear_environment(void)
{
    unsetenv("LONGBOAT_HOME");
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("XDG_STATE_HOME");
    unsetenv("XDG_RUNTIME_DIR");
    setenv("HOME", "/home/ann", 1);
}

static void longboat_home_moves_every_folder(void **state)
{
    (void)state;
    clear_environment();
    setenv("LONGBOAT_HOME", "/tmp/lb/", 1);
    struct paths p;
    assert_int_equal(paths_resolve(&p, NULL), 0);
    assert_string_equal(p.config, "/tmp/lb/etc");
    assert_string_equal(p.state, "/tmp/lb/var");
    assert_string_equal(p.run, "/tmp/lb/run");
    setenv("LONGBOAT_HOME", "lb", 1);
    struct error err = {0};
    assert_int_equal(paths_resolve(&p, &err), -EINVAL);
    assert_contains(err.text, "must be an absolute path");
    unsetenv("LONGBOAT_HOME");
}

static void root_uses_the_system_folders(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    clear_environment();
    struct paths p;
    assert_int_equal(paths_resolve(&p, NULL), 0);
    assert_string_equal(p.config, "/etc/longboat");
    assert_string_equal(p.state, "/var/lib/longboat");
    assert_string_equal(p.run, "/run/longboat");
}

static bool are(const char *config, const char *its_state, const char *run)
{
    struct paths p;
    return paths_resolve(&p, NULL) == 0 && strcmp(p.config, config) == 0 &&
           strcmp(p.state, its_state) == 0 && strcmp(p.run, run) == 0;
}

static void a_user_gets_the_xdg_folders(void **state)
{
    (void)state;
    pid_t pid = fork(); /* root cannot come back */
    if (pid == 0) {
        if (geteuid() == 0 && setuid(12345) < 0)
            _exit(2);
        clear_environment();
        if (!are("/home/ann/.config/longboat", "/home/ann/.local/state/longboat",
                 "/home/ann/.local/state/longboat/run"))
            _exit(3);
        setenv("XDG_CONFIG_HOME", "/c", 1);
        setenv("XDG_STATE_HOME", "relative/is/ignored", 1);
        setenv("XDG_RUNTIME_DIR", "/r", 1);
        if (!are("/c/longboat", "/home/ann/.local/state/longboat", "/r/longboat"))
            _exit(4);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void a_socket_path_has_a_maximum_length(void **state)
{
    (void)state;
    char path[120];
    memset(path, 'x', sizeof path);
    path[107] = 0;
    assert_int_equal(paths_check_socket(path, NULL), 0);
    path[107] = 'x';
    path[108] = 0;
    struct error err = {0};
    assert_int_equal(paths_check_socket(path, &err), -ENAMETOOLONG);
    assert_contains(err.text, "shorter LONGBOAT_HOME");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_joined_by_one_slash),
        cmocka_unit_test(a_path_that_does_not_fit_is_refused),
        cmocka_unit_test(longboat_home_moves_every_folder),
        cmocka_unit_test(root_uses_the_system_folders),
        cmocka_unit_test(a_user_gets_the_xdg_folders),
        cmocka_unit_test(a_socket_path_has_a_maximum_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
