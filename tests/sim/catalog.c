/* catalog.c - see catalog.h. */
#include "tests/sim/catalog.h"

#include <string.h>

#include "trust/envelope.h"

const char *const sim_pools[CATALOG_POOLS] = {"east", "west"};

struct step_row {
    const char *name, *on_success, *on_failure;
    bool always;
    uint64_t attempts, interval_ms, backoff, timeout_ms;
};

static const struct job_row {
    const char *name, *version;
    uint64_t concurrency;
    bool idempotent;
    int64_t least_us, most_us;
    unsigned fails;
    struct step_row steps[4];
} rows[CATALOG_JOBS] = {
    {"quick", "1", 0, true, MS(1), MS(60), 50, {{.name = "run"}}},
    {"steady",
     "1",
     0,
     false,
     MS(300),
     SECS(6),
     100,
     {{.name = "run", .attempts = 3, .interval_ms = 1500, .backoff = 2}}},
    {"steady",
     "2",
     0,
     true,
     MS(300),
     SECS(6),
     100,
     {{.name = "run", .attempts = 2, .interval_ms = 1000}}},
    {"chain",
     "1",
     2,
     false,
     MS(50),
     SECS(3),
     150,
     {{.name = "first"},
      {.name = "second", .on_failure = "goto third"},
      {.name = "third", .attempts = 2, .interval_ms = 500},
      {.name = "clean", .always = true}}},
    {"long", "1", 1, true, SECS(10), SECS(120), 50, {{.name = "run"}}},
    {"slow",
     "1",
     0,
     false,
     SECS(5),
     SECS(90),
     50,
     {{.name = "prepare"}, {.name = "run"}, {.name = "clean", .always = true}}},
    {"ghost", "1", 0, false, MS(1), MS(2), 0, {{.name = "run"}}}, /* no server has it */
};

static void job_write(const struct job_row *row, struct buf *out)
{
    struct buf items = {0}, one = {0};
    uint32_t n = 0;
    for (; n < 4 && row->steps[n].name; n++) {
        const struct step_row *s = &row->steps[n];
        buf_clear(&one);
        d_step_encode(&(struct d_step){.name = span_str(s->name),
                                       .always = s->always,
                                       .subsystem = span_str("exec"),
                                       .proxy = span_str("default"),
                                       .attempts = s->attempts,
                                       .interval_ms = s->interval_ms,
                                       .backoff = s->backoff,
                                       .timeout_ms = s->timeout_ms,
                                       .on_success = span_str(s->on_success),
                                       .on_failure = span_str(s->on_failure)},
                      &one);
        wire_add_bin(&items, buf_span(&one));
    }
    d_job_encode(&(struct d_job){.name = span_str(row->name),
                                 .version = span_str(row->version),
                                 .concurrency = row->concurrency,
                                 .steps = wire_list_from(&items, n)},
                 out);
    buf_free(&items);
    buf_free(&one);
}

void catalog_make(struct catalog *c)
{
    memset(c, 0, sizeof *c);
    for (unsigned i = 0; i < CATALOG_JOBS; i++) {
        struct sim_job *j = &c->jobs[i];
        job_write(&rows[i], &j->body);
        envelope_hash(buf_span(&j->body), &j->hash);
        j->name = rows[i].name;
        j->version = rows[i].version;
        j->concurrency = rows[i].concurrency;
        j->idempotent = rows[i].idempotent;
        j->least_us = rows[i].least_us;
        j->most_us = rows[i].most_us;
        j->fails = rows[i].fails;
    }
}

void catalog_free(struct catalog *c)
{
    for (unsigned i = 0; i < CATALOG_JOBS; i++)
        buf_free(&c->jobs[i].body);
}

const struct sim_job *catalog_by_hash(const struct catalog *c, const struct hash *hash)
{
    for (unsigned i = 0; i < CATALOG_JOBS; i++)
        if (hash_eq(&c->jobs[i].hash, hash))
            return &c->jobs[i];
    return NULL;
}

static void attest_job(const struct sim_job *j, struct buf *items)
{
    struct buf needs = {0}, one = {0};
    bool needy = !strcmp(j->name, "chain");
    if (needy)
        wire_add_str(&needs, span_str("path /data"));
    d_attested_job_encode(&(struct d_attested_job){.name = span_str(j->name),
                                                   .job_hash = j->hash,
                                                   .version = span_str(j->version),
                                                   .concurrency = j->concurrency,
                                                   .idempotent = j->idempotent,
                                                   .needs = wire_list_from(&needs, needy)},
                          &one);
    wire_add_bin(items, buf_span(&one));
    buf_free(&needs);
    buf_free(&one);
}

void catalog_attest(const struct catalog *c, unsigned jobs, unsigned slots, bool need_holds,
                    struct buf *out)
{
    struct buf items = {0}, needs = {0}, one = {0};
    uint32_t n = 0;
    for (unsigned i = 0; i < CATALOG_JOBS; i++)
        if (jobs & 1u << i) {
            attest_job(&c->jobs[i], &items);
            n++;
        }
    d_need_encode(&(struct d_need){.need = span_str("path /data"), .holds = need_holds}, &one);
    wire_add_bin(&needs, buf_span(&one));
    m_attest_encode(&(struct m_attest){.slots = slots,
                                       .jobs = wire_list_from(&items, n),
                                       .needs = wire_list_from(&needs, 1)},
                    out);
    buf_free(&items);
    buf_free(&needs);
    buf_free(&one);
}

static void envelope_write(struct span body, const char *signer, struct buf *out)
{
    d_signed_encode(&(struct d_signed){.signer = span_str(signer), .body = body}, out);
}

void catalog_write_certificate(const char *name, const char *role, uint64_t serial, unsigned pools,
                               struct buf *out)
{
    struct buf items = {0}, body = {0};
    uint32_t n = 0;
    for (unsigned i = 0; i < CATALOG_POOLS; i++)
        if (pools & 1u << i) {
            wire_add_str(&items, span_str(sim_pools[i]));
            n++;
        }
    d_certificate_encode(&(struct d_certificate){.cluster = span_str(SIM_CLUSTER),
                                                 .name = span_str(name),
                                                 .role = span_str(role),
                                                 .serial = serial,
                                                 .pools = wire_list_from(&items, n)},
                         &body);
    envelope_write(buf_span(&body), "", out);
    buf_free(&items);
    buf_free(&body);
}

void catalog_write_call(const struct d_call *call, struct buf *body, struct buf *signed_call)
{
    char signer[LIMIT_NAME + 1];
    buf_clear(body);
    buf_clear(signed_call);
    d_call_encode(call, body);
    span_copy_str(call->caller, signer, sizeof signer);
    envelope_write(buf_span(body), signer, signed_call);
}
