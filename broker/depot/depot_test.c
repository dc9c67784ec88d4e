#include <errno.h>
#include <unistd.h>

#include "broker/depot/inside.h"
#include "common/testing.h"

static struct hash hash_of(const char *text)
{
    struct hash h;
    crypto_generichash(h.b, sizeof h.b, (const uint8_t *)text, strlen(text), NULL, 0);
    return h;
}

/* Principal `who` sends a part of `whole` at `now`. */
static enum depot_put put_of(struct depot *d, uint8_t who, int64_t now, const char *whole,
                             uint64_t offset, const char *part, uint64_t *ret)
{
    struct error err = {0};
    struct depot_piece p = {.hash = hash_of(whole),
                            .who = {{who}},
                            .offset = offset,
                            .size = strlen(whole),
                            .data = span_str(part),
                            .now = now};
    return depot_put(d, &p, ret, &err);
}

static enum depot_put put(struct depot *d, const char *whole, uint64_t offset, const char *part,
                          uint64_t *ret)
{
    return put_of(d, 1, 0, whole, offset, part, ret);
}

/* Gives principal 1's upload its name, as after PARENT_PLAN. */
static void name(void **state, struct depot *d, const char *whole)
{
    struct error err = {0};
    struct hash h = hash_of(whole), who = {{1}};
    struct depot_upload *u = depot_upload(d, &h, &who);
    assert_non_null(u);
    assert_int_equal(depot_name(testing_path(state, "depot"), u->part, &h, &err), 0);
    depot_upload_free(d, u);
}

static void an_interrupted_upload_continues_where_it_stopped(void **state)
{
    struct error err = {0};
    struct buf out = {0};
    uint64_t at, size;
    struct hash h = hash_of("hello, depot");
    struct depot *d = depot_new(testing_path(state, "depot"), 0, NULL, &err);
    assert_int_equal(put(d, "hello, depot", 0, "hello", &at), DEPOT_MORE);
    assert_int_equal(at, 5);
    assert_int_equal(put(d, "hello, depot", 0, "hello", &at), DEPOT_MORE); /* repeated */
    assert_int_equal(at, 5);
    assert_int_equal(put(d, "hello, depot", 9, "pot", &at), DEPOT_MORE); /* a gap */
    assert_int_equal(at, 5);
    assert_int_equal(put(d, "hello, depot", 5, ", depot", &at), DEPOT_WHOLE);
    assert_false(depot_has(d, &h, &size)); /* it is named only once it is on disk */
    name(state, d, "hello, depot");
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
    struct depot *d = depot_new(testing_path(state, "depot"), 0, NULL, &err);
    assert_int_equal(put(d, "hello", 0, "jello", &at), DEPOT_WRONG_HASH);
    assert_int_equal(depot_bytes(d), 0);
    assert_int_equal(put(d, "hello", 0, "hello", &at), DEPOT_WHOLE);
    depot_close(&d);
}

static void uploads_side_by_side_cannot_exceed_the_quota(void **state)
{
    struct error err = {0};
    uint64_t at;
    struct depot *d = depot_new(testing_path(state, "depot"), 2 * DEPOT_ENTRY + 10, NULL, &err);
    assert_int_equal(put(d, "12345", 0, "1", &at), DEPOT_MORE); /* its whole size counts */
    assert_int_equal(put(d, "abcdef", 0, "a", &at), DEPOT_FULL);
    assert_int_equal(put(d, "abcde", 0, "a", &at), DEPOT_MORE);
    assert_int_equal(depot_bytes(d), 2 * DEPOT_ENTRY + 10);
    assert_int_equal(put(d, "12345", 1, "xxxx", &at), DEPOT_WRONG_HASH);
    assert_int_equal(depot_bytes(d), DEPOT_ENTRY + 5);
    depot_close(&d);
}

