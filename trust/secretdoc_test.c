#include "trust/secretdoc.h"

#include "trust/fixture.h"
#include "trust/seal.h"

static const char *const anna_may[] = {"secret db-*@etl"};

static struct certificate_order anna(void)
{
    struct certificate_order o = fixture_anna();
    o.grants = anna_may;
    o.n_grants = 1;
    return o;
}

/* Of server `name`, whose seal key comes from the seed 32 times `c`. */
static struct seal_key seal_of(char c)
{
    struct seal_key k;
    seal_key_from_seed(fixture_key(c).seed, &k);
    return k;
}

static struct certificate server(const char *name, char c)
{
    struct certificate_order o = fixture_server();
    o.name = name;
    o.seal_key = seal_of(c).public_key;
    return fixture_certificate(&o);
}

struct secret_case {
    struct certificate by, server[2];
    struct key key;
    struct buf certificate, document;
    struct d_secret d;
    struct d_signed s;
};

static struct secretdoc_order order_of(const struct secret_case *c,
                                       const struct certificate *servers[2])
{
    servers[0] = &c->server[0];
    servers[1] = &c->server[1];
    return (struct secretdoc_order){.cluster = "test",
                                    .name = "db-wh",
                                    .address = "etl",
                                    .version = 3,
                                    .issued_at = NOW,
                                    .by = &c->by,
                                    .key = &c->key,
                                    .servers = servers,
                                    .n_servers = 2};
}

static void put(struct secret_case *c, const struct secretdoc_order *o, const char *value)
{
    struct error err = {0};
    buf_clear(&c->document);
    if (secretdoc_make(o, span_str(value), &c->document, &err) < 0 ||
        secretdoc_read(buf_span(&c->document), &c->s, &c->d, &err) < 0)
        fail_msg("%s", err.text);
}

static void begin(struct secret_case *c)
{
    struct certificate_order o = anna();
    const struct certificate *servers[2];
    *c = (struct secret_case){.by = fixture_certificate(&o),
                              .server = {server("wh1", 's'), server("wh2", 't')},
                              .key = fixture_key('a'),
                              .certificate = fixture_certificate_bytes(&o)};
    const struct secretdoc_order put_it = order_of(c, servers);
    put(c, &put_it, "hunter22-s3cr3t");
}

static void end(struct secret_case *c)
{
    certificate_free(&c->by);
    certificate_free(&c->server[0]);
    certificate_free(&c->server[1]);
    buf_free(&c->certificate);
    buf_free(&c->document);
}

/* As a keeper of this server opens it. */
static int open_as(const struct d_secret *d, const char *name, char seed, struct buf *out,
                   struct error *err)
{
    struct seal_key key = seal_of(seed);
    struct buf head = {0};
    struct d_secret without;
    struct d_secret_box box;
    if (!secretdoc_box(d, name, &key.public_key, &box))
        return -ENOENT;
    secretdoc_head(d, &head);
    assert_int_equal(d_secret_decode(buf_span(&head), &without, NULL), 0);
    int rc = secretdoc_open(&without, box.key, &key, out, err);
    buf_free(&head);
    return rc;
}

static void each_server_opens_a_secret_and_nothing_of_it_is_readable(void **state)
{
    (void)state;
    struct secret_case c;
    struct buf out = {0};
    begin(&c);
    assert_null(memmem(c.document.p, c.document.n, "hunter22", 8));
    assert_int_equal(open_as(&c.d, "wh1", 's', &out, NULL), 0);
    assert_true(span_eq_str(buf_span(&out), "hunter22-s3cr3t"));
    buf_clear(&out);
    assert_int_equal(open_as(&c.d, "wh2", 't', &out, NULL), 0);
    assert_true(span_eq_str(buf_span(&out), "hunter22-s3cr3t"));
    assert_int_equal(open_as(&c.d, "wh3", 'u', &out, NULL), -ENOENT);
    assert_int_equal(open_as(&c.d, "wh1", 't', &out, NULL), -ENOENT); /* it has another key now */
    buf_free(&out);
    end(&c);
}

