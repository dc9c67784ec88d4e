/* Joining, against a net/server.h broker scripted by each test. */
#include "client/enrol.h"
#include "client/fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trust/possession.h"

struct enrol_gate {
    char *token;
    struct hash one_time;   /* transport key */
    struct buf certificate; /* that was handed in */
    unsigned enrols;
    enum refusal answer; /* to ENROL */
    unsigned busy;
    bool lose_answer;
    struct loop_timer restart;
    struct hash joined;
    struct enrol_result result;
    struct error err;
};

static void on_restart(struct loop *l, struct loop_timer *t, void *arg)
{
    struct client_cluster *c = arg;
    struct enrol_gate *g = c->test;
    (void)l;
    (void)t;
    broker_restart(c);
    net_server_allow(c->server, &g->joined, true);
}

static void take_enrol(struct client_cluster *c, uint64_t kind, struct span message)
{
    struct enrol_gate *g = c->test;
    struct m_enrol m;

    assert_int_equal(kind, KIND_M_ENROL);
    assert_true(hash_eq(&c->peer_key, &g->one_time));
    assert_int_equal(m_enrol_decode(message, &m, NULL), 0);
    g->enrols++;
    buf_free(&g->certificate);
    g->certificate = buf_dup(m.certificate);
    if (g->busy > 0) {
        g->busy--;
        broker_says(
            c, &m_error_schema,
            &(struct m_error){.req = m.req, .code = REFUSAL_BUSY, .text = span_str("wait")});
        return;
    }
    if (g->answer) {
        broker_says(c, &m_error_schema,
                    &(struct m_error){
                        .req = m.req, .code = g->answer, .text = span_str("the name is taken")});
        return;
    }
    struct certificate who;
    struct error err;
    if (certificate_verify(m.certificate, &c->anchors, clock_wall_ms(), &who, NULL, &err) < 0 ||
        possession_check(&who.sign_key, m.certificate, m.possession, &err) < 0)
        fail_msg("%s", err.text);
    net_server_allow(c->server, &g->one_time, false); /* once */
    net_server_allow(c->server, &who.transport_key, true);
    if (g->lose_answer) {
        g->joined = who.transport_key;
        loop_timer_set(c->loop, &g->restart, "restart", loop_now(c->loop), on_restart, c);
        certificate_free(&who);
        return;
    }
    certificate_free(&who);
    broker_says(c, &m_done_schema, &(struct m_done){.req = m.req});
}

static char *token_for(struct client_cluster *c, const char *name, enum role role, int64_t lives,
                       struct hash *ret_one_time)
{
    static const char *const pools[] = {"etl"}, *const grants[] = {"call *@etl"};
    const char *address = c->endpoint;
    struct invitation_order o = {.cluster = "test",
                                 .name = name,
                                 .role = role,
                                 .serial = 99,
                                 .pools = pools,
                                 .n_pools = role == ROLE_SERVER,
                                 .grants = grants,
                                 .n_grants = role != ROLE_SERVER,
                                 .expires = clock_wall_ms() + lives,
                                 .certificate_not_after = clock_wall_ms() + 3600000,
                                 .addresses = &address,
                                 .n_addresses = 1,
                                 .broker_key = c->broker.transport,
                                 .administrators = &c->administrator.sign,
                                 .n_administrators = 1};
    struct token parsed;
    struct key one_time;
    struct error err;
    char *text;
    if (invitation_make(&o, &c->administrator, &text, &err) < 0 ||
        token_parse(text, &parsed, &err) < 0)
        fail_msg("%s", err.text);
    key_from_seed(parsed.one_time_seed, &one_time);
    *ret_one_time = one_time.transport;
    token_free(&parsed);
    return text;
}

static int gate_open(void **state)
{
    if (cluster_files(state) < 0)
        return -1;
    struct client_cluster *c = *state;
    struct enrol_gate *g = mem_zalloc(1, sizeof *g);
    broker_start(c);
    net_server_allow(c->server, &c->anna.transport, false);
    c->take = take_enrol;
    c->test = g;
    return 0;
}

static int gate_close(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    mem_free(&g->token);
    buf_free(&g->certificate);
    mem_free(&c->test);
    return cluster_end(state);
}

static void invite(struct client_cluster *c, const char *name, enum role role)
{
    struct enrol_gate *g = c->test;
    mem_free(&g->token);
    g->token = token_for(c, name, role, 60000, &g->one_time);
    net_server_allow(c->server, &g->one_time, true);
}

static int join(struct client_cluster *c, bool server, bool force)
{
    struct enrol_gate *g = c->test;
    const struct enrol_options o = {.token = g->token,
                                    .folder = c->folder,
                                    .server = server,
                                    .force = force,
                                    .timeout_ms = PATIENCE_MS,
                                    .loop = c->loop};
    g->err = (struct error){0};
    return enrol(&o, &g->result, &g->err);
}

