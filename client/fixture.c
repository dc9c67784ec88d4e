/* fixture.c - see fixture.h. */
#include "client/fixture.h"

void broker_encode(const struct client_cluster *c, const struct wire_schema *s, const void *message,
                   struct buf *out)
{
    struct buf b = {0};
    struct value v;
    wire_encode(s, message, &b);
    struct span in = buf_span(&b);
    if (c->minor <= PROTO_MINOR) {
        buf_add(out, b.p, b.n);
    } else {
        assert_true(value_read(&in, &v));
        assert_in_range(v.items.count, s->required + 1, s->count + 1);
        value_add_list(out, s->count + 2);
        buf_add(out, v.items.items.p, v.items.items.n);
        /* what is left out where it is empty stands before what is newer */
        for (unsigned i = v.items.count - 1; i < s->count; i++)
            s->fields()[i].type == WIRE_bin ? wire_add_bin(out, SPAN_NONE)
                                            : wire_add_str(out, SPAN_NONE);
        value_add_str(out, span_str("from the future"));
    }
    buf_free(&b);
}

void broker_says(struct client_cluster *c, const struct wire_schema *s, const void *message)
{
    struct buf b = {0};
    broker_encode(c, s, message, &b);
    net_server_send(c->server, c->peer, buf_span(&b));
    buf_free(&b);
}

static enum refusal cluster_hello(void *self, uint64_t peer, const struct hash *key,
                                  const char *address, struct span hello, struct error *ret_text)
{
    struct client_cluster *c = self;
    (void)address;
    (void)hello;
    c->hellos++;
    if (c->refuse) {
        error_set(ret_text, -EACCES, "not today");
        return c->refuse;
    }
    c->peer = peer;
    c->peer_key = *key;
    struct m_welcome m = {.cluster = span_str("test"),
                          .broker = span_str("wh0"),
                          .minor = c->minor ? c->minor : PROTO_MINOR,
                          .certificate = buf_span(&c->broker_certificate),
                          .now = clock_wall_ms()};
    broker_says(c, &m_welcome_schema, &m);
    return REFUSAL_NONE;
}

static void cluster_message(void *self, uint64_t peer, uint64_t kind, struct span message)
{
    struct client_cluster *c = self;
    assert_int_equal(peer, c->peer);
    if (c->take && kind != KIND_M_PING)
        c->take(c, kind, message);
}

static void cluster_down(void *self, uint64_t peer, const char *reason)
{
    struct client_cluster *c = self;
    (void)peer;
    (void)reason;
    c->downs++;
}

static void cluster_window(void *self, uint64_t peer)
{
    (void)self;
    (void)peer;
}

void broker_start(struct client_cluster *c)
{
    const char *listen = c->endpoint[0] ? c->endpoint : "127.0.0.1:*";
    const struct net_server_options o = {.listen = &listen,
                                         .n_listen = 1,
                                         .secret_transport = c->broker.transport_secret,
                                         .public_transport = c->broker.transport.b};
    const struct net_server_calls calls = {.self = c,
                                           .hello = cluster_hello,
                                           .message = cluster_message,
                                           .down = cluster_down,
                                           .window = cluster_window};
    struct error err = {0};
    int64_t end = clock_boot_ms() + PATIENCE_MS;
    while (net_server_open(&c->server, c->loop, &o, &calls, &err) < 0)
        if (clock_boot_ms() > end)
            fail_msg("%s", err.text);
    if (!c->endpoint[0])
        strcpy(c->endpoint, net_server_endpoint(c->server, 0));
    net_server_allow(c->server, &c->anna.transport, true);
}

void broker_restart(struct client_cluster *c)
{
    net_server_close(&c->server);
    broker_start(c);
}

void put_file(const char *folder, const char *name, struct span content, mode_t mode)
{
    struct error err = {0};
    char *path = mem_printf("%s/%s", folder, name);
    if (file_write_atomic(path, content, mode, &err) < 0)
        fail_msg("%s", err.text);
    mem_free(&path);
}

struct buf certificate_for(const struct client_cluster *c, const char *name, enum role role,
                           const struct key *key)
{
    static const char *const grants[] = {"call *@all"};
    struct certificate_order o = {.cluster = "test",
                                  .name = name,
                                  .role = role,
                                  .serial = (uint64_t)role + 1,
                                  .sign_key = key->sign,
                                  .grants = grants,
                                  .n_grants = role == ROLE_CALLER,
                                  .not_before = clock_wall_ms() - 1000,
                                  .not_after = clock_wall_ms() + 3600000};
    struct buf out = {0};
    struct error err = {0};
    if (certificate_make(&o, &c->administrator, &out, &err) < 0)
        fail_msg("%s", err.text);
    return out;
}

void put_identity(const struct client_cluster *c)
{
    struct buf administrators = {0}, client = {0},
               mine = certificate_for(c, "anna", ROLE_CALLER, &c->anna);
    const char *address = c->endpoint[0] ? c->endpoint : "127.0.0.1:1";
    struct error err = {0};
    char *trust = mem_printf("%s/trust", c->folder), *keys = mem_printf("%s/keys", c->folder);

    file_make_dirs(trust, 0755, NULL);
    file_make_dirs(keys, 0700, NULL);
    anchors_format(&c->anchors, &administrators);
    client_config_format(&address, 1, &client);
    if (!c->strict)
        buf_add_str(&client, "unsigned_results: accept\n");
    put_file(c->folder, ADMINISTRATORS_FILE, buf_span(&administrators), 0644);
    put_file(c->folder, CERTIFICATE_FILE, buf_span(&mine), 0644);
    put_file(c->folder, BROKER_FILE, buf_span(&c->broker_certificate), 0644);
    put_file(c->folder, CLIENT_FILE, buf_span(&client), 0644);
    mem_free(&keys);
    keys = mem_printf("%s/%s", c->folder, SIGN_KEY_FILE);
    if (key_file_create(keys, c->anna.seed, &err) < 0)
        fail_msg("%s", err.text);
    mem_free(&keys);
    mem_free(&trust);
    buf_free(&administrators);
    buf_free(&client);
    buf_free(&mine);
}

int cluster_files(void **state)
{
    struct client_cluster *c = mem_zalloc(1, sizeof *c);
    if (trust_init(NULL) < 0 || testing_folder((void **)&c->folder) < 0)
        return -1;
    c->loop = loop_new(NULL);
    key_make(&c->administrator);
    key_make(&c->broker);
    key_make(&c->anna);
    anchors_from("test", &c->administrator.sign, 1, &c->anchors);
    c->broker_certificate = certificate_for(c, "wh0", ROLE_BROKER, &c->broker);
    *state = c;
    return 0;
}

int cluster_begin(void **state)
{
    if (cluster_files(state) < 0)
        return -1;
    broker_start(*state);
    put_identity(*state);
    return 0;
}

int cluster_end(void **state)
{
    struct client_cluster *c = *state;
    net_server_close(&c->server);
    loop_destroy(&c->loop);
    anchors_free(&c->anchors);
    buf_free(&c->broker_certificate);
    testing_folder_end((void **)&c->folder);
    mem_free(state);
    return 0;
}
