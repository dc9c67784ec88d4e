#include "common/spoolfile.h"
#include "common/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct spoolfile *writer(const char *path, bool *torn)
{
    struct spoolfile *f = NULL;
    struct error err = {0};
    if (spoolfile_open_append(path, 0600, &f, torn, &err) < 0)
        fail_msg("%s", err.text);
    return f;
}

static struct spoolfile_reader *reader(const char *path)
{
    struct spoolfile_reader *r = NULL;
    struct error err = {0};
    if (spoolfile_reader_open(path, SPOOLFILE_START, &r, &err) < 0)
        fail_msg("%s", err.text);
    return r;
}

static void append(struct spoolfile *f, const char *text)
{
    struct error err = {0};
    if (spoolfile_append(f, span_str(text), &err) < 0)
        fail_msg("%s", err.text);
}

static void expect_next(struct spoolfile_reader *r, const char *text)
{
    struct span got;
    struct error err = {0};
    int rc = spoolfile_reader_next(r, &got, &err);
    if (rc < 0)
        fail_msg("%s", err.text);
    assert_int_equal(rc, text ? 1 : 0);
    if (text)
        assert_true(span_eq_str(got, text));
}

static struct buf content(const char *path)
{
    struct buf b = {0};
    assert_int_equal(file_read(path, 64 << 20, &b, NULL), 0);
    return b;
}

static void put(const char *path, struct span bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write_all(fd, bytes.p, bytes.n), 0);
    close(fd);
}

static void a_reader_follows_the_writer(void **state)
{
    const char *path = testing_path(state, "spool");
    bool torn = true;
    struct spoolfile *f = writer(path, &torn);
    assert_false(torn);
    struct spoolfile_reader *r = reader(path);
    expect_next(r, NULL);
    append(f, "one");
    expect_next(r, "one");
    expect_next(r, NULL);
    const struct span two[] = {span_str("two"), span_str("three")};
    assert_int_equal(spoolfile_append_all(f, two, 2, NULL, NULL), 0);
    assert_int_equal(spoolfile_append_all(f, NULL, 0, NULL, NULL), 0);
    expect_next(r, "two");
    int64_t here = spoolfile_reader_offset(r);
    expect_next(r, "three");
    expect_next(r, NULL);
    assert_int_equal(spoolfile_reader_offset(r), spoolfile_size(f));
    spoolfile_reader_close(&r);
    assert_int_equal(spoolfile_reader_open(path, here, &r, NULL), 0);
    expect_next(r, "three");
    spoolfile_reader_close(&r);
    spoolfile_close(&f);
    f = writer(path, &torn);
    assert_false(torn);
    spoolfile_close(&f);
}

static void the_bytes_are_as_the_header_says(void **state)
{
    const char *path = testing_path(state, "spool");
    struct spoolfile *f = writer(path, NULL);
    append(f, "123456789");
    struct buf b = content(path);
    assert_int_equal(b.n, 25);
    assert_memory_equal(b.p,
                        "LBSPOOL1\x09\0\0\0\x83\x92\x06\xe3"
                        "123456789",
                        25);
    buf_free(&b);
    spoolfile_close(&f);
}

/* Three records of different sizes, cut off at byte `cut` as by the writer's death. */
static void a_torn_tail_is_cut_and_the_rest_survives(void **state)
{
    const char *whole = testing_path(state, "whole"), *path = testing_path(state, "cut");
    static const char *const text[] = {"first", "the second record", "3"};
    struct spoolfile *f = writer(whole, NULL);
    size_t end[3];
    for (int i = 0; i < 3; i++) {
        append(f, text[i]);
        end[i] = (size_t)spoolfile_size(f);
    }
    spoolfile_close(&f);
    struct buf b = content(whole);
    for (size_t cut = 0; cut <= b.n; cut++) {
        int kept = (cut >= end[0]) + (cut >= end[1]) + (cut >= end[2]);
        bool torn, at_edge = cut == 0 || cut == SPOOLFILE_START || (kept && cut == end[kept - 1]);
        put(path, span_of(b.p, cut));
        struct spoolfile_reader *r = reader(path);
        for (int i = 0; i < kept; i++)
            expect_next(r, text[i]);
        expect_next(r, NULL);
        f = writer(path, &torn);
        assert_int_equal(torn, !at_edge);
        append(f, "after");
        expect_next(r, "after"); /* the same reader goes on */
        expect_next(r, NULL);
        spoolfile_close(&f);
        spoolfile_reader_close(&r);
        r = reader(path);
        for (int i = 0; i < kept; i++)
            expect_next(r, text[i]);
        expect_next(r, "after");
        expect_next(r, NULL);
        spoolfile_reader_close(&r);
    }
    buf_free(&b);
}

