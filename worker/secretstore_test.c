#include "worker/secretstore.h"

#include <errno.h>
#include <unistd.h>

#include "trust/fixture.h"
#include "trust/secretdoc.h"

/* A broker, the server wh1, and anna, who may put secrets to its pool. */
struct store_case {
    struct secretstore *s;
    struct trust_anchors anchors;
    struct certificate me, by;
    struct key key;
    struct buf certificate, asked;
    const char *folder;
    unsigned asks, changes;
    bool broker;
};

static int hear(void *self, struct span m)
{
    struct store_case *c = self;
    if (!c->broker)
        return -ENOTCONN;
    buf_clear(&c->asked);
    buf_add(&c->asked, m.p, m.n);
    c->asks++;
    return 0;
}

static void changed(void *self)
{
    ((struct store_case *)self)->changes++;
}

static void open_store(struct store_case *c)
{
    const struct secretstore_calls calls = {c, hear, changed};
    struct error err = {0};
    if (secretstore_open(&c->s, c->folder, &c->anchors, &c->me, &calls, &err) < 0)
        fail_msg("%s", err.text);
}

static void begin(void **state, struct store_case *c)
{
    static const char *const may[] = {"secret *@etl"};
    struct certificate_order server = fixture_server(), anna = fixture_anna();
    struct seal_key seal;
    seal_key_from_seed(fixture_key('s').seed, &seal);
    server.seal_key = seal.public_key;
    anna.grants = may;
    anna.n_grants = 1;
    *c = (struct store_case){.anchors = fixture_anchors(),
                             .me = fixture_certificate(&server),
                             .by = fixture_certificate(&anna),
                             .key = fixture_key('a'),
                             .certificate = fixture_certificate_bytes(&anna),
                             .folder = testing_path(state, "secrets"),
                             .broker = true};
    open_store(c);
}

static void end(struct store_case *c)
{
    secretstore_close(&c->s);
    anchors_free(&c->anchors);
    certificate_free(&c->me);
    certificate_free(&c->by);
    buf_free(&c->certificate);
    buf_free(&c->asked);
}

static struct buf document(const struct store_case *c, const char *name, const char *address,
                           bool remove, bool sealed)
{
    const struct certificate *servers[] = {&c->me};
    const struct secretdoc_order o = {.cluster = "test",
                                      .name = name,
                                      .address = address,
                                      .version = 1,
                                      .issued_at = NOW,
                                      .remove = remove,
                                      .by = &c->by,
                                      .key = &c->key,
                                      .servers = servers,
                                      .n_servers = sealed && !remove};
    struct buf out = {0};
    struct error err = {0};
    if (secretdoc_make(&o, remove ? SPAN_NONE : span_str("hush"), &out, &err) < 0)
        fail_msg("%s", err.text);
    return out;
}

static void list(struct store_case *c, const char *name, const struct buf *document)
{
    struct buf items = {0}, one = {0};
    struct d_secret_listed l = {.name = span_str(name)};
    if (document) {
        envelope_hash(buf_span(document), &l.document);
        d_secret_listed_encode(&l, &one);
        wire_add_bin(&items, buf_span(&one));
    }
    secretstore_set(c->s, &(struct m_secrets){.secrets = wire_list_from(&items, document != NULL)},
                    1000);
    buf_free(&items);
    buf_free(&one);
}

static void give(struct store_case *c, const struct buf *document)
{
    struct m_secret_get get;
    assert_int_equal(m_secret_get_decode(buf_span(&c->asked), &get, NULL), 0);
    secretstore_take(c->s,
                     &(struct m_secret){.req = get.req,
                                        .secret = buf_span(document),
                                        .certificate = buf_span(&c->certificate)},
                     1000, NOW);
}

static void holds(const struct store_case *c, const char *need, const char *trouble)
{
    char text[512];
    bool is = secretstore_holds(c->s, span_str(need), text, sizeof text);
    if (is != !*trouble || !strstr(text, trouble))
        fail_msg("%s: '%s', not '%s'", need, text, trouble);
}

