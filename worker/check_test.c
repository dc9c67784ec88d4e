/* check_test.c - lbworker check changes nothing, whatever runs here. */
#include <dirent.h>
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

/* Each path below the folder, with size, mode and times, so that no change goes unseen. */
static void listing_of(const char *folder, struct buf *ret)
{
    struct stat st;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, "..") == 0 || strcmp(e->d_name, "said") == 0)
            continue;
        char *path = mem_printf("%s/%s", folder, e->d_name);
        assert_int_equal(lstat(path, &st), 0);
        buf_printf(ret, "%s %o %lld %lld.%09ld %lld.%09ld\n", path, (unsigned)st.st_mode,
                   (long long)st.st_size, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                   (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
        if (S_ISDIR(st.st_mode) && strcmp(e->d_name, ".") != 0)
            listing_of(path, ret);
        mem_free(&path);
    }
    closedir(d);
}

static void check_makes_no_folder_where_there_is_nothing(void **state)
{
    struct buf text = {0};
    const char *home = testing_path(state, "home");
    setenv("LONGBOAT_HOME", home, 1);
    assert_int_equal(check(state, &text), 1);
    assert_contains(buf_str(&text), "\"check\":\"identity\",\"ok\":false");
    assert_null(strstr(buf_str(&text), "\"check\":\"jobs\"")); /* no folder is no job */
    assert_int_equal(access(home, F_OK), -1);
    buf_free(&text);
}

static void check_changes_neither_jobs_nor_what_is_kept_of_them(void **state)
{
    static const char old[] =
        "var/jobs/00000000000000000000000000000000000000000000000000000000000000aa";
    struct error err = {0};
    struct buf text = {0}, before = {0}, after = {0};
    setenv("LONGBOAT_HOME", *state, 1);
    assert_int_equal(file_make_dirs(testing_path(state, "etc/jobs"), 0700, &err), 0);
    assert_int_equal(file_make_dirs(testing_path(state, "var/jobs"), 0700, &err), 0);
    assert_int_equal(file_write_atomic(testing_path(state, "etc/jobs/night.yaml"),
                                       span_str("job: night\nsteps:\n"
                                                "  - {name: a, subsystem: shell, run: 'true'}\n"),
                                       0644, &err),
                     0);
    /* It was current a moment ago, as its time says; a worker would note the end of that. */
    assert_int_equal(file_write_atomic(testing_path(state, old), span_str("x"), 0444, &err), 0);
    assert_int_equal(
        utimensat(AT_FDCWD, testing_path(state, old), (struct timespec[2]){{0}, {0}}, 0), 0);
    /* Its words go to a file that is not listed. */
    assert_int_equal(file_write_atomic(testing_path(state, "said"), span_str(""), 0600, &err), 0);
    listing_of(*state, &before);
    check(state, &text);
    assert_contains(buf_str(&text), "\"text\":\"night blake2b:");
    listing_of(*state, &after);
    assert_string_equal(buf_str(&before), buf_str(&after));
    assert_null(strstr(buf_str(&after), "var/packages"));
    buf_free(&before);
    buf_free(&after);
    buf_free(&text);
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
        in_folder(check_makes_no_folder_where_there_is_nothing),
        in_folder(check_changes_neither_jobs_nor_what_is_kept_of_them),
        in_folder(a_worker_and_a_runner_that_run_here_are_seen_and_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