static void damage_before_the_end_is_reported_with_its_offset(void **state)
{
    const char *path = testing_path(state, "spool");
    struct spoolfile *f = writer(path, NULL);
    append(f, "first");
    int64_t second = spoolfile_size(f);
    append(f, "second");
    append(f, "third");
    spoolfile_close(&f);
    struct buf b = content(path);
    for (int64_t at = second; at < second + 14; at++) {
        uint8_t was = b.p[at];
        b.p[at] ^= 0x80;
        put(path, buf_span(&b));
        struct spoolfile_reader *r = reader(path);
        struct span got;
        struct error err = {0};
        char want[64];
        expect_next(r, "first");
        int rc = spoolfile_reader_next(r, &got, &err);
        /* also if the length then leads beyond the end of the file, like a record being written */
        assert_int_equal(rc, -EBADMSG);
        snprintf(want, sizeof want, "damaged at byte %lld", (long long)second);
        assert_contains(err.text, want);
        assert_int_equal(spoolfile_reader_offset(r), second);
        assert_int_equal(spoolfile_open_append(path, 0600, &f, NULL, &err), -EBADMSG);
        struct buf now = content(path);
        assert_true(span_eq(buf_span(&now), buf_span(&b)));
        buf_free(&now);
        spoolfile_reader_close(&r);
        b.p[at] = was;
    }
    buf_free(&b);
}

static void a_last_record_with_a_wrong_checksum_is_a_torn_tail(void **state)
{
    const char *path = testing_path(state, "spool");
    struct spoolfile *f = writer(path, NULL);
    append(f, "first");
    append(f, "second");
    spoolfile_close(&f);
    struct buf b = content(path);
    b.p[b.n - 1] ^= 1;
    put(path, buf_span(&b));
    struct spoolfile_reader *r = reader(path);
    expect_next(r, "first");
    expect_next(r, NULL);
    bool torn = false;
    f = writer(path, &torn);
    assert_true(torn);
    /* the same length at the same place: nothing of the old one may be remembered */
    append(f, "SECOND");
    expect_next(r, "SECOND");
    spoolfile_close(&f);
    spoolfile_reader_close(&r);
    buf_free(&b);
}

static void zeros_at_the_end_are_a_torn_tail(void **state)
{
    const char *path = testing_path(state, "spool");
    struct spoolfile *f = writer(path, NULL);
    append(f, "first");
    int64_t size = spoolfile_size(f);
    spoolfile_close(&f);
    assert_int_equal(truncate(path, size + 100), 0);
    bool torn = false;
    f = writer(path, &torn);
    assert_true(torn);
    assert_int_equal(spoolfile_size(f), size);
    spoolfile_close(&f);
}

static void a_file_that_is_not_a_spool_is_left_alone(void **state)
{
    const char *path = testing_path(state, "other");
    struct spoolfile *f = NULL;
    struct error err = {0};
    put(path, span_str("LBSPOOLX"));
    assert_int_equal(spoolfile_open_append(path, 0600, &f, NULL, &err), -EBADMSG);
    assert_contains(err.text, "is not a spool");
    put(path, span_str("x"));
    assert_int_equal(spoolfile_open_append(path, 0600, &f, NULL, &err), -EBADMSG);
    struct spoolfile_reader *r = NULL;
    assert_int_equal(spoolfile_reader_open(testing_path(state, "none"), SPOOLFILE_START, &r, &err),
                     -ENOENT);
    assert_int_equal(spoolfile_reader_open(path, 0, &r, &err), -EINVAL);
}

