#include "trust/revocation.h"

#include "trust/fixture.h"

static struct buf next_of(const struct revocations *r, uint64_t serial)
{
    struct key k = fixture_key('A');
    struct buf out = {0};
    assert_int_equal(revocations_next(r, "test", serial, NOW, &k, &out, NULL), 0);
    return out;
}

static enum refusal take(struct revocations *r, struct span bytes)
{
    struct trust_anchors anchors = fixture_anchors();
    enum refusal code = REFUSAL_NONE;
    struct error err = {0};
    uint64_t number = r->number;
    int rc = revocations_take(r, bytes, &anchors, &code, &err);
    assert_true(rc < 0 ? code != REFUSAL_NONE && err.text[0] && r->number == number
                       : code == REFUSAL_NONE);
    anchors_free(&anchors);
    return code;
}

static void revoke(struct revocations *r, uint64_t serial)
{
    struct buf b = next_of(r, serial);
    assert_int_equal(take(r, buf_span(&b)), REFUSAL_NONE);
    buf_free(&b);
}

static void a_serial_that_is_not_listed_is_not_revoked(void **state)
{
    (void)state;
    struct revocations r = {0};
    assert_false(revocations_contain(&r, 0));
    assert_false(revocations_contain(&r, 7));
}

static void each_list_adds_one_serial(void **state)
{
    (void)state;
    static const uint64_t serials[] = {50, 10, 90, 20, UINT64_MAX, 1};
    struct revocations r = {0};
    for (size_t i = 0; i < 6; i++) {
        revoke(&r, serials[i]);
        assert_int_equal(r.number, i + 1);
        assert_int_equal(r.n, i + 1);
        assert_int_equal(r.issued_at, NOW);
        for (size_t j = 0; j < 6; j++)
            assert_int_equal(revocations_contain(&r, serials[j]), j <= i);
        assert_false(revocations_contain(&r, 15));
    }
    revocations_free(&r);
}

static void the_same_list_again_changes_nothing(void **state)
{
    (void)state;
    struct trust_anchors anchors = fixture_anchors();
    struct revocations r = {0};
    struct buf b = next_of(&r, 7);
    assert_int_equal(revocations_take(&r, buf_span(&b), &anchors, NULL, NULL), 1);
    assert_int_equal(revocations_take(&r, buf_span(&b), &anchors, NULL, NULL), 0);
    buf_free(&b);
    revocations_free(&r);
    anchors_free(&anchors);
}

static void the_number_only_grows(void **state)
{
    (void)state;
    struct revocations r = {0}, empty = {0};
    struct buf first = next_of(&empty, 7), other_first = next_of(&empty, 8);
    assert_int_equal(take(&r, buf_span(&first)), REFUSAL_NONE);
    assert_int_equal(take(&r, buf_span(&other_first)), REFUSAL_CONFLICT);
    revoke(&r, 9);
    assert_int_equal(take(&r, buf_span(&first)), REFUSAL_REPLAYED);
    assert_true(revocations_contain(&r, 9));
    buf_free(&first);
    buf_free(&other_first);
    revocations_free(&r);
}

static void no_byte_of_a_list_can_be_altered(void **state)
{
    (void)state;
    struct revocations r = {0}, empty = {0};
    revoke(&r, 7);
    struct buf b = next_of(&r, 8);
    for (size_t at = 0; at < b.n; at++)
        for (int bit = 0; bit < 8; bit++) {
            b.p[at] ^= (uint8_t)(1 << bit);
            assert_int_not_equal(take(&empty, buf_span(&b)), REFUSAL_NONE);
            b.p[at] ^= (uint8_t)(1 << bit);
        }
    buf_free(&b);
    revocations_free(&r);
}

static enum refusal take_raw(const struct d_revocations *d, char administrator)
{
    struct key k = fixture_key(administrator);
    struct revocations r = {0};
    struct buf body = {0}, out = {0};
    d_revocations_encode(d, &body);
    assert_int_equal(envelope_sign(ENVELOPE_REVOCATIONS, &k, "", 0, buf_span(&body), &out, NULL),
                     0);
    enum refusal code = take(&r, buf_span(&out));
    buf_free(&body);
    buf_free(&out);
    revocations_free(&r);
    return code;
}

static void each_wrong_field_has_its_refusal(void **state)
{
    (void)state;
    static const uint8_t two[16] = {[7] = 5, [15] = 9}, falling[16] = {[7] = 9, [15] = 5},
                         same[16] = {[7] = 5, [15] = 5}, zero[8] = {0};
    const struct d_revocations good = {
        .cluster = span_str("test"), .number = 1, .serials = span_of(two, 16)};
    struct d_revocations d = good;
    assert_int_equal(take_raw(&d, 'A'), REFUSAL_NONE);
    assert_int_equal(take_raw(&d, 'x'), REFUSAL_BAD_SIGNATURE);
    d.cluster = span_str("other");
    assert_int_equal(take_raw(&d, 'A'), REFUSAL_UNKNOWN_PRINCIPAL);
    d = good;
    d.number = 0;
    assert_int_equal(take_raw(&d, 'A'), REFUSAL_MALFORMED);
    d = good;
    d.serials.n = 15;
    assert_int_equal(take_raw(&d, 'A'), REFUSAL_MALFORMED);
    d.serials = span_of(falling, 16);
    assert_int_equal(take_raw(&d, 'A'), REFUSAL_MALFORMED);
    d.serials = span_of(same, 16);
    assert_int_equal(take_raw(&d, 'A'), REFUSAL_MALFORMED);
    d.serials = span_of(zero, 8);
    assert_int_equal(take_raw(&d, 'A'), REFUSAL_MALFORMED);
}

