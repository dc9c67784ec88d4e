#include "worker/revoked.h"

#include "common/testing.h"

struct revoked_house {
    struct key administrator;
    struct trust_anchors anchors;
};

#define must(call) \
    do { \
        if ((call) < 0) \
            fail_msg("%s: %s", #call, err.text); \
    } while (0)

static void begin(struct revoked_house *h)
{
    struct error err = {0};
    must(trust_init(&err));
    key_make(&h->administrator);
    anchors_from("test", &h->administrator.sign, 1, &h->anchors);
}

/* The next list, with one more serial, signed by this key. */
static struct buf next_list(const struct revocations *r, uint64_t serial, const struct key *key)
{
    struct error err = {0};
    struct buf b = {0};
    must(revocations_next(r, "test", serial, 1700000000000, key, &b, &err));
    return b;
}

static void a_newer_list_survives_a_restart(void **state)
{
    struct revoked_house h;
    struct revoked r;
    struct error err = {0};
    begin(&h);
    must(revoked_open(&r, testing_path(state, "revocations"), &h.anchors, &err));
    assert_int_equal(r.list.number, 0);
    struct buf list = next_list(&r.list, 42, &h.administrator);
    assert_int_equal(revoked_take(&r, buf_span(&list), &h.anchors, &err), 1);
    assert_int_equal(revoked_take(&r, buf_span(&list), &h.anchors, &err), 0);
    revoked_close(&r);
    must(revoked_open(&r, testing_path(state, "revocations"), &h.anchors, &err));
    assert_true(revocations_contain(&r.list, 42));
    revoked_close(&r);
    buf_free(&list);
    anchors_free(&h.anchors);
}

static void a_list_with_an_untrusted_signature_changes_nothing(void **state)
{
    struct revoked_house h;
    struct revoked r;
    struct key stranger;
    struct error err = {0};
    struct buf kept = {0};
    begin(&h);
    key_make(&stranger);
    must(revoked_open(&r, testing_path(state, "revocations"), &h.anchors, &err));
    struct buf list = next_list(&r.list, 42, &stranger);
    assert_true(revoked_take(&r, buf_span(&list), &h.anchors, &err) < 0);
    assert_false(revocations_contain(&r.list, 42));
    assert_true(file_read(testing_path(state, "revocations"), 1000, &kept, &err) < 0);
    revoked_close(&r);
    buf_free(&list);
    anchors_free(&h.anchors);
}

static void an_invalid_file_is_refused(void **state)
{
    struct revoked_house h;
    struct revoked r;
    struct error err = {0};
    begin(&h);
    must(file_write_atomic(testing_path(state, "revocations"), span_str("nonsense"), 0600, &err));
    assert_true(revoked_open(&r, testing_path(state, "revocations"), &h.anchors, &err) < 0);
    anchors_free(&h.anchors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_newer_list_survives_a_restart),
        in_folder(a_list_with_an_untrusted_signature_changes_nothing),
        in_folder(an_invalid_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
