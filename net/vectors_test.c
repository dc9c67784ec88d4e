/* vectors_test.c - the C side reads what proto/vectors.json calls good, makes the same bytes, and
 * refuses the rest. It is in net/ because that is the lowest room that knows sessions; the wire and
 * the signatures are below it. */
#include <errno.h>
#include <jansson.h>

#include "common/id.h"
#include "common/testing.h"
#include "net/session.h"
#include "trust/audit.h"
#include "trust/batch.h"
#include "trust/certificate.h"
#include "trust/possession.h"

/* vectors.json lies below the top of the tree, where `make` runs the tests. */
static json_t *vectors;

static int read_vectors(void **state)
{
    json_error_t why;
    struct error err = {0};
    (void)state;
    vectors = json_load_file("proto/vectors.json", 0, &why);
    if (!vectors) {
        fprintf(stderr, "proto/vectors.json:%d: %s\n", why.line, why.text);
        return -1;
    }
    return trust_init(&err);
}

static int free_vectors(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

static const char *text_of(const json_t *item, const char *key)
{
    const char *text = json_string_value(json_object_get(item, key));
    assert_non_null(text);
    return text;
}

static struct buf bytes_of(const char *hex)
{
    struct buf b = {0};
    size_t n = strlen(hex) / 2;
    uint8_t *to = buf_grow(&b, n);
    assert_int_equal(n ? hex_parse(hex, to, n) : 0, 0);
    b.n = n;
    return b;
}

static struct buf good(const char *name)
{
    size_t i;
    json_t *item;
    json_array_foreach (json_object_get(vectors, "good"), i, item) {
        if (strcmp(text_of(item, "name"), name) == 0)
            return bytes_of(text_of(item, "hex"));
    }
    fail_msg("no vector '%s'", name);
    return (struct buf){0};
}

static struct hash key_of(const char *who, const char *which)
{
    struct hash key;
    const json_t *keys = json_object_get(json_object_get(vectors, "keys"), who);
    assert_int_equal(hex_parse(text_of(keys, which), key.b, sizeof key.b), 0);
    return key;
}

static struct trust_anchors anchors(void)
{
    struct trust_anchors a;
    struct hash administrator = key_of("administrator", "sign");
    anchors_from(text_of(vectors, "cluster"), &administrator, 1, &a);
    return a;
}

/* Decodes with the schema of the kind that it begins with. */
static int decode(struct span in, void *ret, const struct wire_schema **ret_schema,
                  struct error *err)
{
    uint64_t kind;
    size_t size;
    int rc = wire_peek(in, &kind, &size, err);
    if (rc < 0)
        return rc;
    if (size != in.n)
        return error_set(err, -EPROTO, "trailing bytes");
    *ret_schema = messages_schema_of_kind(kind, NULL);
    return *ret_schema ? wire_decode(*ret_schema, in, false, ret, err) : -EPROTO;
}

static void assert_reads_and_packs(const char *name, struct span in)
{
    _Alignas(max_align_t) uint8_t decoded[1024];
    const struct wire_schema *schema;
    struct buf again = {0};
    struct error err = {0};
    if (decode(in, decoded, &schema, &err) < 0)
        fail_msg("%s: %s", name, err.text);
    assert_true(schema->size <= sizeof decoded);
    wire_encode(schema, decoded, &again);
    if (!span_eq(buf_span(&again), in))
        fail_msg("%s: it packs to other bytes", name);
    buf_free(&again);
}

/* Head and messages, each by itself. */
static void assert_frame(const char *name, struct span in)
{
    uint64_t kind;
    size_t size;
    while (in.n) {
        assert_int_equal(wire_peek(in, &kind, &size, NULL), 0);
        assert_reads_and_packs(name, span_of(in.p, size));
        in = span_of(in.p + size, in.n - size);
    }
}

static void assert_signed(const char *name, const char *kind, struct span in)
{
    struct d_signed s;
    struct error err = {0};
    if (d_signed_decode(in, &s, &err) < 0 || envelope_open(kind, in, &s.key, &s, &err) < 0)
        fail_msg("%s: %s", name, err.text);
}

static void assert_certificate(const char *name, struct span in)
{
    struct trust_anchors a = anchors();
    struct certificate c = {0};
    struct error err = {0};
    const int64_t now = json_integer_value(json_object_get(vectors, "now"));
    if (certificate_verify(in, &a, now, &c, NULL, &err) < 0)
        fail_msg("%s: %s", name, err.text);
    certificate_free(&c);
    anchors_free(&a);
}

static void good_vectors_are_read_and_encode_to_the_same_bytes(void **state)
{
    static const char prefix[] = "signed ";
    size_t i;
    json_t *item;
    (void)state;
    json_array_foreach (json_object_get(vectors, "good"), i, item) {
        const char *name = text_of(item, "name"), *is = text_of(item, "is");
        struct buf b = bytes_of(text_of(item, "hex"));
        bool is_signed = strncmp(is, prefix, strlen(prefix)) == 0;
        if (is_signed || strcmp(is, "document") == 0 || strcmp(is, "message") == 0)
            assert_reads_and_packs(name, buf_span(&b));
        if (is_signed)
            assert_signed(name, is + strlen(prefix), buf_span(&b));
        if (strcmp(is, "signed certificate") == 0)
            assert_certificate(name, buf_span(&b));
        if (strcmp(is, "frame") == 0)
            assert_frame(name, buf_span(&b));
        buf_free(&b);
    }
    assert_true(i > 20);
}

static void malformed_vectors_are_refused(void **state)
{
    _Alignas(max_align_t) uint8_t decoded[1024];
    const struct wire_schema *schema;
    size_t i;
    json_t *item;
    (void)state;
    json_array_foreach (json_object_get(vectors, "ill_formed"), i, item) {
        struct buf b = bytes_of(text_of(item, "hex"));
        struct error err = {0};
        if (decode(buf_span(&b), decoded, &schema, &err) == 0)
            fail_msg("'%s' was read", text_of(item, "name"));
        buf_free(&b);
    }
    assert_true(i > 20);
}

static void wrongly_signed_vectors_are_refused(void **state)
{
    const struct hash anna = key_of("anna", "sign");
    size_t i;
    json_t *item;
    (void)state;
    json_array_foreach (json_object_get(vectors, "wrongly_signed"), i, item) {
        struct buf b = bytes_of(text_of(item, "hex"));
        struct d_signed s;
        struct error err = {0};
        assert_int_equal(d_signed_decode(buf_span(&b), &s, &err), 0); /* it is well formed */
        if (envelope_open(text_of(item, "kind"), buf_span(&b), &anna, &s, &err) == 0)
            fail_msg("'%s' was believed", text_of(item, "name"));
        buf_free(&b);
    }
    assert_true(i > 8);
}

static void untrustworthy_certificates_are_refused(void **state)
{
    struct trust_anchors a = anchors();
    const int64_t now = json_integer_value(json_object_get(vectors, "now"));
    size_t i;
    json_t *item;
    (void)state;
    json_array_foreach (json_object_get(vectors, "bad_certificates"), i, item) {
        struct buf b = bytes_of(text_of(item, "hex"));
        struct certificate c = {0};
        struct error err = {0};
        if (certificate_verify(buf_span(&b), &a, now, &c, NULL, &err) == 0)
            fail_msg("'%s' was believed", text_of(item, "name"));
        buf_free(&b);
    }
    assert_true(i > 10);
    anchors_free(&a);
}

static void only_the_key_itself_asks_for_its_certificate(void **state)
{
    const struct hash anna = key_of("anna", "sign");
    struct buf certificate = good("certificate of anna"), own = good("possession of anna's key");
    struct error err = {0};
    size_t i;
    json_t *item;
    (void)state;
    assert_int_equal(possession_check(&anna, buf_span(&certificate), buf_span(&own), &err), 0);
    json_array_foreach (json_object_get(vectors, "bad_possessions"), i, item) {
        struct buf b = bytes_of(text_of(item, "hex"));
        if (possession_check(&anna, buf_span(&certificate), buf_span(&b), &err) == 0)
            fail_msg("'%s' was believed", text_of(item, "name"));
        buf_free(&b);
    }
    assert_true(i > 6);
    buf_free(&certificate);
    buf_free(&own);
}

static void a_batch_of_three_has_these_proofs(void **state)
{
    static const char *const bodies[] = {"d_call", "d_call, the second of a batch of three",
                                         "d_call, the third of a batch of three"};
    static const char *const words[] = {"first", "second", "third"};
    struct buf b[3], made[3] = {{0}};
    struct span spans[3];
    struct key key;
    struct error err = {0};
    const struct hash seed = key_of("anna", "seed");
    (void)state;
    key_from_seed(seed.b, &key);
    for (unsigned i = 0; i < 3; i++) {
        b[i] = good(bodies[i]);
        spans[i] = buf_span(&b[i]);
    }
    assert_int_equal(batch_sign(&key, "anna", 7, spans, 3, made, &err), 0);
    for (unsigned i = 0; i < 3; i++) {
        char *name = mem_printf("d_signed of the %s of the batch of three", words[i]);
        struct buf want = good(name);
        if (!span_eq(buf_span(&made[i]), buf_span(&want)))
            fail_msg("%s: other bytes", name);
        mem_free(&name);
        buf_free(&want);
        buf_free(&b[i]);
        buf_free(&made[i]);
    }
    key_forget(&key);
}

static void the_audit_trail_is_chained_and_sealed_as_documented(void **state)
{
    struct buf entry = good("d_audit, the first entry of an audit trail"),
               want = good("its hash, and that of the trail up to it"),
               seal = good("checkpoint at that entry"), broker = good("certificate of the broker");
    struct trust_anchors a = anchors();
    struct audit_head head = {0};
    struct d_checkpoint c;
    struct error err = {0};
    (void)state;
    audit_chain(&head, buf_span(&entry));
    assert_memory_equal(head.hash.b, want.p, sizeof head.hash.b);
    if (audit_checkpoint_open(buf_span(&seal), buf_span(&broker), &a, &c, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(c.number == 1 && hash_eq(&c.hash, &head.hash));
    anchors_free(&a);
    buf_free(&entry), buf_free(&want), buf_free(&seal), buf_free(&broker);
}

static const char *verdict_of(struct session *s, struct span frame)
{
    struct span messages, word;
    struct error err = {0};
    uint64_t session, kind;
    if (session_is_last_word(frame, &session, &kind, &word))
        return session == session_id(s) ? "last_word" : "foreign";
    switch (session_take(s, frame, 1, &messages, &err)) {
    case SESSION_MESSAGES:
        session_handled(s, frame.n, 1);
        return "taken";
    case SESSION_NOTHING:
        return "nothing";
    case SESSION_GAP:
        return "gap";
    case SESSION_FOREIGN:
        return "foreign";
    case SESSION_EXCESS:
        return "excess";
    case SESSION_MALFORMED:
        return "malformed";
    }
    return "?";
}

static void a_session_takes_frames_in_order_and_nothing_else(void **state)
{
    const uint64_t id = (uint64_t)json_integer_value(json_object_get(vectors, "session"));
    size_t i, k;
    json_t *item, *frame;
    (void)state;
    json_array_foreach (json_object_get(vectors, "sequences"), i, item) {
        struct session *s = session_new(id);
        struct buf first = {0}, hello = {0};
        m_ping_encode(&(struct m_ping){.stamp = 1}, &hello); /* in place of HELLO */
        assert_int_equal(session_push(s, buf_span(&hello)), 0);
        assert_int_equal(session_frame(s, 1, &first), 1);
        json_array_foreach (json_object_get(item, "frames"), k, frame) {
            struct buf b = bytes_of(text_of(frame, "hex"));
            const char *got = verdict_of(s, buf_span(&b));
            if (strcmp(got, text_of(frame, "verdict")) != 0)
                fail_msg("%s, frame %zu: %s", text_of(item, "name"), k + 1, got);
            buf_free(&b);
        }
        buf_free(&first);
        buf_free(&hello);
        session_free(&s);
    }
    assert_true(i > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_vectors_are_read_and_encode_to_the_same_bytes),
        cmocka_unit_test(malformed_vectors_are_refused),
        cmocka_unit_test(wrongly_signed_vectors_are_refused),
        cmocka_unit_test(untrustworthy_certificates_are_refused),
        cmocka_unit_test(only_the_key_itself_asks_for_its_certificate),
        cmocka_unit_test(a_batch_of_three_has_these_proofs),
        cmocka_unit_test(the_audit_trail_is_chained_and_sealed_as_documented),
        cmocka_unit_test(a_session_takes_frames_in_order_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, read_vectors, free_vectors);
}
