/* landlock_test.c - the list of files, as the kernel's calls would get it. What the list does is
 * tested where there is a kernel that has it (make check-vm). */
#include "common/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <unistd.h>

#include "runner/landlock.h"

enum { RULES = 8, WRITE_FILE = 1 << 1, READ_DIR = 1 << 3, MAKE_REG = 1 << 8, EXECUTE = 1 << 0 };

/* What a kernel of this version was asked for. */
static struct {
    int version;
    size_t size;
    uint64_t attributes[3], allowed[RULES];
    unsigned n;
} kernel;

static long create(const void *attributes, size_t size, uint32_t flags)
{
    if (flags == LANDLOCK_CREATE_RULESET_VERSION) {
        errno = ENOSYS;
        return kernel.version ? kernel.version : -1;
    }
    kernel.size = size;
    memcpy(kernel.attributes, attributes, size);
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static long add(int ruleset, int type, const void *rule, uint32_t flags)
{
    struct landlock_path_beneath_attr r;
    memcpy(&r, rule, sizeof r);
    if (ruleset < 0 || type != LANDLOCK_RULE_PATH_BENEATH || flags || kernel.n == RULES) {
        errno = EINVAL;
        return -1;
    }
    kernel.allowed[kernel.n++] = r.allowed_access;
    return 0;
}

static const struct landlock_calls calls = {create, add};

static struct landlock_list begin(int version)
{
    struct landlock_list l;
    memset(&kernel, 0, sizeof kernel);
    kernel.version = version;
    assert_int_equal(landlock_begin(&calls, &l, NULL), 0);
    return l;
}

static void a_kernel_without_it_has_no_list(void **state)
{
    (void)state;
    struct landlock_list l;
    struct error err = {0};
    kernel.version = 0;
    assert_int_equal(landlock_version(&calls), 0);
    assert_int_equal(landlock_begin(&calls, &l, &err), -ENOTSUP);
    assert_int_equal(l.fd, -1);
    assert_contains(err.text, "this kernel has no Landlock");
}

static void each_version_is_asked_for_all_that_it_can_refuse(void **state)
{
    (void)state;
    static const struct {
        int version;
        uint64_t files, scopes;
        size_t size;
    } rows[] = {{1, 0x1fff, 0, 8}, {2, 0x3fff, 0, 8},  {3, 0x7fff, 0, 8}, {4, 0x7fff, 0, 8},
                {5, 0xffff, 0, 8}, {6, 0xffff, 2, 24}, {7, 0xffff, 2, 24}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct landlock_list l = begin(rows[i].version);
        assert_int_equal(kernel.attributes[0], rows[i].files);
        assert_int_equal(kernel.attributes[1], 0);
        assert_int_equal(kernel.attributes[2], rows[i].scopes);
        assert_int_equal(kernel.size, rows[i].size);
        close(l.fd);
    }
}

static void what_is_read_can_be_executed_and_never_written(void **state)
{
    (void)state;
    struct landlock_list l = begin(6);
    assert_int_equal(landlock_allow(&l, "/usr", LANDLOCK_READ, NULL), 0);
    assert_int_equal(landlock_allow(&l, "/usr", LANDLOCK_WRITE, NULL), 0);
    assert_int_equal(kernel.n, 2);
    assert_int_equal(kernel.allowed[0], 0xd);
    assert_int_equal(kernel.allowed[1] & (MAKE_REG | WRITE_FILE | EXECUTE),
                     MAKE_REG | WRITE_FILE | EXECUTE);
    assert_int_equal(kernel.allowed[1] & ~kernel.attributes[0], 0);
    close(l.fd);
}

static void a_file_has_only_rights_of_files(void **state)
{
    (void)state;
    struct landlock_list l = begin(6);
    assert_int_equal(landlock_allow(&l, "/proc/self/status", LANDLOCK_WRITE, NULL), 0);
    assert_int_equal(landlock_allow(&l, "/dev/null", LANDLOCK_DEVICE, NULL), 0);
    assert_int_equal(kernel.allowed[0] & (READ_DIR | MAKE_REG), 0);
    assert_int_equal(kernel.allowed[1] & (READ_DIR | MAKE_REG | EXECUTE), 0);
    assert_int_equal(kernel.allowed[1] & WRITE_FILE, WRITE_FILE);
    close(l.fd);
}

static void a_path_that_is_not_there_is_left_out(void **state)
{
    struct landlock_list l = begin(1);
    assert_int_equal(landlock_allow(&l, testing_path(state, "none"), LANDLOCK_READ, NULL), 0);
    assert_int_equal(kernel.n, 0);
    close(l.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_kernel_without_it_has_no_list),
        cmocka_unit_test(each_version_is_asked_for_all_that_it_can_refuse),
        cmocka_unit_test(what_is_read_can_be_executed_and_never_written),
        cmocka_unit_test(a_file_has_only_rights_of_files),
        in_folder(a_path_that_is_not_there_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
