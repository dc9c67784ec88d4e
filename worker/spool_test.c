#include "worker/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/testing.h"

static struct id run_of(unsigned n)
{
    struct id id = {{0}};
    id.b[0] = (uint8_t)n;
    id.b[15] = 1;
    return id;
}

static const char *folder_of(void **state)
{
    return testing_path(state, "spool");
}

static struct spool *opened(void **state)
{
    struct spool *s = NULL;
    struct error err = {0};
    if (spool_open(&s, folder_of(state), NULL, &err) < 0)
        fail_msg("%s", err.text);
    return s;
}

struct spool_seen {
    unsigned n, stepped, launched, others;
    unsigned runs[64];
};

static int see(void *self, uint64_t kind, struct span entry, struct error *err)
{
    struct spool_seen *seen = self;
    struct s_stepped s;
    struct s_launched l;
    if (kind == KIND_S_STEPPED && s_stepped_decode(entry, &s, err) == 0) {
        seen->runs[seen->n] = s.run.b[0];
        seen->stepped++;
    } else if (kind == KIND_S_LAUNCHED && s_launched_decode(entry, &l, err) == 0) {
        seen->runs[seen->n] = l.run.b[0];
        seen->launched++;
    } else {
        seen->others++;
    }
    seen->n++;
    return 0;
}

static void put_stepped(struct spool *s, unsigned run)
{
    struct buf b = {0};
    struct s_stepped e = {.run = run_of(run), .attempt = 1, .step = span_str("run"), .try_no = 1};
    s_stepped_encode(&e, &b);
    spool_put(s, buf_span(&b));
    buf_free(&b);
}

/* Appends as a keeper would: `output` bytes of OUTPUT, or LAUNCHED if that is 0. */
static void keeper_writes(void **state, const char *name, unsigned run, size_t output)
{
    struct error err = {0};
    struct spoolfile *f = NULL;
    struct buf b = {0}, data = {0};
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder_of(state), name);
    assert_int_equal(spoolfile_open_append(path, 0600, &f, NULL, &err), 0);
    if (output) {
        memset(buf_grow(&data, output), 'x', output);
        data.n = output;
        struct s_output o = {.run = run_of(run),
                             .attempt = 1,
                             .step = span_str("run"),
                             .try_no = 1,
                             .stream = 1,
                             .data = buf_span(&data)};
        s_output_encode(&o, &b);
    } else {
        struct s_launched l = {
            .run = run_of(run), .attempt = 1, .step = span_str("run"), .try_no = 1};
        s_launched_encode(&l, &b);
    }
    assert_int_equal(spoolfile_append(f, buf_span(&b), &err), 0);
    spoolfile_close(&f);
    buf_free(&b);
    buf_free(&data);
}

static bool knows_only_run_1(void *self, struct id run, uint64_t attempt)
{
    (void)self;
    return run.b[0] == 1 && attempt == 1;
}

static void a_spools_id_is_made_once(void **state)
{
    struct spool *s = opened(state);
    struct id id = spool_id(s);
    assert_false(id_is_zero(id));
    spool_close(&s);
    s = opened(state);
    assert_true(id_eq(id, spool_id(s)));
    spool_close(&s);
}

static void a_bad_id_is_refused(void **state)
{
    struct spool *s = opened(state);
    struct error err = {0};
    spool_close(&s);
    assert_int_equal(
        file_write_atomic(testing_path(state, "spool/id"), span_str("nonsense"), 0600, &err), 0);
    assert_true(spool_open(&s, folder_of(state), NULL, &err) < 0);
    assert_contains(err.text, "spool/id");
}

static void a_second_worker_on_the_spool_is_refused(void **state)
{
    struct spool *s = opened(state), *other = NULL;
    struct error err = {0};
    assert_int_equal(spool_open(&other, folder_of(state), NULL, &err), -EBUSY);
    char *pid = mem_printf("is held by process %d", (int)getpid());
    assert_contains(err.text, "a worker for this home already runs; stop it first");
    assert_contains(err.text, pid);
    mem_free(&pid);
    spool_close(&s);
}

static void flushed_entries_are_replayed_before_those_of_keepers(void **state)
{
    struct spool *s = opened(state);
    struct error err = {0};
    struct spool_seen seen = {0};
    keeper_writes(state, "keeper-0.log", 7, 0);
    put_stepped(s, 1);
    put_stepped(s, 2);
    assert_int_equal(spool_flush(s, &err), 0);
    put_stepped(s, 3); /* never flushed: the process dies */
    spool_close(&s);
    s = opened(state);
    assert_int_equal(spool_replay(s, see, &seen, &err), 0);
    assert_int_equal(seen.n, 3);
    assert_int_equal(seen.runs[0], 1);
    assert_int_equal(seen.runs[1], 2);
    assert_int_equal(seen.runs[2], 7);
    spool_close(&s);
}

static void files_that_appear_and_grow_are_followed(void **state)
{
    struct spool *s = opened(state);
    struct error err = {0};
    struct spool_seen seen = {0};
    assert_int_equal(spool_replay(s, see, &seen, &err), 0);
    assert_int_equal(seen.n, 0);
    keeper_writes(state, "keeper-0.log", 1, 0);
    assert_int_equal(spool_follow(s, see, &seen, &err), 0);
    assert_int_equal(seen.launched, 1);
    keeper_writes(state, "keeper-0.log", 2, 0);
    keeper_writes(state, "runner.log", 3, 0);
    keeper_writes(state, "keeper-0.1.log", 4, 0);
    keeper_writes(state, "notes.log", 5, 0);
    keeper_writes(state, "keeper-0.x.log", 6, 0);
    assert_int_equal(spool_follow(s, see, &seen, &err), 0);
    assert_int_equal(seen.launched, 4);
    assert_int_equal(spool_follow(s, see, &seen, &err), 0);
    assert_int_equal(seen.launched, 4);
    spool_close(&s);
}

