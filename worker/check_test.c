/* check_test.c - lbworker check changes nothing, whatever runs here. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/testing.h"
#include "worker/worker.h"

static int check(void **state, struct buf *ret_text)
{
    char *argv[] = {(char *)(uintptr_t) "check", (char *)(uintptr_t) "--json", NULL};
    struct error err = {0};
    const char *said = testing_path(state, "said");
    int old = dup(1), fd = open(said, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    fflush(stdout);
    assert_true(old >= 0 && fd >= 0 && dup2(fd, 1) == 1);
    int rc = check_verb(2, argv);
    fflush(stdout);
    dup2(old, 1);
    close(old);
    close(fd);
    buf_clear(ret_text);
    if (file_read(said, 1 << 16, ret_text, &err) < 0)
        fail_msg("%s", err.text);
    buf_str(ret_text);
    return rc;
}

static void a_worker_and_a_runner_that_run_here_are_seen_and_left_alone(void **state)
{
    struct error err = {0};
    struct buf text = {0};
    struct channel *c = NULL;
    int runner = -1, worker = -1, listening = -1;
    setenv("LONGBOAT_HOME", *state, 1);
    assert_int_equal(file_make_dirs(testing_path(state, "run"), 0700, &err), 0);
    assert_int_equal(file_make_dirs(testing_path(state, "var/spool"), 0700, &err), 0);
    check(state, &text);
    assert_contains(buf_str(&text),
                    "{\"v\":1,\"check\":\"worker\",\"ok\":true,\"text\":\"has never run here\"}");
    assert_int_equal(access(testing_path(state, "var/spool/worker.lock"), F_OK), -1);
    assert_null(strstr(buf_str(&text), "running: "));

    assert_int_equal(file_lock(testing_path(state, "run/runner.lock"), &runner, &err), 0);
    assert_int_equal(file_lock(testing_path(state, "var/spool/worker.lock"), &worker, &err), 0);
    assert_int_equal(channel_listen(testing_path(state, "run/runner.sock"), &listening, &err), 0);
    check(state, &text);
    assert_contains(buf_str(&text),
                    "{\"v\":1,\"check\":\"runner\",\"ok\":true,\"text\":\"running: ");
    assert_contains(buf_str(&text),
                    "{\"v\":1,\"check\":\"worker\",\"ok\":true,\"text\":\"running: ");
    assert_int_equal(channel_accept(listening, &c, &err), -EAGAIN); /* no one connected */
    close(listening);
    close(worker);
    close(runner);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_worker_and_a_runner_that_run_here_are_seen_and_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
