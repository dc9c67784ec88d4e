#include "trust/batch.h"

#include "trust/fixture.h"

enum { MANY = 40 };

struct batch_sample {
    struct buf bodies[MANY], outs[MANY];
    struct span spans[MANY];
    size_t n;
};

static void batch_make(struct batch_sample *b, size_t n)
{
    struct key k = fixture_key('a');
    *b = (struct batch_sample){.n = n};
    for (size_t i = 0; i < n; i++) {
        buf_printf(&b->bodies[i], "call number %zu", i);
        b->spans[i] = buf_span(&b->bodies[i]);
    }
    assert_int_equal(batch_sign(&k, "anna", 7, b->spans, n, b->outs, NULL), 0);
}

static void batch_end(struct batch_sample *b)
{
    for (size_t i = 0; i < b->n; i++) {
        buf_free(&b->bodies[i]);
        buf_free(&b->outs[i]);
    }
}

static void each_call_of_a_batch_can_be_verified_alone(void **state)
{
    (void)state;
    struct key k = fixture_key('a');
    for (size_t n = 1; n <= MANY; n++) {
        struct batch_sample b;
        batch_make(&b, n);
        for (size_t i = 0; i < n; i++) {
            struct d_signed s;
            struct error err = {0};
            if (batch_open(buf_span(&b.outs[i]), &k.sign, NULL, &s, &err) < 0)
                fail_msg("%zu of %zu: %s", i, n, err.text);
            assert_true(span_eq(s.body, b.spans[i]));
            assert_int_equal(s.index, i);
        }
        batch_end(&b);
    }
}

/* The documented formula, written out independently. */
static void the_root_follows_the_documented_formula(void **state)
{
    (void)state;
    struct batch_sample b;
    uint8_t leaf[2][32], node[65] = {1}, text[32 + 16] = "longboat/call/1";
    batch_make(&b, 2);
    for (int i = 0; i < 2; i++) {
        uint8_t plain[64] = {0};
        memcpy(plain + 1, b.spans[i].p, b.spans[i].n);
        crypto_generichash(leaf[i], 32, plain, b.spans[i].n + 1, NULL, 0);
    }
    memcpy(node + 1, leaf[0], 32);
    memcpy(node + 33, leaf[1], 32);
    crypto_generichash(text + 16, 32, node, sizeof node, NULL, 0);
    struct d_signed s;
    assert_int_equal(d_signed_decode(buf_span(&b.outs[1]), &s, NULL), 0);
    assert_int_equal(crypto_sign_verify_detached(s.signature.p, text, sizeof text, s.key.b), 0);
    assert_int_equal(s.proof.count, 1);
    batch_end(&b);
}

static void a_single_call_has_an_empty_proof(void **state)
{
    (void)state;
    struct batch_sample b;
    struct d_signed s;
    batch_make(&b, 1);
    assert_int_equal(d_signed_decode(buf_span(&b.outs[0]), &s, NULL), 0);
    assert_int_equal(s.proof.count, 0);
    batch_end(&b);
}

static void a_batch_costs_its_receiver_one_signature_check(void **state)
{
    (void)state;
    struct key k = fixture_key('a');
    struct verified_roots roots = {0};
    struct batch_sample b;
    struct d_signed s;
    batch_make(&b, MANY);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(batch_open(buf_span(&b.outs[i]), &k.sign, &roots, &s, NULL), 0);
    assert_int_equal(roots.misses, 1);
    assert_int_equal(roots.hits, MANY - 1);
    batch_end(&b);
}

/* Every byte of an envelope but the names beside it, which certificate_open compares: see
   call_test.c. */
static void every_flipped_byte_is_refused(struct verified_roots *roots)
{
    struct key k = fixture_key('a');
    struct batch_sample b;
    struct d_signed s;
    batch_make(&b, 5);
    struct span whole = buf_span(&b.outs[3]);
    if (roots)
        assert_int_equal(batch_open(whole, &k.sign, roots, &s, NULL), 0);
    for (size_t at = 0; at < whole.n; at++)
        for (int bit = 0; bit < 8; bit++) {
            struct buf copy = buf_dup(whole);
            copy.p[at] ^= (uint8_t)(1 << bit);
            struct d_signed was = {.index = 4711};
            s = was;
            if (batch_open(buf_span(&copy), &k.sign, roots, &s, NULL) == 0) {
                if (span_eq_str(s.signer, "anna") && s.serial == 7)
                    fail_msg("bit %d of byte %zu may be flipped", bit, at);
            } else {
                assert_memory_equal(&s, &was, sizeof s);
            }
            buf_free(&copy);
        }
    batch_end(&b);
}

static void no_byte_of_a_call_can_be_altered(void **state)
{
    (void)state;
    every_flipped_byte_is_refused(NULL);
}

static void no_byte_can_be_altered_after_its_batch_was_verified(void **state)
{
    (void)state;
    struct verified_roots roots = {0};
    every_flipped_byte_is_refused(&roots);
    assert_int_equal(roots.misses, 1);
}

