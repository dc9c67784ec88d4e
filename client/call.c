/* call.c - calls: resolved, signed together with the others of their turn, submitted, followed to
 * their end.
 *
 * A call's body is encoded at once, so that errors in it show at once; RESOLVE's answer adds the
 * job's hash. Its CALL is a request like any other: sent again in each new session until answered.
 * Then its run is followed: a new session sends FOLLOW for every run whose end is not known. */
#include "client/inner.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "common/clock.h"
#include "trust/call.h"

enum {
    DAY_MS = 86400000, /* the expiry of a call that sets none */
    FOLLOW_LEVEL = 2   /* reports states, too */
};

/* ---- Lists and life */

void call_list_add(struct call_list *l, struct call *c)
{
    c->next = NULL;
    if (l->first)
        l->last->next = c;
    else
        l->first = c;
    l->last = c;
    l->n++;
}

struct call *call_list_take(struct call_list *l)
{
    struct call *c = l->first;
    if (c) {
        l->first = c->next;
        l->n--;
    }
    return c;
}

static struct call *by_run(const struct longboat *lb, const struct id *run)
{
    struct call *c;
    HASH_FIND(by_run, lb->runs, run, sizeof *run, c);
    return c;
}

static void leave_run(struct call *c)
{
    struct call *first = by_run(c->lb, &c->run);
    if (first != c) {
        while (first && first->same != c)
            first = first->same;
        if (first)
            first->same = c->same;
        return;
    }
    HASH_DELETE(by_run, c->lb->runs, c);
    if (c->same)
        HASH_ADD(by_run, c->lb->runs, run, sizeof c->same->run, c->same);
}

/* Not in a list. */
static void call_free(struct call *c)
{
    longboat_forget(c->lb, c->req);
    loop_timer_stop(c->lb->loop, &c->retry);
    HASH_DEL(c->lb->calls, c);
    if (!id_is_zero(c->run))
        leave_run(c);
    buf_free(&c->body);
    buf_free(&c->message);
    buf_free(&c->ended);
    mem_free(&c->job);
    mem_free(&c->address);
    mem_free(&c);
}

void call_free_all(struct longboat *lb)
{
    while (lb->calls)
        call_free(lb->calls);
}

static void tell(const struct call *c, const struct longboat_run *run)
{
    if (c->follow)
        c->follow(c->self, run);
}

/* The last callback for a call. */
static void end(struct call *c, const struct longboat_run *run)
{
    struct call told = {.follow = c->follow, .self = c->self};
    call_free(c);
    tell(&told, run);
}

void call_refused(struct call *c, enum refusal code, const char *text)
{
    struct longboat_run run = {.run = c->run, .refused = code, .text = text};
    end(c, &run);
}

int64_t client_busy_until(const struct longboat *lb, uint64_t retry_ms)
{
    uint32_t ms = retry_ms < BUSY_RETRY_MS ? BUSY_RETRY_MS
                  : retry_ms > DAY_MS      ? DAY_MS
                                           : (uint32_t)retry_ms;
    return loop_now(lb->loop) + ms + randombytes_uniform(ms / 2);
}

/* ---- Body and signature */

static int encode(const struct longboat *lb, const struct longboat_call *o, struct buf *out,
                  struct error *err)
{
    const int64_t now = clock_wall_ms();
    char as_of[CLOCK_TEXT], key[ID_TEXT];
    uint8_t chance[10];
    const struct certificate *me = &lb->config.me;

    randombytes_buf(chance, sizeof chance);
    struct d_call body = {
        .cluster = span_str(me->cluster),
        .caller = span_str(me->name),
        .key = span_str(o->key ? o->key : id_format(id_make(now, chance), key)),
        .job = span_str(o->job),
        .job_hash = o->job_hash,
        .pin_latest = hash_is_zero(&o->job_hash),
        .address = span_str(o->address),
        .parameters = o->parameters,
        .on_lost = o->on_lost,
        .lost_after_ms = o->lost_after_ms,
        .start_within_ms = o->start_within_ms,
        .timeout_ms = o->timeout_ms,
        .priority = o->priority,
        .as_of = span_str(o->as_of ? o->as_of : clock_format(now, as_of)),
        .issued_at = now,
        .expires = o->expires ? o->expires : now + DAY_MS,
        .parent = o->parent,
        .task = span_str(o->task),
        .index = o->index,
        .try_no = o->try_no,
        .plan = span_str(o->plan),
        .item = span_str(o->item),
    };
    return call_encode(&body, out, err);
}

