/* Any byte of a small spool is damaged, or the file is cut off there: the worker starts, and
 * nothing that has begun is started again. */
#include "worker/spool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/testing.h"

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "proto/kept.h"
#include "worker/core/core.h"

static struct id run_of(uint8_t n)
{
    return (struct id){{n, [15] = 1}};
}

static struct buf taken(uint8_t run)
{
    struct buf b = {0}, one = {0}, job = {0}, call = {0}, body = {0}, execute = {0}, items = {0};
    d_step_encode(&(struct d_step){.name = span_str("run"), .subsystem = span_str("exec")}, &one);
    wire_add_bin(&items, buf_span(&one));
    d_job_encode(&(struct d_job){.name = span_str("load"), .steps = wire_list_from(&items, 1)},
                 &job);
    d_call_encode(&(struct d_call){.job = span_str("load")}, &body);
    d_signed_encode(&(struct d_signed){.body = buf_span(&body)}, &call);
    m_execute_encode(
        &(struct m_execute){
            .run = run_of(run), .attempt = 1, .call = buf_span(&call), .on_lost = ON_LOST_FAIL},
        &execute);
    s_taken_encode(&(struct s_taken){.execute = buf_span(&execute), .job = buf_span(&job)}, &b);
    struct buf *const all[] = {&one, &job, &call, &body, &execute, &items};
    for (unsigned i = 0; i < 6; i++)
        buf_free(all[i]);
    return b;
}

static void put(struct spoolfile *f, struct buf *entry)
{
    assert_int_equal(spoolfile_append(f, buf_span(entry), NULL), 0);
    buf_free(entry);
}

/* Run 1 was launched and has not ended, run 2 has ended, run 3 waits. */
static void make_spool(void **state)
{
    struct spoolfile *f = NULL;
    struct buf b = {0}, outcome = {0};
    struct spool *s = NULL;
    assert_int_equal(spool_open(&s, testing_path(state, "spool"), NULL, NULL), 0);
    assert_int_equal(spool_begun(s, NULL), 0);
    spool_close(&s);
    assert_int_equal(
        spoolfile_open_append(testing_path(state, "spool/worker.log"), 0600, &f, NULL, NULL), 0);
    for (uint8_t run = 1; run <= 3; run++) {
        b = taken(run);
        put(f, &b);
        if (run == 3)
            break;
        s_stepped_encode(
            &(struct s_stepped){
                .run = run_of(run), .attempt = 1, .step = span_str("run"), .try_no = 1},
            &b);
        put(f, &b);
    }
    spoolfile_close(&f);
    assert_int_equal(
        spoolfile_open_append(testing_path(state, "spool/keeper-1.log"), 0600, &f, NULL, NULL), 0);
    d_step_outcome_encode(&(struct d_step_outcome){.name = span_str("run"), .try_no = 1}, &outcome);
    for (uint8_t run = 2; run >= 1; run--) {
        s_launched_encode(
            &(struct s_launched){
                .run = run_of(run), .attempt = 1, .step = span_str("run"), .try_no = 1},
            &b);
        put(f, &b);
        if (run == 1)
            break;
        s_ended_encode(
            &(struct s_ended){.run = run_of(run), .attempt = 1, .outcome = buf_span(&outcome)}, &b);
        put(f, &b);
    }
    spoolfile_close(&f);
    buf_free(&outcome);
}

static int replay(void *self, uint64_t kind, struct span entry, struct error *err)
{
    (void)kind;
    return wcore_replay(self, entry, err);
}

struct damage_seen {
    unsigned asked, listed; /* bits of the runs */
};

static void look(const struct wcore_out *out, struct damage_seen *ret)
{
    for (unsigned i = 0; i < out->n_effects; i++) {
        struct s_step step;
        struct m_have have;
        if (s_step_decode(out->effects[i].body, &step, NULL) == 0)
            ret->asked |= 1u << step.run.b[0];
        if (m_have_decode(out->effects[i].body, &have, NULL) == 0)
            ret->listed |= 1u << have.run.b[0];
    }
}

static void step(struct wcore *c, struct wcore_out *out, enum wcore_event_kind kind,
                 struct damage_seen *ret)
{
    struct buf welcome = {0};
    m_welcome_encode(&(struct m_welcome){.lost_after_ms = 60000}, &welcome);
    struct wcore_event ev = {
        .kind = kind, .now = 1000, .wall = 1700000000000, .message = buf_span(&welcome)};
    wcore_step(c, &ev, out);
    look(out, ret);
    buf_free(&welcome);
}