static void the_length_of_a_value_is_told_to_64_bytes(void **state)
{
    (void)state;
    struct secret_case c;
    const struct certificate *servers[2];
    begin(&c);
    const struct secretdoc_order o = order_of(&c, servers);
    put(&c, &o, "x");
    size_t short_one = c.document.n;
    put(&c, &o, "a value of nearly sixty-four bytes, which looks the same outside");
    assert_true(c.document.n > short_one);
    put(&c, &o, "a value of nearly sixty-four bytes, which looks the same outs");
    assert_int_equal(c.document.n, short_one);
    end(&c);
}

/* What is sealed is bound to the rest of the document. */
static void what_is_put_together_from_several_does_not_open(void **state)
{
    (void)state;
    struct secret_case c;
    struct buf out = {0};
    struct error err = {0};
    begin(&c);
    struct d_secret moved[] = {c.d, c.d, c.d, c.d, c.d, c.d};
    moved[0].name = span_str("db-other");
    moved[1].version = 4;
    moved[2].address = span_str("all");
    moved[3].by = span_str("otto");
    moved[4].issued_at++;
    moved[5].cluster = span_str("other");
    for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
        assert_int_equal(open_as(&moved[i], "wh1", 's', &out, &err), -EBADMSG);
        assert_contains(err.text, "cannot be opened here");
        assert_int_equal(out.n, 0);
    }
    struct buf value = buf_dup(c.d.value);
    value.p[value.n - 1] ^= 1;
    moved[0] = c.d;
    moved[0].value = buf_span(&value);
    assert_int_equal(open_as(&moved[0], "wh1", 's', &out, &err), -EBADMSG);
    buf_free(&value);
    buf_free(&out);
    end(&c);
}

static int judged(const struct secret_case *c, int64_t now, enum refusal *code, struct error *err)
{
    const struct d_secret_kept k = {.secret = buf_span(&c->document),
                                    .certificate = buf_span(&c->certificate)};
    struct trust_anchors anchors = fixture_anchors();
    struct certificate by = {0};
    struct d_secret d;
    err->text[0] = 0;
    int rc = secretdoc_judge(&k, &anchors, &c->server[0], now, &by, &d, code, err);
    certificate_free(&by);
    anchors_free(&anchors);
    return rc;
}

static void a_server_takes_what_somebody_with_the_right_has_put_to_it(void **state)
{
    (void)state;
    struct secret_case c;
    struct error err = {0};
    enum refusal code;
    begin(&c);
    assert_int_equal(judged(&c, NOW, &code, &err), 0);
    /* long after the certificate has expired, too: it was good when the secret was put */
    assert_int_equal(judged(&c, NOW + 1000 * (int64_t)HOUR, &code, &err), 0);
    assert_int_equal(judged(&c, NOW - CLOCK_SKEW_MS - 1, &code, &err), -EPERM);
    assert_contains(err.text, "in the future");
    end(&c);
}

static void a_secret_without_the_right_or_for_others_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *address, *cluster;
        int64_t issued_at;
        const char *text;
    } CASES[] = {{"other", "etl", "test", NOW, "'anna' may not secret other@etl"},
                 {"db-wh", "all", "test", NOW, "may not secret db-wh@all"},
                 {"db-wh", "wh", "test", NOW, "which this server is not in"},
                 {"db-wh", "etl", "there", NOW, "is for cluster 'there'"},
                 {"db-wh", "etl", "test", NOW - 2 * HOUR, "not valid"}};
    struct secret_case c;
    const struct certificate *servers[2];
    struct error err = {0};
    enum refusal code;
    begin(&c);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct secretdoc_order o = order_of(&c, servers);
        o.name = CASES[i].name;
        o.address = CASES[i].address;
        o.cluster = CASES[i].cluster;
        o.issued_at = CASES[i].issued_at;
        put(&c, &o, "v");
        assert_true(judged(&c, NOW, &code, &err) < 0);
        assert_contains(err.text, CASES[i].text);
    }
    struct secretdoc_order o = order_of(&c, servers);
    struct key other = fixture_key('b');
    o.key = &other;
    put(&c, &o, "v");
    assert_int_equal(judged(&c, NOW, &code, &err), -EBADMSG);
    assert_int_equal(code, REFUSAL_BAD_SIGNATURE);
    end(&c);
}

