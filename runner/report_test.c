/* report_test.c - reports reach the spool and ring the bell; on a full disk results wait and
 * output does not. */
#include "common/testing.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/spoolfile.h"
#include "runner/report.h"

static struct report *opened(void **state)
{
    static struct runner_paths paths; /* the report borrows it */
    struct report *r;
    struct error err = {0};
    paths = (struct runner_paths){.spool = *state, .bell = *state};
    if (report_open(&paths, "keeper-3", &r, &err) < 0)
        fail_msg("%s", err.text);
    return r;
}

static void holds(void **state, const char *name, const char *const texts[], size_t n)
{
    struct spoolfile_reader *r;
    struct span s;
    assert_int_equal(spoolfile_reader_open(testing_path(state, name), SPOOLFILE_START, &r, NULL),
                     0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(spoolfile_reader_next(r, &s, NULL), 1);
        assert_true(span_eq_str(s, texts[i]));
    }
    assert_int_equal(spoolfile_reader_next(r, &s, NULL), 0);
    spoolfile_reader_close(&r);
}

static struct span launched_with(struct buf *b, struct span job_hash)
{
    buf_clear(b);
    s_launched_encode(
        &(struct s_launched){.attempt = 1, .step = span_str("run"), .job_hash = job_hash}, b);
    return buf_span(b);
}

static void a_worker_of_the_release_before_reads_what_it_knows(void **state)
{
    static const uint8_t hash[32] = {7};
    const struct span job = span_of(hash, sizeof hash), context = span_str("c");
    const struct s_launch ours = {.context = context},
                          theirs = {.context = context, .form = span_str("1")},
                          of_their_runner = {.form = SPAN_NONE};
    const struct s_launch *const asked[] = {&ours, &theirs, &of_their_runner, &ours};
    struct report *r = opened(state);
    struct spoolfile_reader *reader;
    struct span s;
    struct buf b = {0};
    for (size_t i = 0; i < 4; i++) {
        report_form_of(r, asked[i]);
        report_add(r, launched_with(&b, job));
    }
    assert_int_equal(report_flush(r, NULL), 0);
    assert_int_equal(
        spoolfile_reader_open(testing_path(state, "keeper-3.log"), SPOOLFILE_START, &reader, NULL),
        0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(spoolfile_reader_next(reader, &s, NULL), 1);
        assert_true(span_eq(s, launched_with(&b, i == 0 || i == 3 ? job : SPAN_NONE)));
    }
    spoolfile_reader_close(&reader);
    buf_free(&b);
    report_close(&r);
}

static void entries_are_written_in_order_and_ring_the_bell(void **state)
{
    struct report *r = opened(state);
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    static const char *const both[] = {"one", "two"};
    char byte[4];
    int bell = socket(AF_UNIX, SOCK_DGRAM, 0);
    snprintf(a.sun_path, sizeof a.sun_path, "%s/" WORKER_BELL, (const char *)*state);
    assert_int_equal(bind(bell, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(report_flush(r, NULL), 0);
    assert_int_equal(recv(bell, byte, sizeof byte, MSG_DONTWAIT), -1);
    report_add(r, span_str("one"));
    report_add_output(r, span_str("two"));
    assert_true(report_waits(r));
    assert_int_equal(report_flush(r, NULL), 0);
    assert_false(report_waits(r));
    assert_int_equal(recv(bell, byte, sizeof byte, MSG_DONTWAIT), 1);
    holds(state, "keeper-3.log", both, 2);
    close(bell);
    report_close(&r);
}

static void many_entries_between_two_flushes_are_all_written(void **state)
{
    struct report *r = opened(state);
    struct spoolfile_reader *reader;
    struct span s;
    char text[20];
    int n = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 150; i++) {
            snprintf(text, sizeof text, "entry %d", n++);
            report_add(r, span_str(text));
        }
        assert_int_equal(report_flush(r, NULL), 0);
    }
    assert_int_equal(
        spoolfile_reader_open(testing_path(state, "keeper-3.log"), SPOOLFILE_START, &reader, NULL),
        0);
    for (int i = 0; i < n; i++) {
        snprintf(text, sizeof text, "entry %d", i);
        assert_int_equal(spoolfile_reader_next(reader, &s, NULL), 1);
        assert_true(span_eq_str(s, text));
    }
    spoolfile_reader_close(&reader);
    report_close(&r);
}

/* A file size limit, without its signal, acts as a full disk. */
static void entries_that_cannot_be_written_wait_but_output_is_dropped(void **state)
{
    struct report *r = opened(state);
    struct rlimit was, none;
    struct error err = {0};
    static const char *const kept[] = {"launched", "ended"};
    signal(SIGXFSZ, SIG_IGN);
    report_add(r, span_str("launched"));
    assert_int_equal(report_flush(r, &err), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    none = was;
    none.rlim_cur = 8;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    report_add_output(r, span_str("output"));
    report_add(r, span_str("ended"));
    int rc = report_flush(r, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(rc, -EFBIG);
    assert_true(report_waits(r));
    assert_int_equal(report_dropped(r), 1);
    assert_int_equal(report_flush(r, &err), 0);
    holds(state, "keeper-3.log", kept, 2);
    report_close(&r);
}

static void a_large_file_gets_a_successor_and_the_newest_is_continued(void **state)
{
    struct report *r = opened(state);
    static const char *const one[] = {"next"}, *const two[] = {"next", "later"};
    uint8_t *big = mem_zalloc(1, 1 << 20);
    for (int i = 0; i < 8; i++) {
        report_roll(r);
        report_add(r, span_of(big, 1 << 20));
        assert_int_equal(report_flush(r, NULL), 0);
    }
    report_roll(r);
    report_add(r, span_str("next"));
    assert_int_equal(report_flush(r, NULL), 0);
    holds(state, "keeper-3.1.log", one + 0, 1);
    report_close(&r);
    r = opened(state);
    report_add(r, span_str("later"));
    assert_int_equal(report_flush(r, NULL), 0);
    holds(state, "keeper-3.1.log", two, 2);
    report_close(&r);
    mem_free(&big);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_worker_of_the_release_before_reads_what_it_knows),
        in_folder(entries_are_written_in_order_and_ring_the_bell),
        in_folder(many_entries_between_two_flushes_are_all_written),
        in_folder(entries_that_cannot_be_written_wait_but_output_is_dropped),
        in_folder(a_large_file_gets_a_successor_and_the_newest_is_continued),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
