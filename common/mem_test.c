#include "common/mem.h"
#include "common/testing.h"

#include <sys/wait.h>
#include <unistd.h>

static void zero_bytes_can_be_allocated_and_freed(void **state)
{
    (void)state;
    void *a = mem_alloc(0), *b = mem_zalloc(0, 8), *c = mem_realloc(NULL, 0, 0),
         *d = mem_dup(NULL, 0);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_non_null(d);
    mem_free(&a);
    mem_free(&b);
    mem_free(&c);
    mem_free(&d);
    assert_null(a);
    mem_free(&a);
}

static void zeroed_memory_is_zero(void **state)
{
    (void)state;
    uint8_t *p = mem_zalloc(100, 3);
    for (int i = 0; i < 300; i++)
        assert_int_equal(p[i], 0);
    mem_free(&p);
}

static void structs_are_aligned_beyond_what_malloc_guarantees(void **state)
{
    (void)state;
    struct wide {
        _Alignas(64) uint8_t bytes[192];
    };
    struct wide *many[20];
    for (size_t i = 0; i < 20; i++) {
        many[i] = mem_znew(struct wide);
        assert_int_equal((uintptr_t)many[i] % 64, 0);
        for (size_t k = 0; k < sizeof many[i]->bytes; k++)
            assert_int_equal(many[i]->bytes[k], 0);
        memset(many[i], 1, sizeof *many[i]);
    }
    for (size_t i = 0; i < 20; i++)
        mem_free(&many[i]);
}

static void copies_are_whole(void **state)
{
    (void)state;
    char *s = mem_strdup("abc"), *t = mem_printf("%s-%d", s, 7);
    assert_string_equal(s, "abc");
    assert_string_equal(t, "abc-7");
    s = mem_realloc(s, 100, 1);
    assert_string_equal(s, "abc");
    mem_free(&s);
    mem_free(&t);
}

static int exit_code_of(void (*act)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        close(STDERR_FILENO);
        act();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void overflow_by_realloc(void)
{
    mem_realloc(NULL, SIZE_MAX / 2, 3);
}

/* its calloc reports the overflow in its own way \ */
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
static void overflow_by_zalloc(void)
{
    mem_zalloc(SIZE_MAX / 2, 3);
}
#endif

static void a_size_that_overflows_ends_the_process(void **state)
{
    (void)state;
    assert_int_equal(exit_code_of(overflow_by_realloc), EXIT_OUT_OF_MEMORY);
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    assert_int_equal(exit_code_of(overflow_by_zalloc), EXIT_OUT_OF_MEMORY);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_bytes_can_be_allocated_and_freed),
        cmocka_unit_test(zeroed_memory_is_zero),
        cmocka_unit_test(structs_are_aligned_beyond_what_malloc_guarantees),
        cmocka_unit_test(copies_are_whole),
        cmocka_unit_test(a_size_that_overflows_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