static void a_principal_is_charged_for_what_it_uploads(void **state)
{
    struct error err = {0};
    uint64_t at;
    struct hash one = {{1}};
    struct budgets *b = budgets_new();
    budgets_set_pool(b, BUDGET_DEPOT, 8 * (DEPOT_ENTRY + 5));
    budgets_set_limit(b, BUDGET_DEPOT, 50);
    struct depot *d = depot_new(testing_path(state, "depot"), 0, b, &err);
    assert_int_equal(put(d, "11111", 0, "1", &at), DEPOT_MORE);
    assert_int_equal(put(d, "22222", 0, "22222", &at), DEPOT_WHOLE);
    name(state, d, "22222");
    assert_int_equal(budgets_used(b, &one, BUDGET_DEPOT), 2 * (DEPOT_ENTRY + 5));
    assert_int_equal(budgets_used(b, &one, BUDGET_UPLOADS), 1);
    assert_int_equal(put(d, "33333", 0, "3", &at), DEPOT_MORE);
    assert_int_equal(put(d, "44444", 0, "4", &at), DEPOT_MORE);
    assert_int_equal(put(d, "55555", 0, "5", &at), DEPOT_FULL); /* half of what is free */
    assert_int_equal(put_of(d, 2, 0, "55555", 0, "5", &at), DEPOT_MORE);
    depot_close(&d);
    budgets_free(&b);
}

static void uploads_of_one_principal_are_few_and_evict_no_others(void **state)
{
    struct error err = {0};
    uint64_t at;
    struct budgets *b = budgets_new();
    budgets_set_limit(b, BUDGET_UPLOADS, 2);
    struct depot *d = depot_new(testing_path(state, "depot"), 0, b, &err);
    assert_int_equal(put_of(d, 2, 0, "other", 0, "ot", &at), DEPOT_MORE);
    assert_int_equal(put_of(d, 1, 0, "11", 0, "1", &at), DEPOT_MORE);
    assert_int_equal(put_of(d, 1, 1000, "22", 0, "2", &at), DEPOT_MORE);
    assert_int_equal(put_of(d, 1, 2000, "33", 0, "3", &at), DEPOT_BUSY);
    assert_int_equal(put_of(d, 1, DEPOT_IDLE_OWN_MS, "33", 0, "3", &at), DEPOT_MORE);
    assert_int_equal(put_of(d, 1, DEPOT_IDLE_OWN_MS, "11", 0, "1", &at), DEPOT_BUSY);
    assert_int_equal(put_of(d, 2, DEPOT_IDLE_OWN_MS, "other", 2, "her", &at), DEPOT_WHOLE);
    depot_close(&d);
    budgets_free(&b);
}

static void an_upload_without_a_byte_for_ten_minutes_is_dropped(void **state)
{
    struct error err = {0};
    uint64_t at;
    struct depot *d = depot_new(testing_path(state, "depot"), 0, NULL, &err);
    assert_int_equal(put_of(d, 2, 0, "other", 0, "ot", &at), DEPOT_MORE);
    assert_int_equal(put_of(d, 1, DEPOT_IDLE_MS - 1, "11", 0, "1", &at), DEPOT_MORE);
    assert_int_equal(depot_bytes(d), 2 * DEPOT_ENTRY + 7);
    assert_int_equal(put_of(d, 1, DEPOT_IDLE_MS, "22", 0, "2", &at), DEPOT_MORE);
    assert_int_equal(depot_bytes(d), 2 * DEPOT_ENTRY + 4);
    depot_close(&d);
}

static void nobody_spoils_another_principals_upload(void **state)
{
    struct error err = {0};
    uint64_t at;
    struct depot *d = depot_new(testing_path(state, "depot"), 0, NULL, &err);
    assert_int_equal(put(d, "hello", 0, "he", &at), DEPOT_MORE);
    assert_int_equal(put_of(d, 2, 0, "hello", 2, "xxx", &at), DEPOT_MORE);
    assert_int_equal(at, 0);
    assert_int_equal(put_of(d, 2, 0, "hello", 0, "jello", &at), DEPOT_WRONG_HASH);
    assert_int_equal(put(d, "hello", 2, "llo", &at), DEPOT_WHOLE);
    depot_close(&d);
}