static void a_listed_secret_is_fetched_and_kept_over_a_restart(void **state)
{
    struct store_case c;
    begin(state, &c);
    struct buf d = document(&c, "db", "etl", false, true);
    holds(&c, "secret:db", "no secret 'db' is put to this server; run: lbctl secret put db --to");
    list(&c, "db", &d);
    holds(&c, "secret:db", "still to be fetched");
    give(&c, &d);
    holds(&c, "secret:db", "");
    secretstore_close(&c.s);
    open_store(&c);
    holds(&c, "secret:db", "");
    list(&c, "db", &d);
    assert_int_equal(c.asks, 1);
    buf_free(&d);
    end(&c);
}

static void what_is_not_listed_any_more_is_removed(void **state)
{
    struct store_case c;
    begin(state, &c);
    struct buf d = document(&c, "db", "etl", false, true);
    list(&c, "db", &d);
    give(&c, &d);
    char *path = mem_printf("%s/db", c.folder);
    assert_int_equal(access(path, F_OK), 0);
    list(&c, "db", NULL);
    assert_int_equal(access(path, F_OK), -1);
    holds(&c, "secret:db", "no secret 'db' is put");
    mem_free(&path);
    buf_free(&d);
    end(&c);
}

static void a_secret_that_this_server_cannot_open_says_so(void **state)
{
    struct store_case c;
    begin(state, &c);
    struct buf d = document(&c, "db", "etl", false, false),
               mark = document(&c, "db", "etl", true, 0);
    list(&c, "db", &d);
    give(&c, &d);
    holds(&c, "secret:db", "secret 'db' is not sealed to this server; put it again");
    list(&c, "db", &mark);
    give(&c, &mark);
    holds(&c, "secret:db", "secret 'db' was dropped by 'anna'");
    buf_free(&d);
    buf_free(&mark);
    end(&c);
}

/* Else a broker could fill the disk. */
static void what_nobody_with_the_right_has_signed_is_not_kept(void **state)
{
    struct store_case c;
    begin(state, &c);
    struct buf other = document(&c, "db", "all", false, true),
               right = document(&c, "db", "etl", false, true);
    list(&c, "db", &other);
    give(&c, &other);
    holds(&c, "secret:db", "still to be fetched");
    assert_int_equal(secretstore_deadline(c.s), 1000 + SECRETSTORE_RETRY_MS);
    list(&c, "db", &right);
    give(&c, &other); /* not the one that was listed */
    holds(&c, "secret:db", "still to be fetched");
    secretstore_tick(c.s, 1000 + SECRETSTORE_RETRY_MS);
    give(&c, &right);
    holds(&c, "secret:db", "");
    buf_free(&other);
    buf_free(&right);
    end(&c);
}

static void an_error_rests_and_a_new_session_asks_again(void **state)
{
    struct store_case c;
    struct m_secret_get get;
    begin(state, &c);
    struct buf d = document(&c, "db", "etl", false, true);
    list(&c, "db", &d);
    assert_int_equal(m_secret_get_decode(buf_span(&c.asked), &get, NULL), 0);
    assert_false(secretstore_error(c.s, &(struct m_error){.req = 1}, 1000));
    assert_true(secretstore_error(c.s, &(struct m_error){.req = get.req}, 1000));
    secretstore_tick(c.s, 1001);
    assert_int_equal(c.asks, 2);
    secretstore_again(c.s, 1002);
    assert_int_equal(c.asks, 3);
    give(&c, &d);
    holds(&c, "secret:db", "");
    buf_free(&d);
    end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_listed_secret_is_fetched_and_kept_over_a_restart),
        in_folder(what_is_not_listed_any_more_is_removed),
        in_folder(a_secret_that_this_server_cannot_open_says_so),
        in_folder(what_nobody_with_the_right_has_signed_is_not_kept),
        in_folder(an_error_rests_and_a_new_session_asks_again),
    };
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