/* A start of the worker as in worker.c, with a runner that holds nothing. */
static void start(void **state, struct damage_seen *ret, bool *ret_another)
{
    struct spool *s = NULL;
    struct error err = {0};
    struct id boot;
    struct wcore_out out = {.n_effects = 0};
    const struct wcore_config config = {.server = "etl1", .slots = 4};
    struct wcore *c = wcore_new(&config);
    *ret = (struct damage_seen){0};
    if (spool_open(&s, testing_path(state, "spool"), NULL, &err) < 0 ||
        spool_replay(s, replay, c, &err) < 0)
        fail_msg("%s", err.text);
    wcore_set_gap(c, spool_rebooted(s), spool_has_gap(s));
    step(c, &out, WCORE_TICK, ret);
    if (spool_was_damaged(s))
        step(c, &out, WCORE_SPOOL_DAMAGED, ret);
    assert_int_equal(spool_begun(s, &err), 0);
    step(c, &out, WCORE_RUNNER_UP, ret);
    step(c, &out, WCORE_SESSION_UP, ret);
    step(c, &out, WCORE_KEPT_END, ret);
    assert_int_equal(clock_boot_id(&boot, NULL), 0);
    *ret_another = !id_eq(boot, spool_boot(s));
    spool_close(&s);
    wcore_out_free(&out);
    wcore_free(&c);
}

static void judge(void **state, const char *what, size_t at)
{
    struct damage_seen seen;
    bool another;
    start(state, &seen, &another);
    if (seen.asked & (1u << 1 | 1u << 2))
        fail_msg("%s at byte %zu: a step that has begun is asked for again", what, at);
    /* what is not listed in the same boot is handed over again */
    if (!another && (seen.listed & (1u << 1 | 1u << 2)) != (1u << 1 | 1u << 2))
        fail_msg("%s at byte %zu: an attempt that has begun is taken for one never seen", what, at);
}

/* The place is between two entries: what is missing behind it, nobody can see. */
static bool is_between(void **state, const char *name, size_t at)
{
    struct spoolfile_reader *r = NULL;
    struct span entry;
    bool found = false;
    assert_int_equal(spoolfile_reader_open(testing_path(state, name), SPOOLFILE_START, &r, NULL),
                     0);
    do
        found |= (size_t)spoolfile_reader_offset(r) == at;
    while (spoolfile_reader_next(r, &entry, NULL) == 1);
    spoolfile_reader_close(&r);
    return found;
}

static void each_byte(void **state, const char *name, bool cut)
{
    struct buf b = {0};
    make_spool(state);
    assert_int_equal(file_read(testing_path(state, name), 1 << 20, &b, NULL), 0);
    for (size_t i = 0; i < b.n; i++) {
        if (!cut)
            b.p[i] ^= 0xff;
        if (!cut || !is_between(state, name, i)) {
            struct span bytes = span_of(b.p, cut ? i : b.n);
            assert_int_equal(file_write_atomic(testing_path(state, name), bytes, 0600, NULL), 0);
            judge(state, cut ? "cut off" : "damaged", i);
            judge(state, "the next start", i);
        }
        if (!cut)
            b.p[i] ^= 0xff;
        assert_int_equal(file_remove_tree(testing_path(state, "spool"), NULL), 0);
        make_spool(state);
    }
    buf_free(&b);
}

static void a_sound_spool_goes_on(void **state)
{
    struct damage_seen seen;
    bool another;
    make_spool(state);
    start(state, &seen, &another);
    assert_false(another);
    assert_int_equal(seen.asked, 1u << 3);
    assert_int_equal(seen.listed, 1u << 1 | 1u << 2 | 1u << 3);
}

static void any_damaged_byte_of_the_log_starts_nothing_twice(void **state)
{
    each_byte(state, "spool/worker.log", false);
}

static void any_damaged_byte_of_a_keepers_file_starts_nothing_twice(void **state)
{
    each_byte(state, "spool/keeper-1.log", false);
}

static void a_log_that_is_cut_off_within_an_entry_starts_nothing_twice(void **state)
{
    each_byte(state, "spool/worker.log", true);
}

static void an_empty_or_missing_log_is_a_gap(void **state)
{
    make_spool(state);
    assert_int_equal(truncate(testing_path(state, "spool/worker.log"), 0), 0);
    judge(state, "empty", 0);
    assert_int_equal(file_remove_tree(testing_path(state, "spool"), NULL), 0);
    make_spool(state);
    assert_int_equal(unlink(testing_path(state, "spool/worker.log")), 0);
    judge(state, "missing", 0);
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, testing_folder, testing_folder_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_sound_spool_goes_on),
        in_folder(any_damaged_byte_of_the_log_starts_nothing_twice),
        in_folder(any_damaged_byte_of_a_keepers_file_starts_nothing_twice),
        in_folder(a_log_that_is_cut_off_within_an_entry_starts_nothing_twice),
        in_folder(an_empty_or_missing_log_is_a_gap),
    };
    setenv("TMPDIR", "/dev/shm", 0); /* thousands of syncs, which cost nothing there */
    return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