static void records_have_a_minimum_and_a_maximum_size(void **state)
{
    const char *path = testing_path(state, "spool");
    struct spoolfile *f = writer(path, NULL);
    struct spoolfile_reader *r = reader(path);
    uint8_t *big = mem_zalloc(SPOOLFILE_RECORD_MAX + 1, 1);
    struct span got;
    memset(big, 'b', SPOOLFILE_RECORD_MAX);
    assert_int_equal(spoolfile_append(f, SPAN_NONE, NULL), -EINVAL);
    assert_int_equal(spoolfile_append(f, span_of(big, SPOOLFILE_RECORD_MAX + 1), NULL), -E2BIG);
    assert_int_equal(spoolfile_append(f, span_of(big, SPOOLFILE_RECORD_MAX), NULL), 0);
    append(f, "small");
    assert_int_equal(spoolfile_reader_next(r, &got, NULL), 1);
    assert_true(span_eq(got, span_of(big, SPOOLFILE_RECORD_MAX)));
    expect_next(r, "small");
    expect_next(r, NULL);
    mem_free(&big);
    spoolfile_reader_close(&r);
    spoolfile_close(&f);
}

static void records_around_the_read_ahead_arrive_whole(void **state)
{
    const char *path = testing_path(state, "spool");
    struct spoolfile *f = writer(path, NULL);
    struct spoolfile_reader *r = reader(path);
    static uint8_t b[70000];
    for (size_t n = 65500; n < 65560; n += 3) {
        struct span got;
        memset(b, (int)n, n);
        for (int i = 0; i < 2; i++)
            assert_int_equal(spoolfile_append(f, span_of(b, n), NULL), 0);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(spoolfile_reader_next(r, &got, NULL), 1);
            assert_true(span_eq(got, span_of(b, n)));
        }
        expect_next(r, NULL);
    }
    spoolfile_reader_close(&r);
    spoolfile_close(&f);
}

static void a_partial_write_leaves_no_trace(void **state)
{
    const char *path = testing_path(state, "spool");
    pid_t pid = fork(); /* the limit on file sizes is the process's own */
    if (pid == 0) {
        struct spoolfile *f = NULL;
        uint8_t b[4096] = {1};
        const struct rlimit limit = {6000, 6000};
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit) < 0 ||
            spoolfile_open_append(path, 0600, &f, NULL, NULL) < 0)
            _exit(2);
        if (spoolfile_append(f, span_of(b, sizeof b), NULL) < 0)
            _exit(3);
        int64_t size = spoolfile_size(f);
        struct stat st;
        if (spoolfile_append(f, span_of(b, sizeof b), NULL) >= 0 || stat(path, &st) < 0 ||
            st.st_size != size)
            _exit(4);
        if (spoolfile_append(f, span_of(b, 100), NULL) < 0)
            _exit(5);
        spoolfile_close(&f);
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    struct spoolfile_reader *r = reader(path);
    struct span got;
    assert_int_equal(spoolfile_reader_next(r, &got, NULL), 1);
    assert_int_equal(spoolfile_reader_next(r, &got, NULL), 1);
    assert_int_equal(got.n, 100);
    expect_next(r, NULL);
    spoolfile_reader_close(&r);
}

/* reads on between a partial write and its clean-up */
static struct spoolfile_reader *between;
static unsigned read_between;

int ftruncate(int fd, off_t size)
{
    struct span got;
    while (between && spoolfile_reader_next(between, &got, NULL) == 1)
        read_between++;
    return (int)syscall(SYS_ftruncate, fd, size);
}

