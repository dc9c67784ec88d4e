/* Secrets: who gets which, versions, limits. What they hold nobody here can read. */
#include "broker/core/testing.h"
#include "broker/core/vault.h"

struct vault_order {
    const char *name, *address, *by;
    uint64_t version;
    int64_t issued_at;
    bool remove;
    size_t bytes;
};

static void put(struct core_world *w, uint64_t peer, struct vault_order o)
{
    struct buf *body = world_scratch(w);
    struct buf value = {0};
    o.by = o.by ? o.by : "root";
    if (o.bytes)
        memset(buf_grow(&value, o.bytes), 'v', o.bytes);
    d_secret_encode(&(struct d_secret){.cluster = span_str("test"),
                                       .name = span_str(o.name),
                                       .version = o.version,
                                       .address = span_str(o.address),
                                       .by = span_str(o.by),
                                       .remove = o.remove,
                                       .issued_at = o.issued_at,
                                       .value = span_of(value.p, o.bytes)},
                    body);
    SAY(w, peer, o.by, secret_put, .req = 1, .secret = world_wrapped(w, buf_span(body), o.by));
    buf_free(&value);
}

static void done(struct core_world *w, uint64_t peer)
{
    struct m_done d;
    SENT(w, peer, DONE, done, &d);
}

/* What the last SECRETS to a server lists; the documents are fetched. */
static unsigned listed(struct core_world *w, uint64_t peer, struct d_secret *ret)
{
    struct m_secrets m;
    struct d_secret_listed l;
    struct m_secret got;
    struct d_signed s;
    struct span item;
    unsigned n = 0;
    SENT(w, peer, SECRETS, secrets, &m);
    for (struct wire_iter it = wire_iter(&m.secrets); wire_next(&it, &item); n++) {
        assert_int_equal(d_secret_listed_decode(item, &l, NULL), 0);
        SAY(w, peer, "etl1", secret_get, .req = 9, .document = l.document);
        SENT(w, peer, SECRET, secret, &got);
        assert_true(got.certificate.n > 0);
        assert_int_equal(d_signed_decode(got.secret, &s, NULL), 0);
        assert_int_equal(d_secret_decode(s.body, ret, NULL), 0);
    }
    return n;
}

static void the_secret_put_last_counts_at_a_server_whatever_the_address(void **state)
{
    struct core_world *w = *state;
    uint64_t root = world_caller_up(w, "root"), etl1 = world_worker_up(w, "etl1", 1);
    struct d_secret d;
    assert_int_equal(listed(w, etl1, &d), 0);
    put(w, root, (struct vault_order){"db", "etl", NULL, 1, w->wall, false, 10});
    done(w, root);
    assert_int_equal(listed(w, etl1, &d), 1);
    assert_int_equal(d.version, 1);
    put(w, root, (struct vault_order){"db", "etl1", NULL, 2, w->wall + 1, false, 10});
    done(w, root);
    assert_int_equal(listed(w, etl1, &d), 1);
    assert_int_equal(d.version, 2);
    put(w, root, (struct vault_order){"db", "etl", NULL, 3, w->wall + 2, true, 0});
    done(w, root);
    assert_int_equal(listed(w, etl1, &d), 1);
    assert_true(d.remove); /* the mark is newer than what was put to the server alone */
    world_restart(w);
    etl1 = world_worker_hello(w, "etl1", 1);
    assert_int_equal(listed(w, etl1, &d), 1);
    assert_int_equal(d.version, 3);
}

static void what_cannot_be_put_is_refused_with_what_to_do(void **state)
{
    struct core_world *w = *state;
    uint64_t root = world_caller_up(w, "root");
    world_worker_up(w, "etl1", 1);
    put(w, root, (struct vault_order){"db", "nowhere", NULL, 1, w->wall, false, 10});
    assert_int_equal(world_told_error(w, root, "no server or pool"), REFUSAL_UNKNOWN_ADDRESS);
    put(w, root, (struct vault_order){"db", "etl", NULL, 2, w->wall, false, 10});
    assert_int_equal(world_told_error(w, root, "next version is 1"), REFUSAL_STATE);
    put(w, root, (struct vault_order){"db", "etl", NULL, 1, w->wall + 400000, false, 10});
    assert_int_equal(world_told_error(w, root, "400 s ahead"), REFUSAL_STATE);
    put(w, root, (struct vault_order){"db", "etl", NULL, 1, w->wall - 400000, false, 10});
    assert_int_equal(world_told_error(w, root, "400 s behind"), REFUSAL_STATE);
    put(w, root, (struct vault_order){"db", "etl", NULL, 1, w->wall, true, 0});
    assert_int_equal(world_told_error(w, root, "no secret 'db' is put"), REFUSAL_NOT_FOUND);
    put(w, root, (struct vault_order){"db", "etl", NULL, 1, w->wall, false, 10});
    done(w, root);
    put(w, root, (struct vault_order){"db", "etl", NULL, 1, w->wall, false, 10}); /* repeated */
    done(w, root);
    put(w, root, (struct vault_order){"db", "etl1", NULL, 2, w->wall, false, 10});
    assert_int_equal(world_told_error(w, root, "a newer secret"), REFUSAL_STATE);
    put(w, root, (struct vault_order){"Db", "etl", NULL, 1, w->wall, false, 10});
    assert_int_equal(world_told_error(w, root, ""), REFUSAL_MALFORMED);
    assert_int_equal(world_records_of(w, KIND_R_SECRET), 1);
}

