/* credentials_test.c - files that a proxy may hand out. */
#include "common/testing.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trust/credentials.h"

static struct error err;

static void a_private_file_is_read(void **state)
{
    struct buf out = {0}, items = {0};
    const char *path = testing_path(state, "wh");
    assert_int_equal(file_write_atomic(path, span_str("s3cret\n"), 0400, &err), 0);
    assert_int_equal(credentials_read(span_str("warehouse"), span_str(path), geteuid(), &out, &err),
                     0);
    assert_string_equal(buf_str(&out), "s3cret\n");
    value_add_str(&items, span_str("warehouse"));
    value_add_str(&items, span_str(path));
    struct wire_list all = wire_list_from(&items, 1);
    assert_int_equal(credentials_check(&all, geteuid(), &err), 0);
    assert_int_equal(chmod(path, 0444), 0);
    assert_int_equal(credentials_check(&all, geteuid(), &err), -EPERM);
    assert_contains(err.text, "credential 'warehouse': others can read");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(credentials_check(&all, geteuid(), &err), -ENOENT);
    buf_free(&out);
    buf_free(&items);
}

static void one_that_is_too_large_is_refused(void **state)
{
    struct buf out = {0}, text = {0};
    const char *path = testing_path(state, "wh");
    memset(buf_grow(&text, CREDENTIAL_BYTES + 1), 'x', CREDENTIAL_BYTES + 1);
    text.n = CREDENTIAL_BYTES + 1;
    assert_int_equal(file_write_atomic(path, buf_span(&text), 0400, &err), 0);
    assert_int_equal(credentials_read(span_str("wh"), span_str(path), geteuid(), &out, &err),
                     -EFBIG);
    assert_int_equal(out.n, 0);
    buf_free(&out);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_private_file_is_read),
        in_folder(one_that_is_too_large_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