/* 0: all is well; otherwise, where it is not. */
static int write_two_of_three(const char *path)
{
    static const uint8_t b[4096] = {1};
    const struct span records[] = {span_of(b, 100), span_of(b, 200), span_of(b, sizeof b)};
    const struct rlimit limit = {3000, 3000};
    struct spoolfile *f = NULL;
    struct span got;
    size_t done = 7;
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0 ||
        spoolfile_open_append(path, 0600, &f, NULL, NULL) < 0)
        return 2;
    if (spoolfile_reader_open(path, SPOOLFILE_START, &between, NULL) < 0)
        return 3;
    if (spoolfile_append_all(f, records, 3, &done, NULL) != -ENOSPC || read_between != 2 ||
        done != 2)
        return 4;
    for (int i = 0; i < 2; i++) /* the next record differs from the one that failed */
        if (spoolfile_append(f, span_of(b, 1000), NULL) < 0)
            return 5;
    for (int i = 0; i < 2; i++)
        if (spoolfile_reader_next(between, &got, NULL) != 1 || got.n != 1000)
            return 6;
    return spoolfile_reader_next(between, &got, NULL) == 0 ? 0 : 7;
}

static void a_reader_continues_after_a_partial_write(void **state)
{
    const char *path = testing_path(state, "spool");
    int status = 0;
    pid_t pid = fork(); /* the limit on file sizes is the process's own */
    if (pid == 0)
        _exit(write_two_of_three(path));
    waitpid(pid, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_true(WIFEXITED(status));
}

static void a_killed_writer_loses_at_most_the_last_record(void **state)
{
    const char *path = testing_path(state, "spool");
    int told[2];
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct spoolfile *f = NULL;
        uint8_t b[5000] = {0};
        if (spoolfile_open_append(path, 0600, &f, NULL, NULL) < 0)
            _exit(2);
        for (uint32_t i = 0;; i++) {
            memcpy(b, &i, sizeof i);
            if (spoolfile_append(f, span_of(b, 1000 + i % 4000), NULL) < 0 ||
                write(told[1], &i, sizeof i) < 0)
                _exit(3);
        }
    }
    close(told[1]);
    struct spoolfile_reader *r = NULL;
    uint32_t last = 0, seen = 0;
    while (last < 500)
        assert_int_equal(file_read_all(told[0], &last, sizeof last), sizeof last);
    r = reader(path);
    struct span got;
    for (; seen < 300 && spoolfile_reader_next(r, &got, NULL) == 1; seen++)
        assert_memory_equal(got.p, &seen, sizeof seen);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    while (file_read_all(told[0], &last, sizeof last) == sizeof last)
        ;
    close(told[0]);
    struct spoolfile *f = writer(path, NULL);
    append(f, "end");
    while (spoolfile_reader_next(r, &got, NULL) == 1 && !span_eq_str(got, "end")) {
        assert_memory_equal(got.p, &seen, sizeof seen);
        seen++;
    }
    assert_true(span_eq_str(got, "end"));
    assert_true(seen >= last + 1 && seen <= last + 2);
    spoolfile_close(&f);
    spoolfile_reader_close(&r);
}

/* The offsets of the records, and of the end. */
static void three_records(const char *path, int64_t at[4])
{
    struct spoolfile *f = writer(path, NULL);
    static const char *const texts[] = {"first", "second", "third"};
    for (unsigned i = 0; i < 3; i++) {
        at[i] = spoolfile_size(f);
        append(f, texts[i]);
    }
    at[3] = spoolfile_size(f);
    spoolfile_close(&f);
}

static void damage(const char *path, int64_t at)
{
    struct buf b = content(path);
    b.p[at] ^= 0xff;
    put(path, buf_span(&b));
    buf_free(&b);
}