void call_resolved(struct call *c, const struct hash *job_hash)
{
    struct d_call body;
    struct buf with_hash = {0};
    struct error err;

    if (!hash_is_zero(job_hash) && d_call_decode(buf_span(&c->body), &body, &err) == 0) {
        body.job_hash = *job_hash;
        body.pin_latest = false;
        if (call_encode(&body, &with_hash, &err) < 0) {
            buf_free(&with_hash);
            call_refused(c, REFUSAL_BAD_ARGUMENT, err.text);
            return;
        }
        buf_free(&c->body);
        c->body = with_hash;
    }
    call_list_add(&c->lb->to_sign, c);
}

static bool take_answer(void *self, uint64_t kind, struct span message);

static void take_back(struct call *c)
{
    call_refused(c, REFUSAL_BUSY, "withdrawn before acceptance");
}

static void submit(struct call *c)
{
    if (c->lb->withdrawn) {
        take_back(c);
        return;
    }
    request_impatient(c->lb, c->req, buf_span(&c->message), take_answer, c, NULL);
}

/* Signs up to BATCH_MAX of the list with one signature. */
static void sign_batch(struct longboat *lb, struct call_list *list)
{
    const size_t n = list->n < BATCH_MAX ? list->n : BATCH_MAX;
    struct call **calls = mem_zalloc(n, sizeof *calls);
    struct span *bodies = mem_zalloc(n, sizeof *bodies);
    struct buf *envelopes = mem_zalloc(n, sizeof *envelopes);
    struct error err;

    for (size_t i = 0; i < n; i++) {
        calls[i] = call_list_take(list);
        bodies[i] = buf_span(&calls[i]->body);
    }
    int rc = batch_sign(&lb->config.key, lb->config.me.name, lb->config.me.serial, bodies, n,
                        envelopes, &err);
    for (size_t i = 0; i < n; i++) {
        struct call *c = calls[i];
        if (rc < 0) {
            call_refused(c, REFUSAL_BAD_ARGUMENT, err.text);
            continue;
        }
        struct m_call m = {.req = c->req, .call = buf_span(&envelopes[i]), .follow = FOLLOW_LEVEL};
        m_call_encode(&m, &c->message);
        call_digest(buf_span(&c->body), &c->digest);
        buf_free(&c->body);
        buf_free(&envelopes[i]);
        submit(c);
    }
    mem_free(&calls);
    mem_free(&bodies);
    mem_free(&envelopes);
}

bool call_sign_waiting(struct longboat *lb)
{
    struct call_list list = lb->to_sign;
    if (list.n == 0)
        return false;
    lb->to_sign = (struct call_list){0};
    while (list.n > 0)
        sign_batch(lb, &list);
    return true;
}

/* ---- Answers */

static void accept(struct call *c, const struct id *run)
{
    struct longboat_run told = {.run = *run, .state = RUN_WAITING, .text = ""};
    struct call *first = by_run(c->lb, run);

    c->run = *run;
    c->followed = c->lb->session;
    buf_free(&c->message);
    if (first) {
        c->same = first->same;
        first->same = c;
    } else {
        HASH_ADD(by_run, c->lb->runs, run, sizeof c->run, c);
    }
    tell(c, &told);
}

static bool follow_again(struct call *c)
{
    struct buf b = {0};
    struct m_follow m = {.req = c->req, .run = c->run, .level = FOLLOW_LEVEL};
    m_follow_encode(&m, &b);
    bool sent = inner_send(c->lb, buf_span(&b));
    buf_free(&b);
    if (sent)
        c->followed = c->lb->session;
    return sent;
}

static void on_retry(struct loop *l, struct loop_timer *t, void *arg)
{
    struct call *c = arg;
    (void)l;
    (void)t;
    c->busy = false;
    if (id_is_zero(c->run))
        submit(c);
    else if (!follow_again(c))
        c->lb->follows_left = true;
}

static void take_refusal(struct call *c, const struct m_error *m)
{
    char text[LIMIT_TEXT + 1];
    /* held by another: a child of a parent that another session drives, perhaps not for long */
    bool later = m->code == REFUSAL_BUSY || m->code == REFUSAL_HELD_BY_OTHER;
    c->busy = later && id_is_zero(c->run);
    if (c->busy && c->lb->withdrawn) {
        take_back(c);
        return;
    }
    if (later) {
        c->followed = 0;
        loop_timer_set(c->lb->loop, &c->retry, "client.call", client_busy_until(c->lb, m->retry_ms),
                       on_retry, c);
        return;
    }
    span_copy_str(m->text, text, sizeof text);
    call_refused(c, (enum refusal)m->code, text);
}