static void a_root_verified_for_one_key_is_not_verified_for_another(void **state)
{
    (void)state;
    struct key a = fixture_key('a'), other = fixture_key('b');
    struct verified_roots roots = {0};
    struct batch_sample b;
    struct d_signed s;
    struct buf forged = {0};
    batch_make(&b, 1);
    assert_int_equal(batch_open(buf_span(&b.outs[0]), &a.sign, &roots, &s, NULL), 0);
    s.key = other.sign;
    d_signed_encode(&s, &forged);
    assert_int_equal(batch_open(buf_span(&forged), &other.sign, &roots, &s, NULL), -EBADMSG);
    assert_int_equal(batch_open(buf_span(&b.outs[0]), &other.sign, &roots, &s, NULL), -EBADMSG);
    buf_free(&forged);
    batch_end(&b);
}

static void a_node_does_not_pass_for_a_call(void **state)
{
    (void)state;
    struct key k = fixture_key('a');
    struct batch_sample b;
    struct d_signed s, out;
    struct buf forged = {0};
    uint8_t node[64];
    batch_make(&b, 2);
    assert_int_equal(d_signed_decode(buf_span(&b.outs[0]), &s, NULL), 0);
    crypto_generichash_state h;
    crypto_generichash_init(&h, NULL, 0, 32);
    crypto_generichash_update(&h, (const uint8_t[]){0}, 1);
    crypto_generichash_update(&h, s.body.p, s.body.n);
    crypto_generichash_final(&h, node, 32);
    struct wire_iter it = wire_iter(&s.proof);
    struct span side;
    assert_true(wire_next(&it, &side));
    memcpy(node + 32, side.p, 32);
    s.body = span_of(node, sizeof node);
    s.proof = (struct wire_list){SPAN_NONE, 0};
    d_signed_encode(&s, &forged);
    assert_int_equal(batch_open(buf_span(&forged), &k.sign, NULL, &out, NULL), -EBADMSG);
    buf_free(&forged);
    batch_end(&b);
}

static void a_place_outside_the_batch_is_refused(void **state)
{
    (void)state;
    struct key k = fixture_key('a');
    struct batch_sample b;
    batch_make(&b, 4);
    struct d_signed s, out;
    assert_int_equal(d_signed_decode(buf_span(&b.outs[1]), &s, NULL), 0);
    static const uint64_t wrong[] = {1 + 4, 1 + (1ull << 40), UINT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        struct buf forged = {0};
        struct error err = {0};
        s.index = wrong[i];
        d_signed_encode(&s, &forged);
        assert_int_equal(batch_open(buf_span(&forged), &k.sign, NULL, &out, &err), -EBADMSG);
        assert_contains(err.text, "batch of at most 2^2");
        buf_free(&forged);
    }
    batch_end(&b);
}

static void a_hash_of_another_length_in_a_proof_is_refused(void **state)
{
    (void)state;
    struct key k = fixture_key('a');
    struct batch_sample b;
    struct d_signed s, out;
    struct buf items = {0}, forged = {0};
    struct error err = {0};
    batch_make(&b, 1);
    assert_int_equal(d_signed_decode(buf_span(&b.outs[0]), &s, NULL), 0);
    wire_add_bin(&items, span_of(k.sign.b, 31));
    s.proof = wire_list_from(&items, 1);
    d_signed_encode(&s, &forged);
    assert_int_equal(batch_open(buf_span(&forged), &k.sign, NULL, &out, &err), -EBADMSG);
    assert_contains(err.text, "31 bytes");
    buf_free(&items);
    buf_free(&forged);
    batch_end(&b);
}

static void old_verified_roots_are_forgotten_and_verified_again(void **state)
{
    (void)state;
    struct key k = fixture_key('a');
    struct verified_roots roots = {0};
    struct d_signed s;
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i <= VERIFIED_ROOTS; i++) {
            struct buf out = {0};
            char body[32];
            snprintf(body, sizeof body, "call %d", i);
            assert_int_equal(
                envelope_sign(ENVELOPE_CALL, &k, "anna", 7, span_str(body), &out, NULL), 0);
            assert_int_equal(batch_open(buf_span(&out), &k.sign, &roots, &s, NULL), 0);
            buf_free(&out);
        }
    assert_int_equal(roots.used, VERIFIED_ROOTS);
    assert_int_equal(roots.hits, 0);
    assert_int_equal(roots.misses, 2 * (VERIFIED_ROOTS + 1));
}

static void an_empty_or_oversized_batch_is_not_signed(void **state)
{
    (void)state;
    struct key k = fixture_key('a');
    struct error err = {0};
    assert_int_equal(batch_sign(&k, "anna", 7, NULL, 0, NULL, &err), -E2BIG);
    assert_int_equal(batch_sign(&k, "anna", 7, NULL, BATCH_MAX + 1, NULL, &err), -E2BIG);
    assert_contains(err.text, "65536");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_call_of_a_batch_can_be_verified_alone),
        cmocka_unit_test(the_root_follows_the_documented_formula),
        cmocka_unit_test(a_single_call_has_an_empty_proof),
        cmocka_unit_test(a_batch_costs_its_receiver_one_signature_check),
        cmocka_unit_test(no_byte_of_a_call_can_be_altered),
        cmocka_unit_test(no_byte_can_be_altered_after_its_batch_was_verified),
        cmocka_unit_test(a_root_verified_for_one_key_is_not_verified_for_another),
        cmocka_unit_test(a_node_does_not_pass_for_a_call),
        cmocka_unit_test(a_place_outside_the_batch_is_refused),
        cmocka_unit_test(a_hash_of_another_length_in_a_proof_is_refused),
        cmocka_unit_test(old_verified_roots_are_forgotten_and_verified_again),
        cmocka_unit_test(an_empty_or_oversized_batch_is_not_signed),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