static int64_t content_size(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static int64_t passed_over(struct spoolfile_reader *r, struct buf *out)
{
    struct span got;
    struct error err = {0};
    assert_int_equal(spoolfile_reader_next(r, &got, &err), -EBADMSG);
    int64_t n = spoolfile_reader_skip(r, out, &err);
    if (n < 0)
        fail_msg("%s", err.text);
    return n;
}

static void a_damaged_record_is_passed_over_and_the_rest_is_read(void **state)
{
    const char *path = testing_path(state, "spool");
    int64_t at[4];
    struct buf gone = {0};
    three_records(path, at);
    damage(path, at[1] + 9); /* in its payload */
    struct spoolfile_reader *r = reader(path);
    expect_next(r, "first");
    assert_int_equal(passed_over(r, &gone), at[2] - at[1]);
    assert_int_equal(gone.n, at[2] - at[1]);
    expect_next(r, "third");
    expect_next(r, NULL);
    spoolfile_reader_close(&r);
    buf_free(&gone);
}

static void a_damaged_length_costs_what_the_file_has_by_then(void **state)
{
    const char *path = testing_path(state, "spool");
    int64_t at[4];
    struct buf gone = {0};
    three_records(path, at);
    damage(path, at[0] + 2);
    struct spoolfile_reader *r = reader(path);
    assert_int_equal(passed_over(r, &gone), at[3] - at[0]);
    expect_next(r, NULL);
    /* a writer that is still alive goes on behind it */
    struct buf more = content(path);
    buf_add(&more, more.p + at[1], (size_t)(at[2] - at[1]));
    put(path, buf_span(&more));
    expect_next(r, "second");
    spoolfile_reader_close(&r);
    buf_free(&gone);
    buf_free(&more);
}

static void a_damaged_length_is_not_taken_for_a_torn_tail(void **state)
{
    const char *path = testing_path(state, "spool");
    int64_t at[4];
    struct spoolfile *f = NULL;
    struct error err = {0};
    three_records(path, at);
    damage(path, at[0] + 1); /* 65,285 bytes: more than the file has */
    assert_int_equal(spoolfile_open_append(path, 0600, &f, NULL, &err), -EBADMSG);
    assert_int_equal(content_size(path), at[3]);
}

static void a_damaged_beginning_costs_the_whole_file(void **state)
{
    const char *path = testing_path(state, "spool");
    int64_t at[4];
    struct buf gone = {0};
    three_records(path, at);
    damage(path, 3);
    struct spoolfile_reader *r = reader(path);
    assert_int_equal(passed_over(r, &gone), at[3]);
    expect_next(r, NULL);
    spoolfile_reader_close(&r);
    buf_free(&gone);
}

static void a_file_of_another_version_is_refused_by_name(void **state)
{
    const char *path = testing_path(state, "spool");
    struct spoolfile *f = NULL;
    struct span got;
    struct error err = {0};
    put(path, span_str("LBSPOOL2"));
    struct spoolfile_reader *r = reader(path);
    assert_int_equal(spoolfile_reader_next(r, &got, &err), -EPROTONOSUPPORT);
    assert_contains(err.text, path);
    assert_contains(err.text, "newer Longboat");
    spoolfile_reader_close(&r);
    assert_int_equal(spoolfile_open_append(path, 0600, &f, NULL, &err), -EPROTONOSUPPORT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_reader_follows_the_writer),
        in_folder(the_bytes_are_as_the_header_says),
        in_folder(a_torn_tail_is_cut_and_the_rest_survives),
        in_folder(damage_before_the_end_is_reported_with_its_offset),
        in_folder(a_last_record_with_a_wrong_checksum_is_a_torn_tail),
        in_folder(zeros_at_the_end_are_a_torn_tail),
        in_folder(a_file_that_is_not_a_spool_is_left_alone),
        in_folder(a_damaged_record_is_passed_over_and_the_rest_is_read),
        in_folder(a_damaged_length_costs_what_the_file_has_by_then),
        in_folder(a_damaged_length_is_not_taken_for_a_torn_tail),
        in_folder(a_damaged_beginning_costs_the_whole_file),
        in_folder(a_file_of_another_version_is_refused_by_name),
        in_folder(records_have_a_minimum_and_a_maximum_size),
        in_folder(records_around_the_read_ahead_arrive_whole),
        in_folder(a_partial_write_leaves_no_trace),
        in_folder(a_reader_continues_after_a_partial_write),
        in_folder(a_killed_writer_loses_at_most_the_last_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
