/* memory_test.c - promise 15, memory: the nth allocation that SQLite makes in a broker's life fails, for a sample of
 * n. The process ends as it does everywhere when memory is out, with exit code 71, and its successor finds what was
 * reported committed. SQLite is not asked to go on with half of something. */
#include "broker/store/script.h"

/* In shared memory: the child counts. */
static struct {
    _Atomic unsigned seen, nth;
} * allocations;
static sqlite3_mem_methods plain;

static void *failing_malloc(int n)
{
    return ++allocations->seen == allocations->nth ? NULL : plain.xMalloc(n);
}

static void *failing_realloc(void *p, int n)
{
    return ++allocations->seen == allocations->nth ? NULL : plain.xRealloc(p, n);
}

static void live(struct script *s)
{
    sqlite3_mem_methods m;
    sqlite3_shutdown();
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain) != SQLITE_OK)
        _exit(95);
    m = plain;
    m.xMalloc = failing_malloc;
    m.xRealloc = failing_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &m) != SQLITE_OK)
        _exit(94);
    script_live(s);
}

/* In a child too: this process must not have opened a store before its children choose their memory. */
static void judge(struct script *s)
{
    script_judge(s, the_disk->reported, "after memory was out");
}

static void memory_that_sqlite_cannot_get_ends_the_process_and_loses_nothing(void **state)
{
    struct script s;
    unsigned points = 0;
    allocations = mmap(NULL, sizeof *allocations, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(allocations != MAP_FAILED);
    script_begin(&s, *state, 16);
    for (unsigned n = 1;; n += n < 20 ? 1 : 67) {
        script_clear(&s);
        disk_mend();
        allocations->seen = 0;
        allocations->nth = n;
        int code = script_run(&s, live);
        if (allocations->seen < n)
            break;
        if (code != EXIT_OUT_OF_MEMORY)
            fail_msg("allocation %u failed and the exit code was %d", n, code);
        assert_int_equal(script_run(&s, judge), 0);
        points++;
    }
    assert_true(points > 20);
    print_message("%u of %u allocations failed\n", points, allocations->seen);
    munmap(allocations, sizeof *allocations);
    script_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(memory_that_sqlite_cannot_get_ends_the_process_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