static void a_signed_document_that_is_not_a_list_is_malformed(void **state)
{
    (void)state;
    struct key k = fixture_key('A');
    struct revocations r = {0};
    struct buf out = {0};
    assert_int_equal(
        envelope_sign(ENVELOPE_REVOCATIONS, &k, "", 0, span_str("nothing"), &out, NULL), 0);
    assert_int_equal(take(&r, buf_span(&out)), REFUSAL_MALFORMED);
    buf_free(&out);
}

static void a_list_larger_than_a_message_is_not_read(void **state)
{
    (void)state;
    struct revocations r = {0};
    uint8_t *large = mem_zalloc(LIMIT_FRAME + 1, 1);
    assert_int_equal(take(&r, span_of(large, LIMIT_FRAME + 1)), REFUSAL_TOO_LARGE);
    mem_free(&large);
}

static void a_serial_is_revoked_once(void **state)
{
    (void)state;
    struct key k = fixture_key('A');
    struct revocations r = {0};
    struct buf out = {0};
    struct error err = {0};
    revoke(&r, 7);
    assert_int_equal(revocations_next(&r, "test", 7, NOW, &k, &out, &err), -EALREADY);
    assert_contains(err.text, "serial 7");
    assert_int_equal(revocations_next(&r, "test", 0, NOW, &k, &out, &err), -EINVAL);
    assert_int_equal(revocations_next(&r, "Test", 8, NOW, &k, &out, &err), -EINVAL);
    assert_int_equal(out.n, 0);
    revocations_free(&r);
}

static void a_full_list_takes_no_more(void **state)
{
    (void)state;
    struct key k = fixture_key('A');
    struct revocations r = {.number = 1, .n = LIMIT_REVOKED - 1};
    struct buf out = {0};
    struct error err = {0};
    r.serials = mem_zalloc(LIMIT_REVOKED, sizeof *r.serials);
    for (size_t i = 0; i < LIMIT_REVOKED; i++)
        r.serials[i] = i + 1;
    struct buf last = next_of(&r, LIMIT_REVOKED);
    struct revocations taken = {0};
    assert_int_equal(take(&taken, buf_span(&last)), REFUSAL_NONE);
    assert_int_equal(taken.n, LIMIT_REVOKED);
    r.n = LIMIT_REVOKED;
    assert_int_equal(revocations_next(&r, "test", LIMIT_REVOKED + 1, NOW, &k, &out, &err), -ENOSPC);
    assert_contains(err.text, "20000");
    buf_free(&last);
    revocations_free(&taken);
    revocations_free(&r);
}

static void a_list_is_kept_in_a_file(void **state)
{
    const char *path = testing_path(state, "revocations");
    struct trust_anchors anchors = fixture_anchors();
    struct revocations r = {0}, back = {0};
    struct error err = {0};
    assert_int_equal(revocations_load(&back, path, &anchors, &err), 0);
    assert_int_equal(back.number, 0);
    revoke(&r, 7);
    assert_int_equal(file_write_atomic(path, buf_span(&r.signed_bytes), 0644, NULL), 0);
    assert_int_equal(revocations_load(&back, path, &anchors, &err), 0);
    assert_true(revocations_contain(&back, 7));
    assert_int_equal(file_write_atomic(path, span_str("nothing"), 0644, NULL), 0);
    assert_int_equal(revocations_load(&back, path, &anchors, &err), -EPROTO);
    assert_contains(err.text, path);
    assert_int_equal(revocations_load(&back, (const char *)*state, &anchors, &err), -EISDIR);
    assert_true(revocations_contain(&back, 7));
    revocations_free(&r);
    revocations_free(&back);
    anchors_free(&anchors);
}

static void ones_own_list_is_recalled_whoever_signed_it(void **state)
{
    const char *path = testing_path(state, "own");
    struct revocations r = {0}, back = {0};
    struct error err = {0};
    assert_int_equal(revocations_recall(&back, path, "test", &err), 0);
    assert_int_equal(back.number, 0);
    revoke(&r, 7);
    assert_int_equal(file_write_atomic(path, buf_span(&r.signed_bytes), 0400, NULL), 0);
    assert_int_equal(revocations_recall(&back, path, "another", &err), 0);
    assert_int_equal(back.number, 0);
    assert_int_equal(revocations_recall(&back, path, "test", &err), 0);
    assert_int_equal(back.number, 1);
    assert_true(revocations_contain(&back, 7));
    assert_int_equal(file_write_atomic(path, span_str("nothing"), 0400, NULL), 0);
    assert_int_equal(revocations_recall(&back, path, "test", &err), -EPROTO);
    assert_contains(err.text, path);
    assert_true(revocations_contain(&back, 7));
    revocations_free(&r);
    revocations_free(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_serial_that_is_not_listed_is_not_revoked),
        cmocka_unit_test(each_list_adds_one_serial),
        cmocka_unit_test(the_same_list_again_changes_nothing),
        cmocka_unit_test(the_number_only_grows),
        cmocka_unit_test(no_byte_of_a_list_can_be_altered),
        cmocka_unit_test(each_wrong_field_has_its_refusal),
        cmocka_unit_test(a_signed_document_that_is_not_a_list_is_malformed),
        cmocka_unit_test(a_list_larger_than_a_message_is_not_read),
        cmocka_unit_test(a_serial_is_revoked_once),
        cmocka_unit_test(a_full_list_takes_no_more),
        in_folder(a_list_is_kept_in_a_file),
        in_folder(ones_own_list_is_recalled_whoever_signed_it),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