static void joined(struct client_cluster *c, bool server, bool force)
{
    if (join(c, server, force) < 0)
        fail_msg("%s", ((struct enrol_gate *)c->test)->err.text);
}

static mode_t mode_of(const struct client_cluster *c, const char *name)
{
    struct stat st;
    char *path = mem_printf("%s/%s", c->folder, name);
    mode_t mode = stat(path, &st) < 0 ? 0 : st.st_mode & 07777;
    mem_free(&path);
    return mode;
}

/* Nothing is half done: there are no identity files and no staged ones. */
static void nothing_remains(const struct client_cluster *c)
{
    static const char *const files[] = {SIGN_KEY_FILE, SEAL_KEY_FILE, ADMINISTRATORS_FILE,
                                        BROKER_FILE,   CLIENT_FILE,   CERTIFICATE_FILE};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_int_equal(mode_of(c, files[i]), 0);
    char *command = mem_printf("test -z \"$(find %s -name '.joining*')\"", c->folder);
    assert_int_equal(system(command), 0);
    mem_free(&command);
}

static void a_caller_joins_and_can_connect(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    struct longboat *lb;
    struct error err;

    invite(c, "bert", ROLE_CALLER);
    joined(c, false, false);
    assert_string_equal(g->result.cluster, "test");
    assert_string_equal(g->result.name, "bert");
    assert_int_equal(g->result.role, ROLE_CALLER);
    assert_int_equal(mode_of(c, SIGN_KEY_FILE), 0400);
    assert_int_equal(mode_of(c, CERTIFICATE_FILE), 0644);
    assert_int_equal(mode_of(c, SEAL_KEY_FILE), 0);

    unsigned hellos = c->hellos;
    if (longboat_open(&lb, c->folder, c->loop, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(longboat_me(lb)->name, "bert");
    until(c, longboat_is_up(lb));
    assert_int_equal(c->hellos, hellos + 1);
    longboat_close(&lb);
}

static void a_server_joins_with_a_seal_key(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    struct certificate who;
    struct seal_key seal;
    struct error err;

    invite(c, "etl4", ROLE_SERVER);
    joined(c, true, false);
    assert_int_equal(mode_of(c, SEAL_KEY_FILE), 0400);
    assert_int_equal(mode_of(c, "keys"), 0700);
    assert_int_equal(certificate_verify(buf_span(&g->certificate), &c->anchors, clock_wall_ms(),
                                        &who, NULL, &err),
                     0);
    assert_int_equal(who.n_pools, 1);
    char *path = mem_printf("%s/%s", c->folder, SEAL_KEY_FILE);
    assert_int_equal(seal_key_load(path, &seal, &err), 0);
    assert_true(hash_eq(&seal.public_key, &who.seal_key));
    mem_free(&path);
    certificate_free(&who);
}

static void a_token_works_only_with_the_program_it_was_made_for(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    invite(c, "etl4", ROLE_SERVER);
    assert_int_equal(join(c, false, false), -EINVAL);
    assert_contains(g->err.text, "lbworker join");
    invite(c, "bert", ROLE_CALLER);
    assert_int_equal(join(c, true, false), -EINVAL);
    assert_contains(g->err.text, "lbctl invite --server");
    nothing_remains(c);
    assert_int_equal(c->hellos, 0);
}

static void an_existing_identity_is_not_overwritten(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    struct client_config before, after;

    invite(c, "bert", ROLE_CALLER);
    joined(c, false, false);
    assert_int_equal(client_config_load(&before, c->folder, NULL), 0);
    invite(c, "carl", ROLE_CALLER);
    assert_int_equal(join(c, false, false), -EEXIST);
    assert_contains(g->err.text, "--force");
    assert_int_equal(g->enrols, 1);
    assert_int_equal(client_config_load(&after, c->folder, NULL), 0);
    assert_true(hash_eq(&before.key.sign, &after.key.sign));
    client_config_free(&after);

    joined(c, false, true);
    assert_int_equal(client_config_load(&after, c->folder, NULL), 0);
    assert_string_equal(after.me.name, "carl");
    assert_false(hash_eq(&before.key.sign, &after.key.sign));
    client_config_free(&before);
    client_config_free(&after);
}

static void a_failed_join_with_force_keeps_the_old_identity(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    struct client_config config;

    invite(c, "bert", ROLE_CALLER);
    joined(c, false, false);
    invite(c, "carl", ROLE_CALLER);
    g->answer = REFUSAL_NAME_TAKEN;
    assert_int_equal(join(c, false, true), -EACCES);
    assert_int_equal(client_config_load(&config, c->folder, NULL), 0);
    assert_string_equal(config.me.name, "bert");
    client_config_free(&config);
}

static void a_refused_certificate_leaves_nothing_behind(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    invite(c, "bert", ROLE_CALLER);
    g->answer = REFUSAL_NAME_TAKEN;
    assert_int_equal(join(c, false, false), -EACCES);
    assert_contains(g->err.text, "the name is taken");
    nothing_remains(c);
}

static void a_used_token_is_refused(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    invite(c, "bert", ROLE_CALLER);
    net_server_allow(c->server, &g->one_time, false);
    assert_int_equal(join(c, false, false), -EACCES);
    assert_contains(g->err.text, "it was used");
    nothing_remains(c);
}

static void an_expired_token_is_refused_without_asking_the_broker(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    g->token = token_for(c, "bert", ROLE_CALLER, -1000, &g->one_time);
    assert_int_equal(join(c, false, false), -ETIME);
    nothing_remains(c);
    assert_int_equal(c->hellos, 0);
}

static void text_that_is_not_a_token_is_refused(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    g->token = mem_strdup("longboat-join:AAAA");
    assert_true(join(c, false, false) < 0);
    nothing_remains(c);
}

static void a_busy_broker_is_asked_again(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    invite(c, "bert", ROLE_CALLER);
    g->busy = 1;
    joined(c, false, false);
    assert_int_equal(g->enrols, 2);
}

static void connecting_settles_a_lost_answer(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    struct client_config config;
    invite(c, "bert", ROLE_CALLER);
    g->lose_answer = true;
    joined(c, false, false);
    assert_int_equal(g->enrols, 1);
    assert_int_equal(client_config_load(&config, c->folder, NULL), 0);
    assert_true(hash_eq(&c->peer_key, &config.key.transport));
    client_config_free(&config);
}

static void a_broker_with_an_unexpected_certificate_is_not_joined(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    struct key other;
    key_make(&other);
    buf_free(&c->broker_certificate);
    c->broker_certificate = certificate_for(c, "wh0", ROLE_BROKER, &other);
    invite(c, "bert", ROLE_CALLER);
    assert_int_equal(join(c, false, false), -EBADMSG);
    assert_int_equal(g->enrols, 0);
    nothing_remains(c);
}

static void joining_times_out_if_the_broker_does_not_answer(void **state)
{
    struct client_cluster *c = *state;
    struct enrol_gate *g = c->test;
    invite(c, "bert", ROLE_CALLER);
    net_server_close(&c->server);
    const struct enrol_options o = {
        .token = g->token, .folder = c->folder, .timeout_ms = 500}; /* with its own loop */
    assert_int_equal(enrol(&o, &g->result, &g->err), -ETIMEDOUT);
    assert_contains(g->err.text, "no answer from the broker at tcp://");
    nothing_remains(c);
}

static void a_token_is_read_to_the_end_of_its_input(void **state)
{
    int ends[2];
    char *text = NULL;
    struct error err;
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], " longboat-join:abc\n", 19), 19);
    close(ends[1]);
    assert_int_equal(enrol_read_token(ends[0], &text, &err), 0);
    assert_string_equal(text, " longboat-join:abc\n");
    mem_free(&text);
    assert_int_equal(enrol_read_token(ends[0], &text, &err), -EINVAL); /* nothing more */
    assert_contains(err.text, "lbctl invite");
    close(ends[0]);
    int zeros = open("/dev/zero", O_RDONLY);
    assert_int_equal(enrol_read_token(zeros, &text, &err), -EINVAL);
    assert_contains(err.text, "too long");
    close(zeros);
}

#define at_the_gate(t) cmocka_unit_test_setup_teardown(t, gate_open, gate_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        at_the_gate(a_caller_joins_and_can_connect),
        at_the_gate(a_server_joins_with_a_seal_key),
        at_the_gate(a_token_works_only_with_the_program_it_was_made_for),
        at_the_gate(an_existing_identity_is_not_overwritten),
        at_the_gate(a_failed_join_with_force_keeps_the_old_identity),
        at_the_gate(a_refused_certificate_leaves_nothing_behind),
        at_the_gate(a_used_token_is_refused),
        at_the_gate(an_expired_token_is_refused_without_asking_the_broker),
        at_the_gate(text_that_is_not_a_token_is_refused),
        at_the_gate(a_busy_broker_is_asked_again),
        at_the_gate(connecting_settles_a_lost_answer),
        at_the_gate(a_broker_with_an_unexpected_certificate_is_not_joined),
        at_the_gate(joining_times_out_if_the_broker_does_not_answer),
        cmocka_unit_test(a_token_is_read_to_the_end_of_its_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