static void a_mark_has_no_value_and_servers_are_in_order(void **state)
{
    (void)state;
    struct secret_case c;
    const struct certificate *servers[2];
    struct error err = {0};
    struct buf out = {0};
    begin(&c);
    struct secretdoc_order o = order_of(&c, servers);
    o.remove = true;
    o.n_servers = 0;
    put(&c, &o, "");
    assert_true(c.d.remove && c.d.value.n == 0 && c.d.sealed.count == 0);
    o = order_of(&c, servers);
    servers[0] = &c.server[1];
    servers[1] = &c.server[0];
    assert_int_equal(secretdoc_make(&o, span_str("v"), &out, &err), 0);
    assert_int_equal(secretdoc_read(buf_span(&out), &c.s, &c.d, &err), -EPROTO);
    assert_contains(err.text, "not in order");
    buf_free(&out);
    end(&c);
}

static void values_that_are_no_text_or_too_long_are_refused(void **state)
{
    (void)state;
    struct error err = {0};
    struct buf b = {0};
    memset(buf_grow(&b, LIMIT_SECRET_VALUE + 1), 'x', LIMIT_SECRET_VALUE + 1);
    assert_int_equal(secretdoc_check_value(span_of(b.p, LIMIT_SECRET_VALUE), &err), 0);
    assert_int_equal(secretdoc_check_value(span_of(b.p, LIMIT_SECRET_VALUE + 1), &err), -EMSGSIZE);
    assert_int_equal(secretdoc_check_value(SPAN_NONE, &err), -EINVAL);
    assert_int_equal(secretdoc_check_value(span_of("a\0b", 3), &err), -EINVAL);
    assert_int_equal(secretdoc_check_value(span_of("\xff", 1), &err), -EINVAL);
    assert_contains(err.text, "base64");
    buf_free(&b);
}

static void the_longest_value_can_be_put_and_opened(void **state)
{
    (void)state;
    struct secret_case c;
    const struct certificate *servers[2];
    struct buf b = {0}, out = {0};
    begin(&c);
    memset(buf_grow(&b, LIMIT_SECRET_VALUE), 'x', LIMIT_SECRET_VALUE);
    b.n = LIMIT_SECRET_VALUE;
    const struct secretdoc_order o = order_of(&c, servers);
    put(&c, &o, buf_str(&b));
    assert_int_equal(open_as(&c.d, "wh1", 's', &out, NULL), 0);
    assert_int_equal(out.n, LIMIT_SECRET_VALUE);
    buf_free(&b);
    buf_free(&out);
    end(&c);
}

static void only_a_map_with_one_name_stands_for_a_secret(void **state)
{
    (void)state;
    struct buf b = {0};
    struct span in, name;
    struct value v;
    secretdoc_add_use(&b, span_str("db-wh"));
    in = buf_span(&b);
    assert_true(value_read(&in, &v) && secretdoc_is_use(&v, &name) && span_eq_str(name, "db-wh"));
    buf_clear(&b);
    value_add_map(&b, 1);
    value_add_str(&b, span_str("secret"));
    value_add_int(&b, 7);
    in = buf_span(&b);
    assert_true(value_read(&in, &v));
    assert_false(secretdoc_is_use(&v, &name));
    buf_clear(&b);
    value_add_str(&b, span_str("secret"));
    in = buf_span(&b);
    assert_true(value_read(&in, &v));
    assert_false(secretdoc_is_use(&v, &name));
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_server_opens_a_secret_and_nothing_of_it_is_readable),
        cmocka_unit_test(the_length_of_a_value_is_told_to_64_bytes),
        cmocka_unit_test(what_is_put_together_from_several_does_not_open),
        cmocka_unit_test(a_server_takes_what_somebody_with_the_right_has_put_to_it),
        cmocka_unit_test(a_secret_without_the_right_or_for_others_is_refused),
        cmocka_unit_test(a_mark_has_no_value_and_servers_are_in_order),
        cmocka_unit_test(values_that_are_no_text_or_too_long_are_refused),
        cmocka_unit_test(the_longest_value_can_be_put_and_opened),
        cmocka_unit_test(only_a_map_with_one_name_stands_for_a_secret),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
