#include "broker/depot/depot.h"

#include <sodium.h>
#include <unistd.h>

#include "common/testing.h"

static struct hash hash_of(const char *text)
{
    struct hash h;
    crypto_generichash(h.b, sizeof h.b, (const uint8_t *)text, strlen(text), NULL, 0);
    return h;
}

static enum depot_put put(struct depot *d, const char *whole, uint64_t offset, const char *part,
                          uint64_t *ret)
{
    struct hash h = hash_of(whole);
    struct error err = {0};
    return depot_put(d, &h, offset, strlen(whole), span_str(part), ret, &err);
}

static void an_interrupted_upload_continues_where_it_stopped(void **state)
{
    struct error err = {0};
    struct buf out = {0};
    uint64_t at, size;
    struct hash h = hash_of("hello, depot");
    struct depot *d = depot_new(testing_path(state, "depot"), 0, &err);
    assert_int_equal(put(d, "hello, depot", 0, "hello", &at), DEPOT_MORE);
    assert_int_equal(at, 5);
    assert_int_equal(put(d, "hello, depot", 0, "hello", &at), DEPOT_MORE); /* repeated */
    assert_int_equal(at, 5);
    assert_int_equal(put(d, "hello, depot", 9, "pot", &at), DEPOT_MORE); /* a gap */
    assert_int_equal(at, 5);
    assert_int_equal(put(d, "hello, depot", 5, ", depot", &at), DEPOT_WHOLE);
    assert_false(depot_has(d, &h, &size)); /* it is named only once it is on disk */
    assert_int_equal(depot_name(testing_path(state, "depot"), &h, &err), 0);
    assert_true(depot_has(d, &h, &size));
    assert_int_equal(size, 12);
    assert_int_equal(depot_read(d, &h, 7, 100, &out, &size, &err), 0);
    assert_true(span_eq_str(buf_span(&out), "depot"));
    buf_free(&out);
    depot_close(&d);
}

static void bytes_with_the_wrong_hash_are_refused_and_deleted(void **state)
{
    struct error err = {0};
    uint64_t at;
    struct depot *d = depot_new(testing_path(state, "depot"), 0, &err);
    assert_int_equal(put(d, "hello", 0, "jello", &at), DEPOT_WRONG_HASH);
    assert_int_equal(depot_bytes(d), 0);
    assert_int_equal(put(d, "hello", 0, "hello", &at), DEPOT_WHOLE);
    depot_close(&d);
}

static void an_upload_beyond_the_quota_is_refused(void **state)
{
    struct error err = {0};
    uint64_t at;
    struct depot *d = depot_new(testing_path(state, "depot"), 8, &err);
    assert_int_equal(put(d, "123456789", 0, "1", &at), DEPOT_FULL);
    assert_int_equal(put(d, "12345", 0, "12345", &at), DEPOT_WHOLE);
    assert_int_equal(put(d, "abcde", 0, "a", &at), DEPOT_FULL);
    depot_close(&d);
}

static void a_restart_discards_incomplete_uploads(void **state)
{
    struct error err = {0};
    uint64_t at;
    struct depot *d = depot_new(testing_path(state, "depot"), 0, &err);
    put(d, "hello", 0, "he", &at);
    depot_close(&d);
    d = depot_new(testing_path(state, "depot"), 0, &err);
    assert_int_equal(depot_bytes(d), 0);
    assert_int_equal(put(d, "hello", 2, "llo", &at), DEPOT_MORE);
    assert_int_equal(at, 0);
    depot_close(&d);
}

struct depot_seen {
    struct hash last;
    unsigned n, most;
};

static bool see(void *self, const struct hash *hash, uint64_t size, struct span manifest)
{
    struct depot_seen *s = self;
    assert_true(size == 1 && manifest.n == 2);
    assert_true(!s->n || memcmp(&s->last, hash, sizeof *hash) < 0);
    s->last = *hash;
    return ++s->n < s->most;
}

static void a_listing_of_packages_continues_where_a_page_ended(void **state)
{
    enum { PACKAGES = 20 };
    struct error err = {0};
    struct depot *d = depot_new(testing_path(state, "depot"), 0, &err);
    for (unsigned i = 0; i < PACKAGES; i++) {
        char content[2] = {(char)('a' + i), 0}, name[80], hex[65];
        struct hash h = hash_of(content);
        snprintf(name, sizeof name, "depot/%s", hex_format(h.b, sizeof h.b, hex));
        assert_int_equal(
            file_write_atomic(testing_path(state, name), span_str(content), 0600, &err), 0);
        strcat(name, ".json");
        assert_int_equal(file_write_atomic(testing_path(state, name), span_str("{}"), 0600, &err),
                         0);
    }
    struct depot_seen all = {.most = 100}, first = {.most = 7}, rest = {.most = 100};
    depot_each(d, NULL, see, &all);
    depot_each(d, NULL, see, &first);
    depot_each(d, &first.last, see, &rest);
    assert_int_equal(all.n, PACKAGES);
    assert_int_equal(first.n, 7);
    assert_int_equal(rest.n, PACKAGES - 7);
    depot_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(an_interrupted_upload_continues_where_it_stopped),
        in_folder(bytes_with_the_wrong_hash_are_refused_and_deleted),
        in_folder(an_upload_beyond_the_quota_is_refused),
        in_folder(a_restart_discards_incomplete_uploads),
        in_folder(a_listing_of_packages_continues_where_a_page_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
