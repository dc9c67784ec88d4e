/* fleet.c - COUNT simulated workers of SLOTS slots each, in one process: real sessions and
 * certificates, but an EXECUTE is answered with STARTED and RESULT at once, and no child runs.
 *     usage: fleet COUNT SLOTS
 * The certificates are signed with the key of LONGBOAT_HOME, an administrator's, and the workers
 * are in the pool `fleet`, where they attest the job `noop`. Prints "up" once all are there, and
 * lives until it is killed. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/config.h"
#include "client/longboat.h"
#include "common/clock.h"
#include "common/mem.h"
#include "net/dialer.h"
#include "proto/outcome.h"

enum { NAME = 32, DAY_MS = 86400000 };

struct fleet_worker {
    struct key key;
    struct buf certificate;
    char name[NAME];
    struct id spool;
    struct dialer *dialer;
    bool up;
};

static struct fleet_worker *workers;
static unsigned n_workers, slots, n_up, answered;
static struct client_config config;
static struct buf message, outcome;
static struct hash job_hash;

static void die(const char *what, const struct error *err)
{
    fprintf(stderr, "fleet: %s: %s\n", what, err->text);
    exit(1);
}

/* ---- What a worker says */
static void say(struct fleet_worker *w, const struct wire_schema *schema, const void *m)
{
    buf_clear(&message);
    wire_encode(schema, m, &message);
    dialer_send(w->dialer, buf_span(&message));
}

static void attest(struct fleet_worker *w)
{
    struct buf jobs = {0}, one = {0};
    d_attested_job_encode(&(struct d_attested_job){.name = span_str("noop"),
                                                   .job_hash = job_hash,
                                                   .version = span_str("1.0.0"),
                                                   .idempotent = true},
                          &one);
    wire_add_bin(&jobs, buf_span(&one));
    say(w, &m_attest_schema, &(struct m_attest){.slots = slots, .jobs = wire_list_from(&jobs, 1)});
    buf_free(&jobs);
    buf_free(&one);
}

static void make_outcome(const struct fleet_worker *w, int64_t now)
{
    static struct buf steps, step, argv;
    buf_clear(&steps), buf_clear(&step), buf_clear(&argv), buf_clear(&outcome);
    wire_add_str(&argv, span_str("bin/true"));
    d_step_outcome_encode(&(struct d_step_outcome){.name = span_str("noop"),
                                                   .action = ACTION_NEXT,
                                                   .package = PACKAGE_SUCCEEDED,
                                                   .package_name = span_str("bench-true"),
                                                   .package_version = span_str("1.0.0"),
                                                   .package_hash = job_hash,
                                                   .started_at = now,
                                                   .ended_at = now,
                                                   .user = span_str("nobody"),
                                                   .argv = wire_list_from(&argv, 1)},
                          &step);
    wire_add_bin(&steps, buf_span(&step));
    d_outcome_encode(&(struct d_outcome){.delivery = DELIVERY_CALLED,
                                         .job = JOB_SUCCEEDED,
                                         .package = PACKAGE_SUCCEEDED,
                                         .status = STATUS_SUCCEEDED,
                                         .server = span_str(w->name),
                                         .job_name = span_str("noop"),
                                         .job_hash = job_hash,
                                         .called_at = now,
                                         .started_at = now,
                                         .ended_at = now,
                                         .steps = wire_list_from(&steps, 1)},
                     &outcome);
}

static void execute(struct fleet_worker *w, struct span m)
{
    struct m_execute e;
    struct error err = {0};
    int64_t now = clock_wall_ms();
    if (m_execute_decode(m, &e, &err) < 0)
        die("EXECUTE", &err);
    say(w, &m_started_schema,
        &(struct m_started){
            .run = e.run, .attempt = e.attempt, .step = span_str("noop"), .at = now});
    make_outcome(w, now);
    say(w, &m_result_schema,
        &(struct m_result){.run = e.run, .attempt = e.attempt, .outcome = buf_span(&outcome)});
}

/* ---- Its session */
static void on_hello(void *self, struct m_hello *h)
{
    struct fleet_worker *w = self;
    h->certificate = buf_span(&w->certificate);
    h->spool = h->boot = h->incarnation = w->spool;
    h->slots = slots;
}

