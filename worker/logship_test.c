#include "worker/logship.h"

#include <errno.h>

#include "common/testing.h"

struct sent {
    unsigned n, most; /* after this many, sending fails */
    size_t bytes;
    uint64_t offsets[4096];
};

static int take(void *self, struct span message)
{
    struct sent *s = self;
    struct m_log_data m;
    struct error err = {0};
    if (s->most && s->n >= s->most)
        return -ENOBUFS;
    assert_int_equal(m_log_data_decode(message, &m, &err), 0);
    s->offsets[s->n++] = m.offset;
    s->bytes += m.data.n;
    return 0;
}

static int ignore(void *self, uint64_t kind, struct span entry, struct error *err)
{
    (void)self;
    (void)kind;
    (void)entry;
    (void)err;
    return 0;
}

static const char *keeper_path(void **state)
{
    return testing_path(state, "spool/keeper-1.log");
}

/* n chunks of OUTPUT of `size` bytes, with an entry of another kind between them. */
static void keeper_writes(void **state, unsigned n, size_t size, uint64_t first)
{
    struct spoolfile *f = NULL;
    struct error err = {0};
    struct buf data = {0}, b = {0};
    memset(buf_grow(&data, size), 'x', size);
    data.n = size;
    assert_int_equal(spoolfile_open_append(keeper_path(state), 0600, &f, NULL, &err), 0);
    for (unsigned i = 0; i < n; i++) {
        struct s_output o = {.step = span_str("run"),
                             .attempt = 1,
                             .try_no = 1,
                             .stream = 1,
                             .offset = (first + i) * size,
                             .data = buf_span(&data)};
        struct s_progress p = {.percent = 5};
        buf_clear(&b);
        s_output_encode(&o, &b);
        assert_int_equal(spoolfile_append(f, buf_span(&b), &err), 0);
        buf_clear(&b);
        s_progress_encode(&p, &b);
        assert_int_equal(spoolfile_append(f, buf_span(&b), &err), 0);
    }
    spoolfile_close(&f);
    buf_free(&data);
    buf_free(&b);
}

struct both {
    struct spool *spool;
    struct logship *logs;
};

static struct both opened(void **state)
{
    struct both b = {NULL, NULL};
    struct error err = {0};
    assert_int_equal(spool_open(&b.spool, testing_path(state, "spool"), NULL, &err), 0);
    assert_int_equal(spool_replay(b.spool, ignore, NULL, &err), 0);
    assert_int_equal(logship_open(&b.logs, b.spool, &err), 0);
    return b;
}

static void closed(struct both *b)
{
    logship_close(&b->logs);
    spool_close(&b->spool);
}

static int pump(struct both *b, struct sent *s)
{
    struct error err = {0};
    assert_int_equal(spool_follow(b->spool, ignore, NULL, &err), 0);
    int rc = logship_pump(b->logs, take, s, &err);
    if (rc < 0)
        fail_msg("%s", err.text);
    return rc;
}