/* The answer to its CALL. */
static bool take_answer(void *self, uint64_t kind, struct span message)
{
    struct call *c = self;
    struct m_accepted accepted;
    struct m_error error;

    longboat_forget(c->lb, c->req);
    if (kind == KIND_M_ACCEPTED &&
        longboat_decode(c->lb, &m_accepted_schema, message, &accepted, NULL) == 0)
        accept(c, &accepted.run);
    else if (kind == KIND_M_ERROR &&
             longboat_decode(c->lb, &m_error_schema, message, &error, NULL) == 0)
        take_refusal(c, &error);
    else
        call_refused(c, REFUSAL_MALFORMED, "malformed reply to CALL");
    return true; /* already forgotten */
}

void call_take_error(struct longboat *lb, struct span message)
{
    struct m_error error;
    struct call *c;
    if (longboat_decode(lb, &m_error_schema, message, &error, NULL) < 0)
        return;
    HASH_FIND(hh, lb->calls, &error.req, sizeof error.req, c);
    if (c)
        take_refusal(c, &error);
}

void call_take_state(struct longboat *lb, struct span message)
{
    struct m_run_state m;
    char text[LIMIT_TEXT + 1];
    struct longboat_run run = {.text = text};

    if (longboat_decode(lb, &m_run_state_schema, message, &m, NULL) < 0)
        return;
    run.run = m.run;
    run.attempt = m.attempt;
    run.state = (enum run_state)m.state;
    run.percent = (unsigned)m.percent;
    span_copy_str(m.server, run.server, sizeof run.server);
    span_copy_str(m.text, text, sizeof text);
    for (struct call *c = by_run(lb, &m.run), *same; c; c = same) {
        same = c->same;
        if (m.attempt > c->attempt)
            c->attempt = m.attempt;
        tell(c, &run);
    }
}

/* ---- The end */

static void end_as(struct call *c, const struct m_run_ended *m, const struct d_outcome *outcome)
{
    char text[LIMIT_TEXT + 1];
    struct longboat_run run = {
        .run = m->run, .attempt = m->attempt, .state = RUN_ENDED, .text = text, .outcome = outcome};
    span_copy_str(m->server, run.server, sizeof run.server);
    span_copy_str(outcome->message, text, sizeof text);
    end(c, &run);
}

/* What the broker told is not what the server signed: how the run ended is not known. */
static void end_unproven(struct call *c, const struct m_run_ended *m, const struct error *why)
{
    struct buf text = {0};
    char id[ID_TEXT], job[LIMIT_JOB + 1];
    span_copy_str(span_str(c->job), job, sizeof job); /* the call is freed before it is told */
    if (m->server.n)
        buf_printf(&text,
                   "the result of run %s claims to come from " SPAN_FMT
                   " and is not signed by it: %s",
                   id_format(m->run, id), SPAN_ARG(m->server), why->text);
    else
        buf_printf(&text, "the result of run %s names no server and nobody has signed it: %s",
                   id_format(m->run, id), why->text);
    struct d_outcome o = {.delivery = DELIVERY_CALLED,
                          .job = JOB_UNKNOWN,
                          .package = PACKAGE_UNKNOWN,
                          .status = STATUS_UNKNOWN,
                          .code = REFUSAL_BAD_SIGNATURE,
                          .message = buf_span(&text),
                          .server = m->server,
                          .job_name = span_str(job)};
    end_as(c, m, &o);
    buf_free(&text);
}

bool longboat_is_unproven(const struct d_outcome *o)
{
    return o->status == STATUS_UNKNOWN && o->code == REFUSAL_BAD_SIGNATURE;
}

/* Takes a RUN_ENDED for one call; it may have to wait for a certificate. */
static void take_end(struct call *c, struct span message)
{
    struct m_run_ended m;
    struct d_outcome outcome;
    struct error why = {0};
    struct buf steps = {0};
    struct longboat *lb = c->lb;

    if (longboat_decode(lb, &m_run_ended_schema, message, &m, NULL) < 0 ||
        longboat_decode(lb, &d_outcome_schema, m.outcome, &outcome, NULL) < 0)
        return;
    switch (signers_judge(c, &m, &outcome, &why)) {
    case SIGNERS_GOOD:
        outcome.steps = inner_known(lb, &d_step_outcome_schema, &outcome.steps, &steps);
        end_as(c, &m, &outcome);
        break;
    case SIGNERS_WAIT:
        if (c->ended.n == 0)
            buf_add(&c->ended, message.p, message.n);
        break;
    case SIGNERS_BAD:
        end_unproven(c, &m, &why);
        break;
    }
    buf_free(&steps);
}

void call_take_ended(struct longboat *lb, struct span message)
{
    struct m_run_ended m;
    struct call *c, *same;
    if (longboat_decode(lb, &m_run_ended_schema, message, &m, NULL) < 0)
        return;
    for (c = by_run(lb, &m.run); c; c = same) {
        same = c->same; /* ending one call frees no other */
        take_end(c, message);
    }
}