static int write_beside(void **state, const char *by, bool administrator, bool here,
                        const char *manifest, const char *signature)
{
    struct error err = {0};
    struct depot_beside b = {.hash = hash_of("package"),
                             .by = by,
                             .administrator = administrator,
                             .manifest = span_str(manifest),
                             .signature = span_str(signature)};
    return depot_write_beside(testing_path(state, "depot"), &b, here, &err);
}

static void manifest_and_signature_are_written_once(void **state)
{
    struct error err = {0};
    struct buf text = {0};
    char by[LIMIT_NAME + 1], file[100], hex[65];
    struct hash h = hash_of("package");
    struct depot *d = depot_new(testing_path(state, "depot"), 0, NULL, &err);
    assert_int_equal(write_beside(state, "anna", false, false, "{}", "signed"), 0);
    depot_uploader(testing_path(state, "depot"), &h, by);
    assert_string_equal(by, "anna");
    assert_int_equal(write_beside(state, "dora", false, true, "{}", "signed"), 0);
    assert_int_equal(write_beside(state, "dora", false, true, "{}", "forged"), -EEXIST);
    assert_int_equal(write_beside(state, "dora", false, true, "{1}", "signed"), -EEXIST);
    assert_int_equal(write_beside(state, "anna", false, true, "{1}", "signed"), -EEXIST);
    assert_int_equal(write_beside(state, "anna", false, true, "{}", "again"), 0);
    assert_int_equal(write_beside(state, "root", true, true, "{}", "mended"), 0);
    depot_uploader(testing_path(state, "depot"), &h, by);
    assert_string_equal(by, "anna");
    snprintf(file, sizeof file, "depot/%s.sig", hex_format(h.b, sizeof h.b, hex));
    assert_int_equal(file_read(testing_path(state, file), 100, &text, &err), 0);
    assert_true(span_eq_str(buf_span(&text), "mended"));
    buf_free(&text);
    depot_close(&d);
}

static void what_is_here_counts_again_after_a_restart(void **state)
{
    struct error err = {0};
    uint64_t at;
    struct depot *d = depot_new(testing_path(state, "depot"), 0, NULL, &err);
    assert_int_equal(put(d, "package", 0, "package", &at), DEPOT_WHOLE);
    assert_int_equal(write_beside(state, "anna", false, false, "{}", "signed"), 0);
    name(state, d, "package");
    depot_close(&d);
    d = depot_new(testing_path(state, "depot"), 0, NULL, &err);
    assert_int_equal(depot_bytes(d), DEPOT_ENTRY + 7 + 2 + 6);
    assert_string_equal(d->found->name, "anna");
    assert_int_equal(d->found->cost, depot_bytes(d));
    depot_close(&d);
}

static void a_restart_discards_incomplete_uploads(void **state)
{
    struct error err = {0};
    uint64_t at;
    struct depot *d = depot_new(testing_path(state, "depot"), 0, NULL, &err);
    put(d, "hello", 0, "he", &at);
    depot_close(&d);
    d = depot_new(testing_path(state, "depot"), 0, NULL, &err);
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
    struct depot *d = depot_new(testing_path(state, "depot"), 0, NULL, &err);
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
        in_folder(uploads_side_by_side_cannot_exceed_the_quota),
        in_folder(a_principal_is_charged_for_what_it_uploads),
        in_folder(uploads_of_one_principal_are_few_and_evict_no_others),
        in_folder(an_upload_without_a_byte_for_ten_minutes_is_dropped),
        in_folder(nobody_spoils_another_principals_upload),
        in_folder(manifest_and_signature_are_written_once),
        in_folder(what_is_here_counts_again_after_a_restart),
        in_folder(a_restart_discards_incomplete_uploads),
        in_folder(a_listing_of_packages_continues_where_a_page_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
