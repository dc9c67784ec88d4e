/* worker_test.c - the worker, assembled and in a process of its own, between a broker
 * (net/server.h) and a runner (a channel) that this test plays: what leaves in which order,
 * across kills and restarts. */
#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/clock.h"
#include "common/testing.h"
#include "net/server.h"

enum { SEEN_MAX = 256, WAIT_MS = 20000 };

struct worker_play {
    void **state;
    struct loop *loop;
    struct key administrator, broker_key, server_key;
    struct net_server *server;
    uint64_t peer; /* the worker's session; 0: none */
    int listening;
    struct channel *runner;
    struct spoolfile *keeper;
    pid_t worker;
    struct buf seen[SEEN_MAX]; /* the worker's messages to the broker, then to the runner */
    bool to_runner[SEEN_MAX];
    unsigned n;
    bool silent_runner; /* does not answer ATTACH */
};

#define must(call) \
    do { \
        if ((call) < 0) \
            fail_msg("%s: %s", #call, err.text); \
    } while (0)

static const char *at(struct worker_play *p, const char *name)
{
    return testing_path(p->state, name);
}

static void see(struct worker_play *p, struct span m, bool to_runner)
{
    assert_true(p->n < SEEN_MAX);
    p->to_runner[p->n] = to_runner;
    p->seen[p->n++] = buf_dup(m);
}

static uint64_t kind_of(struct span m)
{
    uint64_t kind = 0;
    size_t size;
    assert_int_equal(wire_peek(m, &kind, &size, NULL), 0);
    return kind;
}

/* ---- The broker */

static enum refusal on_hello(void *self, uint64_t peer, const struct hash *key, const char *address,
                             struct span hello, struct error *why)
{
    struct worker_play *p = self;
    struct buf b = {0};
    (void)key;
    (void)address;
    (void)why;
    see(p, hello, false);
    p->peer = peer;
    struct m_welcome w = {.cluster = span_str("test"),
                          .broker = span_str("played"),
                          .lease_ms = LEASE_MS,
                          .lost_after_ms = 60000};
    m_welcome_encode(&w, &b);
    assert_int_equal(net_server_send(p->server, peer, buf_span(&b)), 0);
    buf_free(&b);
    return REFUSAL_NONE;
}

static void on_message(void *self, uint64_t peer, uint64_t kind, struct span m)
{
    struct worker_play *p = self;
    (void)peer;
    if (kind == KIND_M_PING) {
        struct m_ping ping;
        struct buf b = {0};
        assert_int_equal(m_ping_decode(m, &ping, NULL), 0);
        m_pong_encode(&(struct m_pong){.stamp = ping.stamp}, &b);
        net_server_send(p->server, peer, buf_span(&b));
        buf_free(&b);
    }
    see(p, m, false);
}

static void on_down(void *self, uint64_t peer, const char *reason)
{
    struct worker_play *p = self;
    (void)reason;
    if (p->peer == peer)
        p->peer = 0;
}

static void on_window(void *self, uint64_t peer)
{
    (void)self;
    (void)peer;
}

/* ---- The runner */

static void runner_says(struct worker_play *p, const struct wire_schema *schema, const void *m)
{
    struct error err = {0};
    struct buf b = {0};
    wire_encode(schema, m, &b);
    must(channel_send(p->runner, buf_span(&b), &err));
    buf_free(&b);
}

static void drop_runner(struct worker_play *p)
{
    if (p->runner)
        loop_del(p->loop, channel_fd(p->runner));
    channel_close(&p->runner);
}

static void on_runner(struct loop *l, int fd, uint32_t events, void *arg)
{
    struct worker_play *p = arg;
    struct span m;
    (void)l;
    (void)fd;
    (void)events;
    int rc;
    while ((rc = channel_receive(p->runner, &m, NULL)) > 0) {
        see(p, m, true);
        struct s_probe probe;
        if (kind_of(m) == KIND_S_PROBE && s_probe_decode(m, &probe, NULL) == 0)
            runner_says(p, &s_probed_schema, &(struct s_probed){.number = probe.number});
        if (kind_of(m) == KIND_S_ATTACH && !p->silent_runner) {
            runner_says(p, &s_attach_schema, &(struct s_attach){.version = RUNNER_PROTOCOL});
            runner_says(p, &s_kept_end_schema, &(struct s_kept_end){.count = 0});
        }
    }
    if (rc < 0)
        drop_runner(p);
}

static void on_connect(struct loop *l, int fd, uint32_t events, void *arg)
{
    struct worker_play *p = arg;
    struct error err = {0};
    (void)events;
    drop_runner(p);
    must(channel_accept(fd, &p->runner, &err));
    must(loop_add(l, channel_fd(p->runner), EPOLLIN, on_runner, p, &err));
}

/* ---- The server's home */

static void write_certificate(struct worker_play *p, const char *name, const char *who,
                              enum role role, const struct key *key)
{
    struct error err = {0};
    struct buf b = {0};
    struct certificate_order o = {.cluster = "test",
                                  .name = who,
                                  .role = role,
                                  .serial = role + 10u,
                                  .sign_key = key->sign,
                                  .not_before = clock_wall_ms() - 1000,
                                  .not_after = clock_wall_ms() + 100000000};
    if (role == ROLE_SERVER)
        o.seal_key = key->transport;
    must(certificate_make(&o, &p->administrator, &b, &err));
    must(file_write_atomic(at(p, name), buf_span(&b), 0600, &err));
    buf_free(&b);
}

static void build_house(struct worker_play *p)
{
    struct error err = {0};
    struct trust_anchors anchors;
    struct buf b = {0};
    const char *folders[] = {"etc/trust", "etc/keys", "etc/jobs", "run", "var/spool"};
    for (unsigned i = 0; i < sizeof folders / sizeof *folders; i++)
        must(file_make_dirs(at(p, folders[i]), 0700, &err));
    anchors_from("test", &p->administrator.sign, 1, &anchors);
    anchors_format(&anchors, &b);
    must(file_write_atomic(at(p, "etc/trust/administrators"), buf_span(&b), 0600, &err));
    anchors_free(&anchors);
    write_certificate(p, "etc/trust/certificate", "etl1", ROLE_SERVER, &p->server_key);
    write_certificate(p, "etc/trust/broker", "played", ROLE_BROKER, &p->broker_key);
    must(key_file_create(at(p, "etc/keys/sign.key"), p->server_key.seed, &err));
    buf_clear(&b);
    buf_printf(&b, "brokers:\n  - \"%s\"\n", net_server_endpoint(p->server, 0));
    must(file_write_atomic(at(p, "etc/client.yaml"), buf_span(&b), 0600, &err));
    must(file_write_atomic(
        at(p, "etc/jobs/hello.yaml"),
        span_str("job: hello\nsteps:\n  - {name: run, subsystem: shell, run: echo hello}\n"), 0644,
        &err));
    buf_free(&b);
    must(spoolfile_open_append(at(p, "var/spool/keeper-1.log"), 0600, &p->keeper, NULL, &err));
}

static void begin(void **state, struct worker_play *p)
{
    struct error err = {0};
    *p = (struct worker_play){.state = state, .listening = -1};
    must(trust_init(&err));
    key_make(&p->administrator);
    key_make(&p->broker_key);
    key_make(&p->server_key);
    assert_non_null(p->loop = loop_new(&err));
    const char *listen[] = {"tcp://127.0.0.1:*"};
    const struct net_server_options o = {.listen = listen,
                                         .n_listen = 1,
                                         .secret_transport = p->broker_key.transport_secret,
                                         .public_transport = p->broker_key.transport.b};
    const struct net_server_calls calls = {p, on_hello, on_message, on_down, on_window, NULL};
    must(net_server_open(&p->server, p->loop, &o, &calls, &err));
    net_server_allow(p->server, &p->server_key.transport, true);
    build_house(p);
    must(channel_listen(at(p, "run/runner.sock"), &p->listening, &err));
    must(loop_add(p->loop, p->listening, EPOLLIN, on_connect, p, &err));
}

/* The worker in a process made by exec, which inherits nothing of ours. */
static void start(struct worker_play *p)
{
    char self[PATHS_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    assert_true(n > 0);
    self[n] = '\0';
    setenv("LONGBOAT_HOME", *p->state, 1);
    p->worker = fork();
    if (p->worker == 0) {
        execl(self, self, "worker", (char *)NULL);
        _exit(99);
    }
}

static int worker_main(void)
{
    struct worker *w = NULL;
    struct error err = {0};
    const struct worker_options o = {.slots = 2, .external_runner = true};
    int rc = worker_open(&w, &o, &err);
    if (rc == 0)
        rc = worker_run(w, &err);
    worker_close(&w);
    if (rc < 0)
        fprintf(stderr, "%s\n", err.text);
    return rc < 0 ? 1 : rc;
}

static int stop(struct worker_play *p, int signal)
{
    int status = 0;
    if (!p->worker)
        return 0;
    kill(p->worker, signal);
    waitpid(p->worker, &status, 0);
    p->worker = 0;
    return status;
}

static void end(struct worker_play *p)
{
    stop(p, SIGKILL);
    drop_runner(p);
    loop_del(p->loop, p->listening);
    close(p->listening);
    net_server_close(&p->server);
    spoolfile_close(&p->keeper);
    for (unsigned i = 0; i < p->n; i++)
        buf_free(&p->seen[i]);
    loop_destroy(&p->loop);
}

/* ---- What the tests use */

static struct span find(const struct worker_play *p, uint64_t kind, unsigned index)
{
    for (unsigned i = 0; i < p->n; i++)
        if (kind_of(buf_span(&p->seen[i])) == kind && index-- == 0)
            return buf_span(&p->seen[i]);
    return SPAN_NONE;
}

/* The index-th message of a kind; waits for it. */
static struct span await(struct worker_play *p, uint64_t kind, unsigned index)
{
    struct error err = {0};
    struct span m;
    int64_t until = clock_boot_ms() + WAIT_MS;
    while (!(m = find(p, kind, index)).n) {
        if (clock_boot_ms() > until)
            fail_msg("message %u of kind %llu did not come", index, (unsigned long long)kind);
        must(loop_turn(p->loop, until, &err));
    }
    return m;
}

static void tell(struct worker_play *p, const struct wire_schema *schema, const void *m)
{
    struct buf b = {0};
    wire_encode(schema, m, &b);
    assert_int_equal(net_server_send(p->server, p->peer, buf_span(&b)), 0);
    buf_free(&b);
}

static struct id run_id(unsigned n)
{
    struct id id = {{0}};
    id.b[0] = (uint8_t)n;
    id.b[15] = 1;
    return id;
}

/* The hash of the only attested job. */
static struct hash attested_hash(struct worker_play *p)
{
    struct m_attest a;
    struct d_attested_job j;
    struct span item;
    struct error err = {0};
    must(m_attest_decode(await(p, KIND_M_ATTEST, 0), &a, &err));
    assert_int_equal(a.slots, 2);
    assert_int_equal(a.jobs.count, 1);
    struct wire_iter it = wire_iter(&a.jobs);
    assert_true(wire_next(&it, &item));
    must(d_attested_job_decode(item, &j, &err));
    assert_true(span_eq_str(j.name, "hello"));
    return j.job_hash;
}

static void execute(struct worker_play *p, unsigned run)
{
    struct buf body = {0}, s = {0};
    struct hash hash = attested_hash(p);
    d_call_encode(&(struct d_call){.cluster = span_str("test"),
                                   .caller = span_str("anna"),
                                   .key = span_str("k"),
                                   .job = span_str("hello"),
                                   .job_hash = hash,
                                   .address = span_str("etl1")},
                  &body);
    d_signed_encode(&(struct d_signed){.signer = span_str("anna"), .body = buf_span(&body)}, &s);
    tell(p, &m_execute_schema,
         &(struct m_execute){.run = run_id(run),
                             .attempt = 1,
                             .call = buf_span(&s),
                             .job_hash = hash,
                             .on_lost = ON_LOST_FAIL});
    buf_free(&body);
    buf_free(&s);
}

static void keeper_writes(struct worker_play *p, const struct wire_schema *schema, const void *m)
{
    struct error err = {0};
    struct buf b = {0};
    wire_encode(schema, m, &b);
    must(spoolfile_append(p->keeper, buf_span(&b), &err));
    buf_free(&b);
}

static void ring(struct worker_play *p)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", at(p, "run/worker.bell"));
    sendto(fd, "", 1, 0, (struct sockaddr *)&to, sizeof to);
    close(fd);
}

static void step_runs(struct worker_play *p, unsigned run)
{
    struct buf o = {0};
    keeper_writes(p, &s_launched_schema,
                  &(struct s_launched){.run = run_id(run),
                                       .attempt = 1,
                                       .step = span_str("run"),
                                       .try_no = 1,
                                       .at = clock_wall_ms(),
                                       .pid = 1});
    keeper_writes(p, &s_output_schema,
                  &(struct s_output){.run = run_id(run),
                                     .attempt = 1,
                                     .step = span_str("run"),
                                     .try_no = 1,
                                     .stream = 1,
                                     .data = span_str("hello\n")});
    d_step_outcome_encode(&(struct d_step_outcome){.name = span_str("run"),
                                                   .try_no = 1,
                                                   .package = PACKAGE_SUCCEEDED},
                          &o);
    keeper_writes(p, &s_ended_schema,
                  &(struct s_ended){.run = run_id(run), .attempt = 1, .outcome = buf_span(&o)});
    buf_free(&o);
}

static void assert_succeeded(struct worker_play *p, unsigned index)
{
    struct m_result r;
    struct d_outcome o;
    struct error err = {0};
    must(m_result_decode(await(p, KIND_M_RESULT, index), &r, &err));
    must(d_outcome_decode(r.outcome, &o, &err));
    if (o.status != STATUS_SUCCEEDED)
        fail_msg("the outcome is %s: " SPAN_FMT, status_text(o.status), SPAN_ARG(o.message));
}

/* ---- Tests */

static void a_call_completes_and_its_output_follows(void **state)
{
    struct worker_play p;
    struct m_log_data log;
    struct error err = {0};
    begin(state, &p);
    start(&p);
    execute(&p, 1);
    struct s_step s;
    must(s_step_decode(await(&p, KIND_S_STEP, 0), &s, &err));
    assert_true(span_eq_str(s.step, "run"));
    step_runs(&p, 1);
    ring(&p);
    assert_succeeded(&p, 0);
    must(m_log_data_decode(await(&p, KIND_M_LOG_DATA, 0), &log, &err));
    assert_true(span_eq_str(log.data, "hello\n"));
    end(&p);
}

static void an_attest_is_complete(void **state)
{
    struct worker_play p;
    struct m_hello h;
    struct m_have_end e;
    struct error err = {0};
    begin(state, &p);
    start(&p);
    must(m_hello_decode(await(&p, KIND_M_HELLO, 0), &h, &err));
    assert_false(id_is_zero(h.spool) || id_is_zero(h.boot) || id_is_zero(h.incarnation));
    assert_int_equal(h.slots, 2);
    assert_true(h.certificate.n > 0);
    must(m_have_end_decode(await(&p, KIND_M_HAVE_END, 0), &e, &err));
    assert_int_equal(e.count, 0);
    attested_hash(&p);
    end(&p);
}

static void a_step_is_noticed_without_a_bell(void **state)
{
    struct worker_play p;
    begin(state, &p);
    start(&p);
    execute(&p, 1);
    await(&p, KIND_S_STEP, 0);
    step_runs(&p, 1); /* no bell rings */
    assert_succeeded(&p, 0);
    end(&p);
}

static void a_killed_worker_resumes_under_the_same_spool_id(void **state)
{
    struct worker_play p;
    struct m_hello first, second;
    struct error err = {0};
    begin(state, &p);
    start(&p);
    execute(&p, 1);
    await(&p, KIND_S_STEP, 0);
    stop(&p, SIGKILL);
    step_runs(&p, 1); /* while no worker is running */
    start(&p);
    struct m_have have;
    must(m_have_decode(await(&p, KIND_M_HAVE, 0), &have, &err));
    assert_int_equal(have.state, RUN_ENDED);
    assert_succeeded(&p, 0);
    must(m_hello_decode(await(&p, KIND_M_HELLO, 0), &first, &err));
    must(m_hello_decode(await(&p, KIND_M_HELLO, 1), &second, &err));
    assert_true(id_eq(first.spool, second.spool));
    assert_true(id_eq(first.boot, second.boot));
    assert_true(id_eq(first.incarnation, second.incarnation));
    end(&p);
}

static void a_step_that_never_reached_a_lost_runner_is_requested_again(void **state)
{
    struct worker_play p;
    begin(state, &p);
    start(&p);
    execute(&p, 1);
    await(&p, KIND_S_STEP, 0);
    drop_runner(&p);
    await(&p, KIND_S_STEP, 1);
    end(&p);
}

/* More than fits on the channel at once: the rest follows as the runner reads. */
static void a_new_runner_gets_all_large_waiting_steps(void **state)
{
    enum { STEPS = 18, TEXT = 120000 }; /* two slots and AHEAD_STEPS */
    struct worker_play p;
    struct error err = {0};
    struct buf job = {0};
    begin(state, &p);
    buf_add_str(&job, "job: hello\nsteps:\n  - {name: run, subsystem: shell, run: ': ");
    memset(buf_grow(&job, TEXT), 'x', TEXT);
    job.n += TEXT;
    buf_add_str(&job, "'}\n");
    must(file_write_atomic(at(&p, "etc/jobs/hello.yaml"), buf_span(&job), 0644, &err));
    p.silent_runner = true;
    start(&p);
    for (unsigned i = 1; i <= STEPS; i++)
        execute(&p, i);
    tell(&p, &m_recall_schema, &(struct m_recall){.run = run_id(99), .attempt = 1});
    await(&p, KIND_M_RETURNED, 0); /* so everything before it has been read */
    p.silent_runner = false;
    drop_runner(&p);
    await(&p, KIND_S_STEP, STEPS - 1);
    assert_int_equal(find(&p, KIND_S_STEP, STEPS).n, 0);
    buf_free(&job);
    end(&p);
}

static void a_result_is_repeated_after_a_restart_until_it_is_recorded(void **state)
{
    struct worker_play p;
    struct error err = {0};
    begin(state, &p);
    start(&p);
    execute(&p, 1);
    await(&p, KIND_S_STEP, 0);
    step_runs(&p, 1);
    ring(&p);
    assert_succeeded(&p, 0);
    stop(&p, SIGKILL);
    start(&p);
    assert_succeeded(&p, 1);
    tell(&p, &m_recorded_schema, &(struct m_recorded){.run = run_id(1), .attempt = 1});
    /* STOP for a forgotten attempt is answered with RETURNED, so RECORDED has arrived */
    tell(&p, &m_stop_schema, &(struct m_stop){.run = run_id(1), .attempt = 1});
    await(&p, KIND_M_RETURNED, 0);
    stop(&p, SIGKILL);
    start(&p);
    struct m_have_end e;
    must(m_have_end_decode(await(&p, KIND_M_HAVE_END, 2), &e, &err));
    assert_int_equal(e.count, 0);
    end(&p);
}

static int64_t fence_in_file(struct worker_play *p)
{
    struct buf b = {0};
    struct error err = {0};
    int64_t fence = 0;
    must(file_read(at(p, "var/spool/fence"), 64, &b, &err));
    memcpy(&fence, b.p, sizeof fence);
    buf_free(&b);
    return fence;
}

static void the_fence_follows_the_acknowledged_renewals(void **state)
{
    struct worker_play p;
    struct error err = {0};
    int64_t before = clock_boot_ms(), until = before + WAIT_MS;
    begin(state, &p);
    start(&p);
    /* A renewal is requested right after HAVE_END; the welcome alone does not count as one. */
    await(&p, KIND_M_PING, 0);
    assert_true(find(&p, KIND_M_HAVE_END, 0).n > 0);
    while (!fence_in_file(&p)) {
        assert_true(clock_boot_ms() < until);
        must(loop_turn(p.loop, clock_boot_ms() + 20, &err));
    }
    assert_in_range(fence_in_file(&p), before, clock_boot_ms());
    end(&p);
}

static void a_changed_job_file_is_attested_again(void **state)
{
    struct worker_play p;
    struct error err = {0};
    struct m_attest a = {.slots = 0};
    begin(state, &p);
    start(&p);
    attested_hash(&p);
    must(file_write_atomic(
        at(&p, "etc/jobs/other.yaml"),
        span_str("job: other\nsteps:\n  - {name: run, subsystem: shell, run: echo}\n"), 0644,
        &err));
    for (unsigned i = 1; a.jobs.count != 2; i++)
        must(m_attest_decode(await(&p, KIND_M_ATTEST, i), &a, &err));
    end(&p);
}

static void sigterm_ends_the_worker_cleanly_with_a_bye(void **state)
{
    struct worker_play p;
    struct error err = {0};
    begin(state, &p);
    start(&p);
    await(&p, KIND_M_ATTEST, 0);
    uint64_t peer = p.peer;
    assert_true(peer != 0);
    assert_int_equal(stop(&p, SIGTERM), 0);
    int64_t until = clock_boot_ms() + WAIT_MS;
    while (p.peer && clock_boot_ms() < until)
        must(loop_turn(p.loop, until, &err));
    assert_int_equal(p.peer, 0);
    end(&p);
}

static void a_second_worker_in_one_home_is_refused(void **state)
{
    struct worker_play p;
    int status;
    begin(state, &p);
    start(&p);
    await(&p, KIND_M_ATTEST, 0);
    pid_t first = p.worker;
    start(&p);
    waitpid(p.worker, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 1);
    p.worker = first;
    end(&p);
}

static void an_identity_that_is_not_a_servers_is_refused(void **state)
{
    struct worker_play p;
    struct worker *w = NULL;
    struct error err = {0};
    begin(state, &p);
    write_certificate(&p, "etc/trust/certificate", "anna", ROLE_CALLER, &p.server_key);
    setenv("LONGBOAT_HOME", *state, 1);
    assert_int_equal(worker_open(&w, &(struct worker_options){.slots = 1}, &err), -EPERM);
    assert_contains(err.text, "lbworker join");
    end(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        in_folder(a_call_completes_and_its_output_follows),
        in_folder(an_attest_is_complete),
        in_folder(a_step_is_noticed_without_a_bell),
        in_folder(a_killed_worker_resumes_under_the_same_spool_id),
        in_folder(a_step_that_never_reached_a_lost_runner_is_requested_again),
        in_folder(a_new_runner_gets_all_large_waiting_steps),
        in_folder(a_result_is_repeated_after_a_restart_until_it_is_recorded),
        in_folder(the_fence_follows_the_acknowledged_renewals),
        in_folder(a_changed_job_file_is_attested_again),
        in_folder(sigterm_ends_the_worker_cleanly_with_a_bye),
        in_folder(a_second_worker_in_one_home_is_refused),
        in_folder(an_identity_that_is_not_a_servers_is_refused),
    };
    if (argc > 1 && strcmp(argv[1], "worker") == 0)
        return worker_main();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
