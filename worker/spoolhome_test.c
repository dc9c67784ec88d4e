/* A spool in the home where it was written, and in a copy of it. */
#include <sys/stat.h>

#include "common/testing.h"
#include "worker/spool.h"

static struct spool *opened(void **state, const char *folder)
{
    struct spool *s = NULL;
    struct error err = {0};
    if (spool_open(&s, testing_path(state, folder), NULL, &err) < 0)
        fail_msg("%s", err.text);
    return s;
}

/* A worker that began there, as the next one finds it. */
static void killed(struct spool **s)
{
    struct error err = {0};
    assert_int_equal(spool_begun(*s, &err), 0);
    spool_close(s);
}

static void copy_file(void **state, const char *name)
{
    struct buf b = {0};
    struct error err = {0};
    char from[64], to[64];
    snprintf(from, sizeof from, "spool/%s", name);
    snprintf(to, sizeof to, "copy/%s", name);
    assert_int_equal(file_read(testing_path(state, from), 4096, &b, &err), 0);
    assert_int_equal(file_write_atomic(testing_path(state, to), buf_span(&b), 0600, &err), 0);
    buf_free(&b);
}

static void copy_home(void **state)
{
    assert_int_equal(mkdir(testing_path(state, "copy"), 0700), 0);
    copy_file(state, "id");
    copy_file(state, "life");
    copy_file(state, "worker.log");
}

static void the_next_worker_of_a_home_is_the_same_to_the_broker(void **state)
{
    struct spool *s = opened(state, "spool");
    struct id id = spool_id(s), nonce = spool_nonce(s), boot = spool_boot(s);
    assert_false(id_is_zero(nonce));
    killed(&s);
    s = opened(state, "spool");
    assert_true(id_eq(spool_id(s), id) && id_eq(spool_nonce(s), nonce));
    assert_true(id_eq(spool_boot(s), boot));
    assert_false(spool_has_gap(s));
    spool_close(&s);
}

static void a_renamed_home_stays_what_it_is(void **state)
{
    struct spool *s = opened(state, "spool");
    struct id id = spool_id(s), nonce = spool_nonce(s);
    killed(&s);
    assert_int_equal(rename(testing_path(state, "spool"), testing_path(state, "moved")), 0);
    s = opened(state, "moved");
    assert_true(id_eq(spool_id(s), id) && id_eq(spool_nonce(s), nonce));
    assert_false(spool_has_gap(s));
    spool_close(&s);
}

static void a_copy_gets_an_identity_of_its_own_and_goes_on_with_nothing(void **state)
{
    struct spool *s = opened(state, "spool"), *copy;
    struct id id = spool_id(s), nonce = spool_nonce(s), of_copy;
    struct error err = {0};
    assert_int_equal(spool_begun(s, &err), 0);
    copy_home(state); /* while the first one runs */
    copy = opened(state, "copy");
    of_copy = spool_id(copy);
    assert_false(id_eq(of_copy, id) || id_eq(spool_nonce(copy), nonce));
    assert_true(spool_has_gap(copy));
    killed(&copy);
    copy = opened(state, "copy"); /* now this is its home */
    assert_true(id_eq(spool_id(copy), of_copy));
    assert_false(spool_has_gap(copy));
    spool_close(&copy);
    killed(&s);
    s = opened(state, "spool");
    assert_true(id_eq(spool_id(s), id) && id_eq(spool_nonce(s), nonce));
    spool_close(&s);
}

static void a_copy_whose_start_is_cut_short_is_still_one(void **state)
{
    struct spool *s = opened(state, "spool");
    struct id id = spool_id(s);
    killed(&s);
    copy_home(state);
    s = opened(state, "copy");
    spool_close(&s); /* before spool_begun */
    s = opened(state, "copy");
    assert_true(spool_has_gap(s));
    assert_false(id_eq(spool_id(s), id));
    spool_close(&s);
}

static void after_a_boot_the_nonce_is_another_one(void **state)
{
    struct spool *s = opened(state, "spool");
    struct id id = spool_id(s), nonce = spool_nonce(s);
    const char *path = testing_path(state, "spool/life");
    const char other[] = "boot 01900000-0000-7000-8000-000000000001";
    struct buf b = {0};
    killed(&s);
    assert_int_equal(file_read(path, 1000, &b, NULL), 0);
    memcpy(b.p, other, sizeof other - 1);
    assert_int_equal(file_write_atomic(path, buf_span(&b), 0600, NULL), 0);
    buf_free(&b);
    s = opened(state, "spool");
    assert_true(id_eq(spool_id(s), id));
    assert_false(id_eq(spool_nonce(s), nonce)); /* a cloned disk looks like this, too */
    spool_close(&s);
}

static void a_spool_of_before_there_were_nonces_is_no_copy(void **state)
{
    struct spool *s = opened(state, "spool");
    struct id id = spool_id(s);
    const char *path = testing_path(state, "spool/life");
    struct buf b = {0};
    killed(&s);
    assert_int_equal(file_read(path, 1000, &b, NULL), 0);
    b.n = (size_t)(strstr(buf_str(&b), "nonce ") - buf_str(&b));
    assert_int_equal(file_write_atomic(path, buf_span(&b), 0600, NULL), 0);
    buf_free(&b);
    s = opened(state, "spool");
    assert_true(id_eq(spool_id(s), id));
    assert_false(id_is_zero(spool_nonce(s)));
    assert_false(spool_has_gap(s));
    spool_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(the_next_worker_of_a_home_is_the_same_to_the_broker),
        in_folder(a_renamed_home_stays_what_it_is),
        in_folder(a_copy_gets_an_identity_of_its_own_and_goes_on_with_nothing),
        in_folder(a_copy_whose_start_is_cut_short_is_still_one),
        in_folder(after_a_boot_the_nonce_is_another_one),
        in_folder(a_spool_of_before_there_were_nonces_is_no_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