static void a_server_gets_only_its_own_documents(void **state)
{
    struct core_world *w = *state;
    uint64_t root = world_caller_up(w, "root"), etl1 = world_worker_up(w, "etl1", 1),
             wh1 = world_worker_up(w, "etl2", 1);
    struct m_secrets m;
    struct d_secret_listed l;
    struct span item;
    put(w, root, (struct vault_order){"db", "etl1", NULL, 1, w->wall, false, 10});
    done(w, root);
    SENT(w, etl1, SECRETS, secrets, &m);
    SENT(w, etl1, SECRETS, secrets, &m);
    struct wire_iter it = wire_iter(&m.secrets);
    assert_true(wire_next(&it, &item) && d_secret_listed_decode(item, &l, NULL) == 0);
    SENT(w, wh1, SECRETS, secrets, &m);
    NOT_SENT(w, wh1, SECRETS);
    SAY(w, wh1, "etl2", secret_get, .req = 4, .document = l.document);
    assert_int_equal(world_told_error(w, wh1, "no secret of this server"), REFUSAL_NOT_FOUND);
}

static void no_principal_can_take_all_room(void **state)
{
    struct core_world *w = *state;
    uint64_t root = world_caller_up(w, "root"), otto = world_caller_up(w, "otto");
    char name[16];
    world_worker_up(w, "etl1", 1);
    for (unsigned i = 0; i < VAULT_EACH; i++) {
        snprintf(name, sizeof name, "s%u", i);
        put(w, root, (struct vault_order){name, "etl", NULL, 1, w->wall, false, 1});
        done(w, root);
    }
    put(w, root, (struct vault_order){"more", "etl", NULL, 1, w->wall, false, 1});
    assert_int_equal(world_told_error(w, root, "you have put 250 secrets"), REFUSAL_NO_SPACE);
    put(w, otto, (struct vault_order){"more", "etl", "otto", 1, w->wall, false, 1});
    done(w, otto);
    put(w, root, (struct vault_order){"s0", "etl", NULL, 2, w->wall + 1, false, 9}); /* replaces */
    done(w, root);
    put(w, root, (struct vault_order){"s0", "etl", NULL, 3, w->wall + 2, true, 0});
    done(w, root);
    world_log_clear(w);
    world_pass(w, 1000);
    w->wall += VAULT_MARK_MS + 1; /* the mark is old: its place is free with the next one */
    put(w, otto, (struct vault_order){"again", "etl", "otto", 1, w->wall, false, 1});
    done(w, otto);
    put(w, root, (struct vault_order){"more2", "etl", NULL, 1, w->wall, false, 1});
    done(w, root);
}

static void whom_a_secret_is_for_comes_in_pages_without_the_revoked(void **state)
{
    struct core_world *w = *state;
    uint64_t root = world_caller_up(w, "root");
    struct m_secret_to to;
    world_worker_up(w, "etl1", 1);
    world_worker_up(w, "etl2", 1);
    SAY(w, root, "root", secret_for, .req = 1, .name = span_str("db"), .address = span_str("etl"));
    SENT(w, root, SECRET_TO, secret_to, &to);
    assert_int_equal(to.certificates.count, 2);
    assert_int_equal(to.version, 1);
    assert_int_equal(to.next.n, 0);
    SAY(w, root, "root", secret_for, .req = 1, .name = span_str("db"), .address = span_str("etl"),
        .after = span_str("etl1"));
    SENT(w, root, SECRET_TO, secret_to, &to);
    assert_int_equal(to.certificates.count, 1);
    SAY(w, root, "root", secret_for, .req = 1, .name = span_str("db"), .address = span_str("none"));
    SENT(w, root, SECRET_TO, secret_to, &to);
    assert_int_equal(to.certificates.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_world(the_secret_put_last_counts_at_a_server_whatever_the_address),
        in_world(what_cannot_be_put_is_refused_with_what_to_do),
        in_world(a_server_gets_only_its_own_documents),
        in_world(no_principal_can_take_all_room),
        in_world(whom_a_secret_is_for_comes_in_pages_without_the_revoked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
