/* memory_test.c - promise 15, memory: the nth allocation in the life of a broker with its store
 * fails, whether our code, SQLite or the C library makes it: for every n in `make faults`, for a
 * sample in `make check`. The process ends as everywhere when memory is out, with exit code 71, and
 * its successor finds what was reported committed. */
#include "broker/store/testscript.h"

#include <dlfcn.h>
#include <execinfo.h>

/* In shared memory, because the child counts. Only the life runs out of memory, not the judge. */
static struct {
    _Atomic unsigned seen, nth;
    _Atomic bool borne; /* the failure is harmless */
    void *asked[32];    /* the callers, for the report */
    int n_asked;
} * allocations;
static bool short_of_memory;
static _Thread_local unsigned benign; /* SQLite can do without what it now allocates */

static bool fails(void)
{
    return short_of_memory && ++allocations->seen == allocations->nth;
}

/* Reading the stack may itself allocate memory. */
static void note_who_asked(void)
{
    short_of_memory = false;
    allocations->n_asked = backtrace(allocations->asked, 32);
    short_of_memory = true;
}

/* SQLite does without a larger hash table, say; and a WAL that cannot be written back while the
 * store is closed stays beside it. */
static bool without_it(void)
{
    return benign || disk_now->closing;
}

static void benign_begin(void)
{
    benign++;
}

static void benign_end(void)
{
    benign--;
}

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
/* A sanitizer brings its own malloc, so here only SQLite's allocations fail. */
static sqlite3_mem_methods plain;

static void *none(void)
{
    note_who_asked();
    allocations->borne = without_it();
    return NULL;
}

static void *failing_malloc(int n)
{
    return fails() ? none() : plain.xMalloc(n);
}

static void *failing_realloc(void *p, int n)
{
    return fails() ? none() : plain.xRealloc(p, n);
}

static void begin_to_fail(void)
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
    short_of_memory = true;
}
#else
/* glibc allows a program to have its own malloc and names the one that it would have used
 * (malloc(3), "Replacing malloc" in glibc's manual). */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

/* The C library does without some (vasprintf keeps its larger block if it cannot get a smaller one)
 * and reports others (a thread that cannot start: the store refuses to start). */
static bool from_libc(const void *code)
{
    Dl_info from;
    return dladdr(code, &from) &&
           (strstr(from.dli_fname, "/libc.so") || strstr(from.dli_fname, "/ld-linux"));
}

static void *none(void *asked_by)
{
    note_who_asked();
    allocations->borne = without_it() || from_libc(asked_by);
    errno = ENOMEM;
    return NULL;
}

void *malloc(size_t n)
{
    return fails() ? none(__builtin_return_address(0)) : __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
    return fails() ? none(__builtin_return_address(0)) : __libc_calloc(count, n);
}

void *realloc(void *p, size_t n)
{
    return fails() ? none(__builtin_return_address(0)) : __libc_realloc(p, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    return fails() ? none(__builtin_return_address(0)) : __libc_memalign(alignment, n);
}

static void begin_to_fail(void)
{
    short_of_memory = true;
}
#endif

static void live(struct script *s)
{
    begin_to_fail();
    sqlite3_test_control(SQLITE_TESTCTRL_BENIGN_MALLOC_HOOKS, benign_begin, benign_end);
    script_live(s);
}

/* Also in a child: this process must not have opened a store before its children choose their
   allocator. */
static void judge(struct script *s)
{
    script_judge(s, disk_now->reported, "after memory was out");
}

static void a_failed_allocation_ends_the_process_and_loses_nothing(void **state)
{
    struct script s;
    unsigned points = 0, borne = 0;
    allocations =
        mmap(NULL, sizeof *allocations, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(allocations != MAP_FAILED);
    script_begin(&s, *state, 16);
    for (unsigned n = 1;; n += n < 20 ? 1 : script_stride(67)) {
        script_clear(&s);
        disk_mend();
        allocations->seen = 0;
        allocations->nth = n;
        allocations->borne = false;
        int code = script_run(&s, live);
        if (allocations->seen < n)
            break;
        bool went_on = allocations->borne &&
                       (code == SCRIPT_REFUSED || (code == 0 && disk_now->reported == s.n));
        if (code != EXIT_OUT_OF_MEMORY && !went_on) {
            backtrace_symbols_fd(allocations->asked, allocations->n_asked, STDOUT_FILENO);
            fail_msg("allocation %u failed and the exit code was %d", n, code);
        }
        assert_int_equal(script_run(&s, judge), 0);
        points++;
        borne += went_on;
    }
    assert_true(points > 20);
    print_message("memory: %u of %u allocations failed, each in a life of its own; "
                  "%u were done without or refused\n",
                  points, allocations->seen, borne);
    munmap(allocations, sizeof *allocations);
    script_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(a_failed_allocation_ends_the_process_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