static void output_is_shipped_once_and_in_order(void **state)
{
    struct both b = opened(state);
    struct sent s = {0};
    keeper_writes(state, 3, 100, 0);
    assert_int_equal(pump(&b, &s), 0);
    assert_int_equal(s.n, 3);
    assert_int_equal(pump(&b, &s), 0);
    assert_int_equal(s.n, 3);
    keeper_writes(state, 1, 100, 3);
    assert_int_equal(pump(&b, &s), 0);
    assert_int_equal(s.n, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(s.offsets[i], i * 100);
    closed(&b);
}

static void no_more_than_the_credit_is_on_its_way(void **state)
{
    struct both b = opened(state);
    struct sent s = {0};
    keeper_writes(state, 40, 32768, 0);
    while (pump(&b, &s) == 1)
        ;
    assert_in_range(s.bytes, LOGSHIP_CREDIT, LOGSHIP_CREDIT + 32768);
    logship_acked(b.logs, s.bytes / 2);
    size_t before = s.bytes;
    while (pump(&b, &s) == 1)
        ;
    assert_true(s.bytes > before);
    while (s.n < 40) {
        logship_acked(b.logs, s.bytes);
        while (pump(&b, &s) == 1)
            ;
    }
    assert_int_equal(s.bytes, 40 * 32768);
    closed(&b);
}

static void one_call_ships_a_share_and_reports_that_there_is_more(void **state)
{
    struct both b = opened(state);
    struct sent s = {0};
    keeper_writes(state, 8, 32768, 0);
    assert_int_equal(pump(&b, &s), 1);
    assert_in_range(s.bytes, LOGSHIP_TURN, LOGSHIP_TURN + 32768);
    closed(&b);
}

static void output_that_could_not_be_sent_is_sent_later(void **state)
{
    struct both b = opened(state);
    struct sent s = {.most = 2};
    keeper_writes(state, 5, 100, 0);
    assert_int_equal(pump(&b, &s), 0);
    assert_int_equal(s.n, 2);
    s.most = 0;
    assert_int_equal(pump(&b, &s), 0);
    assert_int_equal(s.n, 5);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(s.offsets[i], i * 100);
    closed(&b);
}

static void a_new_session_resumes_after_what_was_acknowledged(void **state)
{
    struct both b = opened(state);
    struct sent s = {0};
    keeper_writes(state, 5, 100, 0);
    assert_int_equal(pump(&b, &s), 0);
    logship_acked(b.logs, 250); /* room for two and a half chunks: two */
    logship_session(b.logs);
    s = (struct sent){0};
    assert_int_equal(pump(&b, &s), 0);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.offsets[0], 200);
    closed(&b);
}

static void a_new_process_resumes_at_the_saved_place(void **state)
{
    struct both b = opened(state);
    struct sent s = {0};
    struct error err = {0};
    keeper_writes(state, 5, 100, 0);
    assert_int_equal(pump(&b, &s), 0);
    logship_acked(b.logs, 300);
    assert_int_equal(logship_save(b.logs, &err), 0);
    closed(&b);
    b = opened(state);
    s = (struct sent){0};
    assert_int_equal(pump(&b, &s), 0);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.offsets[0], 300);
    closed(&b);
}

static void a_saved_place_past_the_end_restarts_the_file(void **state)
{
    struct sent s = {0};
    struct error err = {0};
    struct both b = opened(state);
    closed(&b);
    assert_int_equal(file_write_atomic(testing_path(state, "spool/shipped"),
                                       span_str("keeper-1.log 999999\n"), 0600, &err),
                     0);
    b = opened(state);
    keeper_writes(state, 2, 100, 0);
    assert_int_equal(pump(&b, &s), 0);
    assert_int_equal(s.n, 2);
    closed(&b);
}

static void an_acknowledgement_of_more_than_was_sent_counts_as_all(void **state)
{
    struct both b = opened(state);
    struct sent s = {0};
    keeper_writes(state, 2, 100, 0);
    assert_int_equal(pump(&b, &s), 0);
    logship_acked(b.logs, UINT64_MAX);
    keeper_writes(state, 20, 32768, 2);
    s = (struct sent){0};
    while (pump(&b, &s) == 1)
        ;
    assert_in_range(s.bytes, LOGSHIP_CREDIT, LOGSHIP_CREDIT + 32768);
    closed(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(output_is_shipped_once_and_in_order),
        in_folder(no_more_than_the_credit_is_on_its_way),
        in_folder(one_call_ships_a_share_and_reports_that_there_is_more),
        in_folder(output_that_could_not_be_sent_is_sent_later),
        in_folder(a_new_session_resumes_after_what_was_acknowledged),
        in_folder(a_new_process_resumes_at_the_saved_place),
        in_folder(a_saved_place_past_the_end_restarts_the_file),
        in_folder(an_acknowledgement_of_more_than_was_sent_counts_as_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
