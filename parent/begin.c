/* begin.c - makes a parent run durable before its first call: the broker stores plan, values
   and as_of. */
#include "parent/submit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/config.h"
#include "common/mem.h"
#include "trust/envelope.h"

enum {
    HELD_RETRY_MS = 1000,
    HELD_TRIES = 2 * LEASE_MS / HELD_RETRY_MS /* an older session of ours ends within one lease */
};

/* *ret_next is the next offset that the broker asks for. */
static int put_chunk(struct submit_shell *s, const struct hash *hash, struct span plan,
                     uint64_t offset, uint64_t *ret_next, struct error *err)
{
    size_t n = plan.n - offset < LIMIT_CHUNK ? (size_t)(plan.n - offset) : LIMIT_CHUNK;
    struct m_parent_plan m = {.req = longboat_req(s->lb),
                              .plan = *hash,
                              .offset = offset,
                              .size = plan.n,
                              .data = span_of(plan.p + offset, n)};
    struct buf message = {0}, answer = {0};
    struct m_done done;
    m_parent_plan_encode(&m, &message);
    int rc = longboat_ask(s->lb, m.req, buf_span(&message), CONNECT_MS, &answer, NULL, err);
    if (rc == 0)
        rc = longboat_decode(s->lb, &m_done_schema, buf_span(&answer), &done, err);
    if (rc == 0) {
        char text[32];
        span_copy_str(done.text, text, sizeof text);
        *ret_next = strtoull(text, NULL, 10);
    }
    buf_free(&message);
    buf_free(&answer);
    return rc;
}

static int put_plan(struct submit_shell *s, const struct hash *hash, struct span plan,
                    struct error *err)
{
    uint64_t offset = 0, next = 0;
    int rc = 0, turns = 0;
    /* a broker that restarts asks for all of it again */
    const int most = 4 * (LIMIT_PLAN / LIMIT_CHUNK + 1);
    while (rc == 0 && offset < plan.n) {
        if (turns++ == most)
            return error_set(
                err, -EPROTO,
                "%s does not take the plan: it asks for byte %llu of %zu again and again",
                longboat_broker(s->lb), (unsigned long long)offset, plan.n);
        if ((rc = put_chunk(s, hash, plan, offset, &next, err)) == 0 && next > plan.n)
            return error_set(err, -EPROTO, "%s asks for byte %llu of a plan of %zu",
                             longboat_broker(s->lb), (unsigned long long)next, plan.n);
        offset = next;
    }
    return rc;
}

/* Random bits come from trust, which uses libsodium. */
static const char *new_key(int64_t now, char out[ID_TEXT])
{
    uint8_t chance[KEY_SEED];
    key_seed_make(chance);
    return id_format(id_make(now, chance), out);
}

static int sign_begin(struct submit_shell *s, const struct hash *hash, size_t size,
                      const struct plan_made *made, const char *key, int64_t now, struct buf *out,
                      struct error *err)
{
    const struct certificate *me = longboat_me(s->lb);
    struct buf body = {0};
    char made_key[ID_TEXT];
    struct client_config config = {0};
    struct d_parent d = {.cluster = span_str(me->cluster),
                         .caller = span_str(me->name),
                         .key = span_str(key ? key : new_key(now, made_key)),
                         .name = span_str(made->graph.name),
                         .plan = *hash,
                         .plan_size = size,
                         .values = wire_list_from(&made->values, made->n_values),
                         .as_of = span_str(made->graph.as_of),
                         .tasks = made->children,
                         .issued_at = now};
    d_parent_encode(&d, &body);
    int rc = client_config_load(&config, NULL, err);
    if (rc == 0)
        rc = envelope_sign(ENVELOPE_PARENT, &config.key, me->name, me->serial, buf_span(&body), out,
                           err);
    client_config_free(&config);
    buf_free(&body);
    return rc;
}

