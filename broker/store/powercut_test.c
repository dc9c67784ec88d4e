/* powercut_test.c - promise 1 at the broker's disk: the power may fail at any sync, and any
 * unsynced part may be lost; what was reported committed is there, and nothing torn is taken for a
 * record. */
#include "broker/store/testscript.h"

/* Is the moment before op `end` one at which something changes: before and after each sync,
   deletion and report? */
static bool is_boundary(size_t end)
{
    enum disk_kind before = end ? disk_now->ops[end - 1].kind : DISK_SYNC;
    enum disk_kind next = end < disk_now->n_ops ? disk_now->ops[end].kind : DISK_SYNC;
    return before == DISK_SYNC || next == DISK_SYNC || before == DISK_DELETE ||
           before == DISK_REPORTED;
}

/* Cuts the power at every `stride`th boundary; before a sync, what was written since the last one
 * is also kept completely and in `torn` samples of its sectors. */
static void cut_everywhere(struct script *s, void live(struct script *), unsigned stride,
                           unsigned torn)
{
    unsigned boundaries = 0, images = 0;
    disk_mend();
    script_clear(s);
    disk_now->recording = true;
    assert_int_equal(script_run(s, live), 0);
    disk_now->recording = false;
    assert_int_equal(disk_now->reported, s->n);
    for (size_t end = 0, seen = 0; end <= disk_now->n_ops; end++) {
        if (!is_boundary(end) || seen++ % stride)
            continue;
        boundaries++;
        script_judge_cut(s, end, DISK_ONLY_SYNCED, 1);
        script_judge_cut(s, end, DISK_ALL_KEPT, 1);
        for (uint64_t seed = 1; seed <= torn; seed++)
            script_judge_cut(s, end, DISK_TORN, (end + 1) * 2654435761u + seed);
        images += 2 + torn;
    }
    print_message("%u records, %zu operations on the disk: %u cuts, %u images\n", s->n,
                  disk_now->n_ops, boundaries, images);
}

static void a_power_cut_loses_no_call_reported_committed(void **state)
{
    struct script s;
    script_begin(&s, *state, 60);
    cut_everywhere(&s, script_live, 1, 4);
    script_end(&s);
}

static void a_power_cut_while_the_wal_is_written_back_loses_nothing(void **state)
{
    struct script s;
    script_begin(&s, *state, 300);
    cut_everywhere(&s, script_live_long, script_stride(7), 3);
    unsigned pages = 0;
    for (size_t i = 0; i < disk_now->n_ops; i++)
        pages += disk_now->ops[i].kind == DISK_WRITE && disk_now->ops[i].file == 0;
    assert_true(pages > 20);
    script_end(&s);
}

static void a_power_cut_on_a_pregrown_wal_loses_nothing(void **state)
{
    struct script s;
    script_begin(&s, *state, 30);
    s.pregrow = true;
    cut_everywhere(&s, script_live, script_stride(9), 3);
    script_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_power_cut_loses_no_call_reported_committed),
        in_world(a_power_cut_while_the_wal_is_written_back_loses_nothing),
        in_world(a_power_cut_on_a_pregrown_wal_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
