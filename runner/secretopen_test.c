/* secretopen_test.c - sealed values become parameters of their type, or a sentence without them. */
#include "runner/secretopen.h"

#include "trust/fixture.h"
#include "trust/secretdoc.h"

struct open_case {
    char *key_path;
    struct buf uses, launch, opened;
    struct s_launch l;
    struct error err;
};

static void begin(void **state, struct open_case *c)
{
    *c = (struct open_case){.key_path = mem_strdup(testing_path(state, "seal.key"))};
    assert_int_equal(key_file_create(c->key_path, fixture_key('s').seed, &c->err), 0);
}

static void end(struct open_case *c)
{
    mem_free(&c->key_path);
    buf_free(&c->uses);
    buf_free(&c->launch);
    buf_free(&c->opened);
}

/* The launch of a step whose parameter `pw` is this secret. */
static void launch(struct open_case *c, const char *type, const char *pattern, const char *value,
                   char seal)
{
    struct seal_key key;
    struct certificate to = {.name = "wh1"}, by = {.name = "anna", .serial = 7};
    const struct certificate *servers[] = {&to};
    const struct key signer = fixture_key('a');
    struct buf document = {0}, head = {0}, declared = {0}, use = {0}, items = {0}, table = {0};
    struct d_signed s;
    struct d_secret d;
    struct d_secret_box box;
    seal_key_from_seed(fixture_key(seal).seed, &key);
    to.seal_key = key.public_key;
    const struct secretdoc_order o = {.cluster = "test",
                                      .name = "db",
                                      .address = "etl",
                                      .version = 1,
                                      .issued_at = NOW,
                                      .by = &by,
                                      .key = &signer,
                                      .servers = servers,
                                      .n_servers = 1};
    if (secretdoc_make(&o, span_str(value), &document, &c->err) < 0 ||
        secretdoc_read(buf_span(&document), &s, &d, &c->err) < 0)
        fail_msg("%s", c->err.text);
    assert_true(secretdoc_box(&d, "wh1", &key.public_key, &box));
    secretdoc_head(&d, &head);
    d_parameter_encode(&(struct d_parameter){.name = span_str("pw"),
                                             .type = span_str(type),
                                             .pattern = span_str(pattern),
                                             .sensitive = true},
                       &declared);
    d_secret_use_encode(&(struct d_secret_use){.declared = buf_span(&declared),
                                               .secret = buf_span(&head),
                                               .key = box.key},
                        &use);
    wire_add_bin(&items, buf_span(&use));
    buf_clear(&c->uses);
    d_secret_uses_encode(&(struct d_secret_uses){.uses = wire_list_from(&items, 1)}, &c->uses);
    value_add_str(&table, span_str("table"));
    value_add_str(&table, span_str("orders"));
    buf_clear(&c->launch);
    s_launch_encode(
        &(struct s_launch){.parameters = wire_list_from(&table, 1), .secrets = buf_span(&c->uses)},
        &c->launch);
    assert_int_equal(s_launch_decode(buf_span(&c->launch), &c->l, &c->err), 0);
    buf_free(&document), buf_free(&head), buf_free(&declared), buf_free(&use), buf_free(&items);
    buf_free(&table);
}

static int opened(struct open_case *c)
{
    buf_free(&c->opened);
    c->err.text[0] = 0;
    return secretopen_all(c->key_path, &c->l, &c->opened, &c->err);
}

static void a_secret_becomes_a_parameter_of_its_type_beside_the_others(void **state)
{
    struct open_case c;
    struct value v;
    begin(state, &c);
    launch(&c, "string", "", "hunter22-s3cr3t", 's');
    assert_int_equal(opened(&c), 0);
    assert_int_equal(c.l.parameters.count, 2);
    assert_true(wire_map_get(&c.l.parameters, "table", &v) && span_eq_str(v.bytes, "orders"));
    assert_true(wire_map_get(&c.l.parameters, "pw", &v) && span_eq_str(v.bytes, "hunter22-s3cr3t"));
    launch(&c, "int", "", "4711", 's');
    assert_int_equal(opened(&c), 0);
    assert_true(wire_map_get(&c.l.parameters, "pw", &v) && v.type == VALUE_INT);
    assert_int_equal(v.integer, 4711);
    end(&c);
}

static void what_does_not_fit_or_open_is_refused_without_being_shown(void **state)
{
    struct open_case c;
    begin(state, &c);
    launch(&c, "string", "[0-9]+", "hunter22", 's');
    assert_int_equal(opened(&c), -EINVAL);
    assert_contains(c.err.text, "secret 'db'");
    assert_contains(c.err.text, "must match the pattern");
    assert_null(strstr(c.err.text, "hunter22"));
    launch(&c, "int", "", "hunter22", 's');
    assert_int_equal(opened(&c), -EINVAL);
    assert_null(strstr(c.err.text, "hunter22"));
    launch(&c, "string", "", "hunter22", 't'); /* sealed to a key that this server had before */
    assert_int_equal(opened(&c), -EBADMSG);
    assert_contains(c.err.text, "put it again");
    assert_int_equal(c.opened.n, 0);
    end(&c);
}

static void a_step_without_secrets_needs_no_key(void **state)
{
    struct open_case c;
    begin(state, &c);
    launch(&c, "string", "", "hunter22", 's');
    c.l.secrets = SPAN_NONE;
    c.key_path[0] = '?';
    assert_int_equal(opened(&c), 0);
    assert_int_equal(c.l.parameters.count, 1);
    assert_int_equal(c.opened.n, 0);
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_secret_becomes_a_parameter_of_its_type_beside_the_others),
        in_folder(what_does_not_fit_or_open_is_refused_without_being_shown),
        in_folder(a_step_without_secrets_needs_no_key),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