static void on_up(void *self, const struct m_welcome *welcome)
{
    struct fleet_worker *w = self;
    (void)welcome;
    say(w, &m_have_end_schema, &(struct m_have_end){.count = 0});
    attest(w);
    if (!w->up && ++n_up == n_workers) {
        printf("up\n");
        fflush(stdout);
    }
    w->up = true;
}

static void on_message(void *self, uint64_t kind, struct span m)
{
    if (kind == KIND_M_EXECUTE)
        execute(self, m);
}

static void on_down(void *self, const char *reason)
{
    fprintf(stderr, "fleet: %s: %s\n", ((struct fleet_worker *)self)->name, reason);
}

static void on_refused(void *self, const struct m_refused *r)
{
    fprintf(stderr, "fleet: %s: " SPAN_FMT "\n", ((struct fleet_worker *)self)->name,
            SPAN_ARG(r->text));
}

static void dial(struct fleet_worker *w, struct loop *loop)
{
    struct error err = {0};
    struct dialer_options o = {.addresses = (const char *const *)config.addresses,
                               .n_addresses = config.n_addresses,
                               .broker_key = config.broker.transport_key,
                               .secret_transport = w->key.transport_secret,
                               .public_transport = w->key.transport.b};
    struct dialer_calls calls = {.self = w,
                                 .hello = on_hello,
                                 .up = on_up,
                                 .message = on_message,
                                 .down = on_down,
                                 .refused = on_refused};
    if (dialer_open(&w->dialer, loop, &o, &calls, &err) < 0)
        die("dialer", &err);
}

/* ---- Its certificate */
static bool on_answer(void *self, uint64_t kind, struct span m)
{
    struct m_error e;
    (void)self;
    if (kind == KIND_M_ERROR && m_error_decode(m, &e, NULL) == 0)
        fprintf(stderr, "fleet: PUBLISH: " SPAN_FMT "\n", SPAN_ARG(e.text));
    answered++;
    return false;
}

static bool all_answered(void *self)
{
    (void)self;
    return answered == n_workers;
}

static void publish(struct longboat *lb, struct fleet_worker *w, unsigned index)
{
    static const char *const pools[] = {"fleet"};
    struct error err = {0};
    struct hash seal;
    int64_t now = clock_wall_ms();
    key_make(&w->key);
    randombytes_buf(seal.b, sizeof seal.b);
    randombytes_buf(w->spool.b, sizeof w->spool.b);
    snprintf(w->name, sizeof w->name, "fleet%u", index);
    struct certificate_order o = {.cluster = config.me.cluster,
                                  .name = w->name,
                                  .role = ROLE_SERVER,
                                  .serial = (uint64_t)now * 1000 + index,
                                  .sign_key = w->key.sign,
                                  .seal_key = seal,
                                  .pools = pools,
                                  .n_pools = 1,
                                  .not_before = now - 1000,
                                  .not_after = now + DAY_MS};
    if (certificate_make(&o, &config.key, &w->certificate, &err) < 0)
        die("certificate", &err);
    struct m_publish m = {.req = longboat_req(lb), .certificate = buf_span(&w->certificate)};
    buf_clear(&message);
    m_publish_encode(&m, &message);
    if (longboat_request(lb, m.req, buf_span(&message), on_answer, NULL, &err) < 0)
        die("PUBLISH", &err);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct longboat *lb;
    if (argc != 3) {
        fprintf(stderr, "usage: fleet COUNT SLOTS\n");
        return 2;
    }
    n_workers = (unsigned)strtoul(argv[1], NULL, 10);
    slots = (unsigned)strtoul(argv[2], NULL, 10);
    workers = mem_zalloc(n_workers, sizeof *workers);
    memset(job_hash.b, 0x5a, sizeof job_hash.b);
    if (trust_init(&err) < 0 || client_config_load(&config, NULL, &err) < 0 ||
        longboat_open(&lb, NULL, NULL, &err) < 0)
        die("connecting", &err);
    for (unsigned i = 0; i < n_workers; i++)
        publish(lb, &workers[i], i);
    if (longboat_wait(lb, all_answered, NULL, 60000, &err) < 0)
        die("waiting", &err);
    longboat_close(&lb);
    struct loop *loop = loop_new(&err);
    for (unsigned i = 0; loop && i < n_workers; i++)
        dial(&workers[i], loop);
    return loop ? loop_run(loop, &err) : 1;
}