static void output_is_noted_and_not_handed_over(void **state)
{
    struct spool *s = opened(state);
    struct error err = {0};
    struct spool_seen seen = {0};
    size_t n;
    keeper_writes(state, "keeper-0.log", 1, 1000);
    keeper_writes(state, "keeper-0.log", 1, 0);
    assert_int_equal(spool_replay(s, see, &seen, &err), 0);
    assert_int_equal(seen.n, 1);
    struct spool_file **f = spool_files(s, &n);
    assert_int_equal(n, 1);
    assert_in_range(f[0]->output_to, 1000, 1200);
    spool_close(&s);
}

static void a_damaged_file_is_named(void **state)
{
    struct spool *s = opened(state);
    struct error err = {0};
    struct spool_seen seen = {0};
    assert_int_equal(file_write_atomic(testing_path(state, "spool/keeper-3.log"),
                                       span_str("nonsense of a file"), 0600, &err),
                     0);
    assert_true(spool_replay(s, see, &seen, &err) < 0);
    assert_contains(err.text, "keeper-3.log");
    spool_close(&s);
}

static void tidying_keeps_known_attempts_and_drops_the_rest(void **state)
{
    struct spool *s = opened(state);
    struct error err = {0};
    struct spool_seen seen = {0};
    put_stepped(s, 1);
    for (unsigned i = 2; i < 40; i++)
        put_stepped(s, i);
    assert_int_equal(spool_tidy(s, true, knows_only_run_1, NULL, &err), 0);
    put_stepped(s, 50);
    assert_int_equal(spool_flush(s, &err), 0);
    spool_close(&s);
    s = opened(state);
    assert_int_equal(spool_replay(s, see, &seen, &err), 0);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.runs[0], 1);
    assert_int_equal(seen.runs[1], 50);
    spool_close(&s);
}

static bool is_there(void **state, const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", folder_of(state), name);
    return access(path, F_OK) == 0;
}

static void a_generation_is_removed_when_read_shipped_and_no_longer_needed(void **state)
{
    struct spool *s = opened(state);
    struct error err = {0};
    struct spool_seen seen = {0};
    size_t n;
    keeper_writes(state, "keeper-0.log", 1, 0);   /* known: stays */
    keeper_writes(state, "keeper-0.1.log", 2, 0); /* goes */
    keeper_writes(state, "keeper-0.2.log", 2, 9); /* its output is not yet shipped: stays */
    keeper_writes(state, "keeper-0.3.log", 2, 0); /* unread and the last: stays */
    keeper_writes(state, "runner.log", 2, 0);     /* the last of its kind: stays */
    assert_int_equal(spool_replay(s, see, &seen, &err), 0);
    assert_int_equal(spool_tidy(s, false, knows_only_run_1, NULL, &err), 0);
    assert_true(is_there(state, "keeper-0.log"));
    assert_false(is_there(state, "keeper-0.1.log"));
    assert_true(is_there(state, "keeper-0.2.log"));
    assert_true(is_there(state, "keeper-0.3.log"));
    assert_true(is_there(state, "runner.log"));
    struct spool_file **f = spool_files(s, &n);
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++)
        f[i]->shipped = f[i]->output_to;
    assert_int_equal(spool_tidy(s, false, knows_only_run_1, NULL, &err), 0);
    assert_false(is_there(state, "keeper-0.2.log"));
    spool_close(&s);
}

/* Two keepers start within one tick of the kernel's clock, and the folder is read in between. */
static void a_file_created_within_the_same_clock_tick_is_found(void **state)
{
    struct spool *s = opened(state);
    struct spool_seen seen = {0};
    struct error err = {0};
    struct stat st;
    keeper_writes(state, "keeper-1.log", 1, 0);
    assert_int_equal(spool_follow(s, see, &seen, &err), 0);
    assert_int_equal(seen.launched, 1);
    assert_int_equal(stat(folder_of(state), &st), 0);
    keeper_writes(state, "keeper-2.log", 2, 0);
    const struct timespec same[] = {st.st_atim, st.st_mtim};
    assert_int_equal(utimensat(AT_FDCWD, folder_of(state), same, 0), 0);
    assert_int_equal(spool_follow(s, see, &seen, &err), 0);
    assert_int_equal(seen.launched, 2);
    spool_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_spools_id_is_made_once),
        in_folder(a_bad_id_is_refused),
        in_folder(a_second_worker_on_the_spool_is_refused),
        in_folder(flushed_entries_are_replayed_before_those_of_keepers),
        in_folder(files_that_appear_and_grow_are_followed),
        in_folder(output_is_noted_and_not_handed_over),
        in_folder(a_damaged_file_is_named),
        in_folder(tidying_keeps_known_attempts_and_drops_the_rest),
        in_folder(a_generation_is_removed_when_read_shipped_and_no_longer_needed),
        in_folder(a_file_created_within_the_same_clock_tick_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