static int take_lease(struct submit_shell *s, struct parent_run *run, enum refusal *ret_refusal,
                      struct error *err)
{
    struct m_parent_drive m = {.req = longboat_req(s->lb), .parent = run->id};
    struct buf message = {0}, answer = {0};
    struct m_driving driving;
    m_parent_drive_encode(&m, &message);
    int rc = longboat_ask(s->lb, m.req, buf_span(&message), 0, &answer, ret_refusal, err);
    if (rc == 0)
        rc = longboat_decode(s->lb, &m_driving_schema, buf_span(&answer), &driving, err);
    if (rc == 0)
        run->epoch = driving.epoch;
    buf_free(&message);
    buf_free(&answer);
    return rc;
}

static bool never(void *self)
{
    (void)self;
    return false;
}

int parent_begin(struct submit_shell *s, struct span plan, const struct plan_made *made,
                 const char *key, int64_t now, struct parent_run *ret, enum refusal *ret_refusal,
                 struct error *err)
{
    struct hash hash;
    struct buf signed_body = {0}, message = {0}, answer = {0};
    struct m_accepted accepted;
    *ret_refusal = REFUSAL_NONE;
    envelope_hash(plan, &hash);
    int rc = put_plan(s, &hash, plan, err);
    if (rc == 0)
        rc = sign_begin(s, &hash, plan.n, made, key, now, &signed_body, err);
    if (rc == 0) {
        struct m_parent_begin m = {.req = longboat_req(s->lb), .parent = buf_span(&signed_body)};
        m_parent_begin_encode(&m, &message);
        rc = longboat_ask(s->lb, m.req, buf_span(&message), CONNECT_MS, &answer, ret_refusal, err);
    }
    if (rc == 0)
        rc = longboat_decode(s->lb, &m_accepted_schema, buf_span(&answer), &accepted, err);
    if (rc == 0) {
        ret->id = accepted.run;
        rc = take_lease(s, ret, NULL, err);
    }
    buf_free(&signed_body);
    buf_free(&message);
    buf_free(&answer);
    return rc;
}

/* ---- A new session: the lease of the old one has ended. */
static bool take_driving(void *self, uint64_t kind, struct span message)
{
    struct parent_run *run = self;
    struct m_driving driving;
    if (kind == KIND_M_DRIVING &&
        longboat_decode(run->lb, &m_driving_schema, message, &driving, NULL) == 0)
        run->epoch = driving.epoch;
    return false; /* parent_end deals with a refusal */
}

void parent_hold(struct submit_shell *s, struct parent_run *run)
{
    struct m_parent_drive m = {.req = longboat_req(s->lb), .parent = run->id};
    struct buf message = {0};
    run->lb = s->lb;
    m_parent_drive_encode(&m, &message);
    longboat_request(s->lb, m.req, buf_span(&message), take_driving, run, NULL);
    buf_free(&message);
}

static int say_end(struct submit_shell *s, const struct parent_run *run, enum status verdict,
                   struct span report, enum refusal *ret_refusal, struct error *err)
{
    struct m_parent_end m = {.req = longboat_req(s->lb),
                             .parent = run->id,
                             .epoch = run->epoch,
                             .status = verdict,
                             .report = report};
    struct buf message = {0}, answer = {0};
    m_parent_end_encode(&m, &message);
    int rc = longboat_ask(s->lb, m.req, buf_span(&message), 0, &answer, ret_refusal, err);
    buf_free(&message);
    buf_free(&answer);
    return rc;
}

int parent_end(struct submit_shell *s, struct parent_run *run, enum status verdict,
               struct span report, struct error *err)
{
    enum refusal refusal;
    int rc = say_end(s, run, verdict, report, &refusal, err);
    for (int i = 0; rc == -EREMOTEIO && refusal == REFUSAL_HELD_BY_OTHER && i < HELD_TRIES; i++) {
        if ((rc = take_lease(s, run, &refusal, err)) == 0)
            rc = say_end(s, run, verdict, report, &refusal, err);
        else if (rc == -EREMOTEIO && refusal == REFUSAL_HELD_BY_OTHER &&
                 longboat_wait(s->lb, never, NULL, HELD_RETRY_MS, NULL) == -EINTR)
            return error_set(err, -EINTR, "interrupted");
    }
    return rc;
}
