#include "worker/fence.h"

#include "common/testing.h"

#include <signal.h>
#include <sys/resource.h>

static const struct id boot = {{1}}, next_boot = {{2}};

static int64_t read_back(void **state)
{
    struct buf b = {0};
    struct error err = {0};
    int64_t at;
    assert_int_equal(file_read(testing_path(state, "fence"), 64, &b, &err), 0);
    assert_int_equal(b.n, sizeof at + sizeof(struct id));
    memcpy(&at, b.p, sizeof at);
    buf_free(&b);
    return at;
}

static void a_new_fence_is_zero_and_others_see_changes_at_once(void **state)
{
    struct fence *f = NULL;
    struct error err = {0};
    assert_int_equal(fence_open(&f, testing_path(state, "fence"), &boot, &err), 0);
    assert_int_equal(read_back(state), 0);
    assert_int_equal(fence_set(f, 123456789, &err), 0);
    assert_int_equal(read_back(state), 123456789);
    fence_close(&f);
}

static void the_number_outlives_the_process(void **state)
{
    struct fence *f = NULL;
    struct error err = {0};
    assert_int_equal(fence_open(&f, testing_path(state, "fence"), &boot, &err), 0);
    assert_int_equal(fence_set(f, 42, &err), 0);
    fence_close(&f);
    assert_int_equal(fence_open(&f, testing_path(state, "fence"), &boot, &err), 0);
    assert_int_equal(read_back(state), 42);
    fence_close(&f);
    fence_close(&f);
}

static void the_number_from_another_boot_is_ignored(void **state)
{
    struct fence *f = NULL;
    struct error err = {0};
    assert_int_equal(fence_open(&f, testing_path(state, "fence"), &boot, &err), 0);
    assert_int_equal(fence_set(f, 42, &err), 0);
    fence_close(&f);
    assert_int_equal(fence_open(&f, testing_path(state, "fence"), &next_boot, &err), 0);
    assert_int_equal(read_back(state), 0);
    fence_close(&f);
}

static void a_missing_folder_is_named(void **state)
{
    struct fence *f = NULL;
    struct error err = {0};
    assert_true(fence_open(&f, testing_path(state, "nothing/fence"), &boot, &err) < 0);
    assert_contains(err.text, "nothing/fence");
}

/* A file size limit acts as a full disk for this process alone. */
static void a_full_file_system_is_an_error_and_no_end(void **state)
{
    struct fence *f = NULL;
    struct error err = {0};
    struct rlimit was, full;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    full = was;
    full.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    int first = fence_open(&f, testing_path(state, "fence"), &boot, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_true(first < 0);
    assert_contains(err.text, "cannot write the fence");
    assert_int_equal(fence_open(&f, testing_path(state, "fence"), &boot, &err), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    int second = fence_set(f, 42, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_true(second < 0);
    assert_int_equal(read_back(state), 0);
    fence_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_new_fence_is_zero_and_others_see_changes_at_once),
        in_folder(the_number_outlives_the_process),
        in_folder(the_number_from_another_boot_is_ignored),
        in_folder(a_missing_folder_is_named),
        in_folder(a_full_file_system_is_an_error_and_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