void call_signer_known(struct longboat *lb)
{
    /* by number: a callback may end calls that come later */
    uint64_t *waiting = mem_alloc((HASH_COUNT(lb->calls) + 1) * sizeof *waiting);
    size_t n = 0;
    for (const struct call *c = lb->calls; c; c = c->hh.next)
        if (c->ended.n)
            waiting[n++] = c->req;
    for (size_t i = 0; i < n; i++) {
        struct call *c;
        HASH_FIND(hh, lb->calls, &waiting[i], sizeof waiting[i], c);
        if (!c)
            continue;
        struct buf message = c->ended;
        c->ended = (struct buf){0};
        take_end(c, buf_span(&message));
        buf_free(&message);
    }
    mem_free(&waiting);
}

/* ---- A new session */

void call_session(struct longboat *lb)
{
    lb->follows_left = lb->runs != NULL;
}

void call_pump(struct longboat *lb)
{
    if (!lb->follows_left)
        return;
    for (struct call *c = lb->runs; c; c = c->by_run.next)
        if (c->followed != lb->session && !follow_again(c))
            return; /* the window is full: the rest follow when it opens */
    lb->follows_left = false;
}

/* ---- What callers use */

int longboat_call_start(struct longboat *lb, const struct longboat_call *o, longboat_follow follow,
                        void *self, struct error *err)
{
    struct buf body = {0};
    int rc;

    if ((rc = encode(lb, o, &body, err)) < 0) {
        buf_free(&body);
        return rc;
    }
    struct call *c = mem_zalloc(1, sizeof *c);
    c->lb = lb;
    c->req = longboat_req(lb);
    c->body = body;
    c->job = mem_strdup(o->job);
    c->address = mem_strdup(o->address);
    c->follow = follow;
    c->self = self;
    HASH_ADD(hh, lb->calls, req, sizeof c->req, c);
    if (o->pin_latest || !hash_is_zero(&o->job_hash))
        call_list_add(&lb->to_sign, c);
    else
        resolve_call(lb, c, span_str(o->job), span_str(o->address));
    return 0;
}

void longboat_withdraw(struct longboat *lb)
{
    lb->withdrawn = true;
    for (struct call *c = lb->calls, *next; c; c = next) {
        /* ending one call frees no other */
        next = c->hh.next;
        if (c->busy || !request_was_sent(lb, c->req))
            take_back(c);
    }
}

struct call_wait {
    bool ended;
    struct id run;
    struct buf outcome;
    enum refusal refused;
    char text[ERROR_TEXT_MAX];
};

static void on_follow(void *self, const struct longboat_run *run)
{
    struct call_wait *w = self;
    w->run = run->run;
    w->refused = run->refused;
    w->ended = run->outcome || run->refused != REFUSAL_NONE;
    if (run->outcome)
        d_outcome_encode(run->outcome, &w->outcome);
    else if (run->refused != REFUSAL_NONE)
        span_copy_str(span_str(run->text), w->text, sizeof w->text);
}

static bool has_ended(void *self)
{
    return ((struct call_wait *)self)->ended;
}

/* The run goes on after the wait has ended and its memory is freed. */
static void stop_following(struct longboat *lb, const struct call_wait *w)
{
    for (struct call *c = lb->calls; c; c = c->hh.next)
        if (c->self == w)
            c->follow = NULL;
}

int longboat_call_wait(struct longboat *lb, const struct longboat_call *call, int64_t timeout_ms,
                       struct id *ret_run, struct buf *ret_outcome, struct error *err)
{
    struct call_wait w = {0};
    int rc;

    if ((rc = longboat_call_start(lb, call, on_follow, &w, err)) < 0)
        return rc;
    rc = longboat_wait(lb, has_ended, &w, timeout_ms, err);
    if (ret_run)
        *ret_run = w.run;
    if (rc < 0) {
        stop_following(lb, &w);
    } else if (w.refused != REFUSAL_NONE) {
        rc = error_set(err, -EREMOTEIO, "refused by %s: %s", longboat_broker(lb), w.text);
    } else {
        *ret_outcome = w.outcome;
        return 0;
    }
    buf_free(&w.outcome);
    return rc;
}

int longboat_cancel(struct longboat *lb, const struct id *run, bool force, const char *reason,
                    struct error *err)
{
    struct m_cancel m = {
        .req = longboat_req(lb), .run = *run, .force = force, .reason = span_str(reason)};
    struct buf message = {0}, answer = {0};

    m_cancel_encode(&m, &message);
    int rc = longboat_ask(lb, m.req, buf_span(&message), ANSWER_MS, &answer, NULL, err);
    buf_free(&message);
    buf_free(&answer);
    return rc;
}
