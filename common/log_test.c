#include "common/log.h"
#include "common/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char said[65536]; /* what `act` wrote to stderr */

static void listen_to(void **state, void (*act)(void))
{
    const char *path = testing_path(state, "stderr");
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), real = dup(STDERR_FILENO);
    assert_true(file >= 0 && real >= 0);
    dup2(file, STDERR_FILENO);
    act();
    log_flush(1);
    dup2(real, STDERR_FILENO);
    ssize_t n = pread(file, said, sizeof said - 1, 0);
    said[n < 0 ? 0 : n] = 0;
    close(file);
    close(real);
}

static int lines(void)
{
    int n = 0;
    for (const char *c = said; *c; c++)
        n += *c == '\n';
    return n;
}

static void say_each_level(void)
{
    unsetenv("JOURNAL_STREAM");
    log_open("lbtest", LOG_LEVEL_WARN);
    log_error("one %d", 1);
    log_warn("two");
    log_info("three");
    log_debug("four");
}

static void a_line_has_time_level_program_and_text(void **state)
{
    listen_to(state, say_each_level);
    assert_int_equal(lines(), 2);
    assert_contains(said, "Z error lbtest: one 1\n");
    assert_contains(said, "Z warn  lbtest: two\n");
}

static void say_to_the_journal(void)
{
    struct stat st;
    char text[64];
    fstat(STDERR_FILENO, &st);
    snprintf(text, sizeof text, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", text, 1);
    log_open("lbtest", LOG_LEVEL_DEBUG);
    log_error("e");
    log_warn("w");
    log_info("i");
    log_debug("d");
}

static void the_journal_gets_priorities(void **state)
{
    listen_to(state, say_to_the_journal);
    assert_string_equal(said, "<3>e\n<4>w\n<6>i\n<7>d\n");
}

static void say_beside_the_journal(void)
{
    setenv("JOURNAL_STREAM", "1:2", 1);
    log_open("lbtest", LOG_LEVEL_INFO);
    log_info("here");
    unsetenv("JOURNAL_STREAM");
}

static void a_stderr_that_is_not_the_journal_gets_the_time(void **state)
{
    listen_to(state, say_beside_the_journal);
    assert_contains(said, "info  lbtest: here");
}

static void say_control_bytes(void)
{
    log_open("lbtest", LOG_LEVEL_INFO);
    log_info("a\nb\033[2Jc\x7f \xc3\xa4 \xe2\x80\xae");
}

static void control_bytes_are_made_visible(void **state)
{
    listen_to(state, say_control_bytes);
    assert_int_equal(lines(), 1);
    assert_contains(said, "a\\u000ab\\u001b[2Jc\\u007f \xc3\xa4 \\u202e\n");
}

static void say_often(void)
{
    log_open("lbtest", LOG_LEVEL_INFO);
    for (int i = 0; i < 50; i++)
        log_info("again %d", i);
    log_info("something else");
    assert_true(log_flush_due() >= 0);
}

static void repetition_is_counted_and_summarised(void **state)
{
    listen_to(state, say_often);
    assert_contains(said, "again 9\n");
    assert_null(strstr(said, "again 10\n"));
    assert_contains(said, "something else");
    assert_contains(said, "40 more like this within a second were not logged: again %d\n");
    assert_int_equal(lines(), 12);
    assert_int_equal(log_flush_due(), -1);
}

static void say_long(void)
{
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    log_error("%s", text);
}

static void a_line_that_is_too_long_is_cut(void **state)
{
    listen_to(state, say_long);
    assert_int_equal(lines(), 1);
    assert_contains(said, "xxx...\n");
}

static void say_with_errno(void)
{
    errno = ENOSPC;
    log_error("x");
    assert_int_equal(errno, ENOSPC);
}

static void a_line_leaves_errno_alone(void **state)
{
    listen_to(state, say_with_errno);
}

static void a_level_is_read_by_its_name(void **state)
{
    (void)state;
    enum log_level level = LOG_LEVEL_ERROR;
    struct error err = {0};
    assert_int_equal(log_level_parse("debug", &level, &err), 0);
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_true(log_level_parse("wran", &level, &err) < 0);
    assert_contains(err.text, "(did you mean 'warn'?)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_line_has_time_level_program_and_text),
        in_folder(the_journal_gets_priorities),
        in_folder(a_stderr_that_is_not_the_journal_gets_the_time),
        in_folder(control_bytes_are_made_visible),
        in_folder(repetition_is_counted_and_summarised),
        in_folder(a_line_that_is_too_long_is_cut),
        in_folder(a_line_leaves_errno_alone),
        cmocka_unit_test(a_level_is_read_by_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
