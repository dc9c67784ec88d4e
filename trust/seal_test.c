#include "trust/seal.h"

#include "trust/fixture.h"

static const struct seal_context context = {
    .kind = "parameter", .key = "k1", .package = {{1}}, .parameter = "password", .expires = NOW};

static struct seal_key server_key(char c)
{
    struct seal_key k;
    seal_key_from_seed(fixture_key(c).seed, &k);
    return k;
}

static struct buf sealed_for_server(void)
{
    struct seal_key k = server_key('s');
    struct buf out = {0};
    assert_int_equal(seal_value(&context, &k.public_key, span_str("hush"), &out, NULL), 0);
    return out;
}

static void a_sealed_value_opens_for_its_server(void **state)
{
    (void)state;
    struct seal_key k = server_key('s');
    struct buf b = sealed_for_server(), out = {0};
    assert_int_equal(b.n, 4 + SEAL_OVERHEAD);
    assert_null(memmem(b.p, b.n, "hush", 4));
    assert_int_equal(seal_open(&context, &k, buf_span(&b), &out, NULL), 0);
    assert_true(span_eq_str(buf_span(&out), "hush"));
    buf_free(&b);
    buf_free(&out);
}

static void an_empty_value_can_be_sealed(void **state)
{
    (void)state;
    struct seal_key k = server_key('s');
    struct buf b = {0}, out = {0};
    assert_int_equal(seal_value(&context, &k.public_key, SPAN_NONE, &b, NULL), 0);
    assert_int_equal(seal_open(&context, &k, buf_span(&b), &out, NULL), 0);
    assert_int_equal(out.n, 0);
    buf_free(&b);
    buf_free(&out);
}

static void the_same_value_is_sealed_differently_each_time(void **state)
{
    (void)state;
    struct buf a = sealed_for_server(), b = sealed_for_server();
    assert_memory_not_equal(a.p, b.p, a.n);
    buf_free(&a);
    buf_free(&b);
}

static void another_server_cannot_open_it(void **state)
{
    (void)state;
    struct seal_key other = server_key('x');
    struct buf b = sealed_for_server(), out = {0};
    struct error err = {0};
    assert_int_equal(seal_open(&context, &other, buf_span(&b), &out, &err), -EBADMSG);
    assert_contains(err.text, "'password' is not sealed to this server's key");
    assert_int_equal(out.n, 0);
    buf_free(&b);
}

static void a_sealed_value_that_was_moved_does_not_open(void **state)
{
    (void)state;
    struct seal_key k = server_key('s');
    struct buf b = sealed_for_server(), out = {0};
    struct seal_context moved[6];
    for (int i = 0; i < 6; i++)
        moved[i] = context;
    moved[0].kind = "output";
    moved[1].key = "k2";
    moved[2].package.b[31] = 1;
    moved[3].parameter = "user";
    moved[4].expires++;
    moved[5].kind = "parameterk"; /* the same letters, cut elsewhere */
    moved[5].key = "1";
    for (int i = 0; i < 6; i++) {
        struct error err = {0};
        assert_int_equal(seal_open(&moved[i], &k, buf_span(&b), &out, &err), -EBADMSG);
        assert_contains(err.text, "sealed for another");
        assert_int_equal(out.n, 0);
    }
    buf_free(&b);
}

static void no_byte_of_a_sealed_value_can_be_altered(void **state)
{
    (void)state;
    struct seal_key k = server_key('s');
    struct buf b = sealed_for_server(), out = {0};
    for (size_t at = 0; at < b.n; at++)
        for (int bit = 0; bit < 8; bit++) {
            b.p[at] ^= (uint8_t)(1 << bit);
            if (seal_open(&context, &k, buf_span(&b), &out, NULL) == 0)
                fail_msg("bit %d of byte %zu may be flipped", bit, at);
            b.p[at] ^= (uint8_t)(1 << bit);
        }
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(seal_open(&context, &k, span_of(b.p, n), &out, NULL), -EBADMSG);
    buf_free(&b);
}

static void a_point_that_is_not_a_key_is_refused(void **state)
{
    (void)state;
    struct hash zero = {{0}};
    struct buf out = {0};
    struct error err = {0};
    assert_int_equal(seal_value(&context, &zero, span_str("hush"), &out, &err), -EINVAL);
    assert_contains(err.text, "not a seal key");
    assert_int_equal(out.n, 0);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_value_opens_for_its_server),
        cmocka_unit_test(an_empty_value_can_be_sealed),
        cmocka_unit_test(the_same_value_is_sealed_differently_each_time),
        cmocka_unit_test(another_server_cannot_open_it),
        cmocka_unit_test(a_sealed_value_that_was_moved_does_not_open),
        cmocka_unit_test(no_byte_of_a_sealed_value_can_be_altered),
        cmocka_unit_test(a_point_that_is_not_a_key_is_refused),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
