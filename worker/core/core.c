/* core.c - one event in, effects out: see core.h. attempts.c alone changes durable state, by
 * entries; slots.c decides what starts and stops, outbox.c what the broker is told. */
#include "worker/core/inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- Effects */

void wcore_emit(struct wcore *c, enum wcore_effect_kind kind, const struct wattempt *a,
                struct span body)
{
    struct wcore_out *o = c->out;
    if (kind == WCORE_FX_SEND && !c->up)
        return;
    if (o->n_effects == o->cap_effects) {
        o->cap_effects = o->cap_effects ? o->cap_effects * 2 : 16;
        o->effects = mem_realloc(o->effects, o->cap_effects, sizeof *o->effects);
    }
    struct wcore_effect *e = &o->effects[o->n_effects++];
    *e = (struct wcore_effect){.kind = kind, .body = {.p = NULL, .n = body.n}};
    if (a) {
        e->run = a->run->id;
        e->attempt = a->attempt;
    }
    /* settle() gives the body its place once the arena has stopped growing */
    buf_add(&o->arena, body.p, body.n);
}

static void settle(struct wcore_out *o)
{
    size_t at = 0;
    for (unsigned i = 0; i < o->n_effects; i++) {
        o->effects[i].body.p = o->arena.p + at;
        at += o->effects[i].body.n;
    }
}

void wcore_spool(struct wcore *c, const struct wattempt *a, const struct wire_schema *schema,
                 const void *entry)
{
    struct error err = {0};
    buf_clear(&c->scratch);
    wire_encode(schema, entry, &c->scratch);
    wcore_emit(c, WCORE_FX_SPOOL, a, buf_span(&c->scratch));
    if (attempts_apply(c, buf_span(&c->scratch), &err) < 0)
        /* an entry that we have just made does not apply: going on would break the law of replay */
        __builtin_trap();
}

void wcore_out_free(struct wcore_out *out)
{
    mem_free(&out->effects);
    buf_free(&out->arena);
    *out = (struct wcore_out){.effects = NULL};
}

/* ---- Messages of the broker */

/* No step of it was asked for, so the broker may give it to another server. The spool says so
 * before the broker can hear it. */
void wcore_give_back(struct wcore *c, struct wattempt *a, const char *reason)
{
    struct id run = a->run->id;
    uint64_t attempt = a->attempt;
    if (a->state == ATTEMPT_LIVE)
        SPOOL(c, a, s_given_back, .run = run, .attempt = attempt);
    else
        attempt_drop(c, a);
    outbox_returned(c, run, attempt, reason);
}

static void supersede(struct wcore *c, struct wrun *r, uint64_t by)
{
    struct wattempt *a, *next;
    bool last = !r;
    for (a = r ? r->attempts : NULL; !last; a = next) {
        next = a->a_next;
        last = !next;
        if (a->state == ATTEMPT_LIVE && a->n_tries) {
            char why[80];
            snprintf(why, sizeof why, "superseded by attempt %" PRIu64 " on this server", by);
            slots_stop(c, a, JOB_CANCELLED, false, span_str(why));
        } else if (a->state != ATTEMPT_FINISHED) {
            wcore_give_back(c, a, "superseded");
        }
    }
}

static uint64_t newest(const struct wrun *r)
{
    uint64_t most = 0;
    struct wattempt *a = NULL;
    if (r)
        DL_FOREACH2 (r->attempts, a, a_next)
            most = a->attempt > most ? a->attempt : most;
    return most;
}

/* What waits for its next try takes no place, as at the broker. */
static bool is_full(const struct wcore *c)
{
    unsigned most = c->config.slots * LIMIT_WAITS, waits = c->n_waits < most ? c->n_waits : most;
    return c->n_unfinished - waits >= c->config.slots + LIMIT_PREFETCH ||
           c->finished_bytes > FINISHED_BYTES;
}

static void on_execute(struct wcore *c, struct span message, const struct m_execute *x)
{
    struct error err = {0};
    struct wattempt *a = attempt_find(c, x->run, x->attempt);
    if (id_is_zero(x->run) || x->attempt == 0)
        return;
    if (a) {
        if (a->state == ATTEMPT_FINISHED)
            outbox_again(c, a);
        return;
    }
    if (newest(wrun_find(c, x->run)) > x->attempt) {
        outbox_returned(c, x->run, x->attempt, "superseded");
        return;
    }
    if (is_full(c)) {
        outbox_returned(c, x->run, x->attempt, "this server is full");
        return;
    }
    supersede(c, wrun_find(c, x->run), x->attempt);
    a = attempt_add(c, x->run, x->attempt);
    a->taken_at = c->ev->wall;
    enum refusal code = attempt_fill(a, message, &err);
    if (code != REFUSAL_NONE)
        outbox_refuse(c, a, code, err.text);
    else
        wcore_emit(c, WCORE_FX_FIND_JOB, a, buf_span(&a->execute));
}

static void on_stop(struct wcore *c, const struct m_stop *s)
{
    struct wattempt *a = attempt_find(c, s->run, s->attempt);
    if (!a)
        outbox_returned(c, s->run, s->attempt, "not known here");
    else if (a->state == ATTEMPT_SEEKING)
        wcore_give_back(c, a, "stopped before it was taken");
    else
        slots_stop(c, a, JOB_CANCELLED, s->force, s->reason);
}

/* Tells the broker of the newest step that was launched, ended or not: that the attempt runs,
 * and how far it is. */
static void say_started(struct wcore *c, struct wattempt *a)
{
    a->say_started = false;
    for (unsigned i = a->n_tries; i-- > 0;) {
        const struct wtry *t = &a->tries[i];
        if (!t->t.launched)
            continue;
        EMIT(c, SEND, a, m_started, .run = a->run->id, .attempt = a->attempt,
             .step = a->job->def.steps[t->t.step].name, .at = t->launched_at);
        return;
    }
}

static void on_recall(struct wcore *c, const struct m_recall *r)
{
    struct wattempt *a = attempt_find(c, r->run, r->attempt);
    if (a && (a->state == ATTEMPT_FINISHED || a->n_tries)) {
        if (a->state == ATTEMPT_LIVE)
            say_started(c, a);
        return; /* too late: a step of it was asked for */
    }
    if (a)
        wcore_give_back(c, a, "recalled");
    else
        outbox_returned(c, r->run, r->attempt, "not known here");
}

static void on_message(struct wcore *c, struct span message)
{
    struct error err = {0};
    uint64_t kind;
    size_t size;
    if (wire_peek(message, &kind, &size, &err) < 0)
        return;
    switch (kind) {
    case KIND_M_EXECUTE: {
        struct m_execute x;
        if (m_execute_decode(message, &x, &err) == 0)
            on_execute(c, message, &x);
        break;
    }
    case KIND_M_STOP: {
        struct m_stop s;
        if (m_stop_decode(message, &s, &err) == 0)
            on_stop(c, &s);
        break;
    }
    case KIND_M_RECALL: {
        struct m_recall r;
        if (m_recall_decode(message, &r, &err) == 0)
            on_recall(c, &r);
        break;
    }
    case KIND_M_RECORDED: {
        struct m_recorded r;
        struct wattempt *a =
            m_recorded_decode(message, &r, &err) == 0 ? attempt_find(c, r.run, r.attempt) : NULL;
        if (a)
            outbox_recorded(c, a);
        break;
    }
    default:
        break; /* the shell's */
    }
}

/* ---- The job that was looked for */

static void on_job(struct wcore *c)
{
    const struct wcore_event *ev = c->ev;
    struct error err = {0};
    struct wattempt *a = attempt_find(c, ev->run, ev->attempt);
    if (!a || a->state != ATTEMPT_SEEKING)
        return;
    if (ev->message.n == 0) {
        outbox_refuse(c, a, ev->code ? ev->code : REFUSAL_UNKNOWN_JOB,
                      ev->text ? ev->text : "this server does not have the job");
        return;
    }
    struct wjob *j = wjob_hold(c, &a->x.job_hash, ev->message, &err);
    if (!j) {
        outbox_refuse(c, a, REFUSAL_WRONG_JOB, err.text);
        return;
    }
    SPOOL(c, a, s_taken, .at = ev->wall, .execute = buf_span(&a->execute), .job = ev->message);
    wjob_drop(c, &j);
    slots_go(c, a);
}

/* ---- The spool of keepers and runner */

static void want_to_say(struct wcore *c, struct wattempt *a, int64_t at)
{
    if (c->up)
        slots_arm(c, &c->says, &a->say, at);
}

static void on_progress(struct wcore *c, struct span entry)
{
    struct error err = {0};
    struct s_progress p;
    struct wattempt *a =
        s_progress_decode(entry, &p, &err) == 0 ? attempt_find(c, p.run, p.attempt) : NULL;
    if (!a || a->state != ATTEMPT_LIVE)
        return;
    a->say_progress = true;
    a->percent = p.percent;
    buf_clear(&a->text);
    buf_add(&a->text, p.text.p, p.text.n);
    int64_t at = a->said_at + PROGRESS_MS;
    want_to_say(c, a, at > c->ev->now ? at : c->ev->now);
}

static void on_spool(struct wcore *c, struct span entry)
{
    struct error err = {0};
    uint64_t kind;
    size_t size;
    if (wire_peek(entry, &kind, &size, &err) < 0)
        return;
    if (kind == KIND_S_PROGRESS) {
        on_progress(c, entry);
    } else if (kind == KIND_S_LAUNCHED && attempts_apply(c, entry, &err) == 0) {
        struct s_launched l;
        struct wattempt *a =
            s_launched_decode(entry, &l, &err) == 0 ? attempt_find(c, l.run, l.attempt) : NULL;
        if (a && a->state == ATTEMPT_LIVE) {
            a->say_started = true;
            want_to_say(c, a, c->ev->now + STARTED_DELAY_MS);
        }
    } else if (kind == KIND_S_ENDED && attempts_apply(c, entry, &err) == 0) {
        struct s_ended e;
        struct wattempt *a =
            s_ended_decode(entry, &e, &err) == 0 ? attempt_find(c, e.run, e.attempt) : NULL;
        if (a)
            slots_go(c, a);
        slots_stranger_ended(c, &e);
    }
}

/* ---- Time */

static void say(struct wcore *c, struct wattempt *a)
{
    if (a->say_started)
        say_started(c, a);
    if (!a->say_progress)
        return;
    a->say_progress = false;
    a->said_at = c->ev->now;
    const struct wtry *last = a->n_tries ? &a->tries[a->n_tries - 1] : NULL;
    EMIT(c, SEND, a, m_progress, .run = a->run->id, .attempt = a->attempt, .percent = a->percent,
         .text = buf_span(&a->text),
         .waits = a->waits && last ? a->job->def.steps[last->t.step].name : SPAN_NONE);
}

static struct heap_node *due(struct wcore *c, struct heap *h)
{
    struct heap_node *n = heap_peek(h);
    return n && n->key <= c->ev->now ? heap_pop(h) : NULL;
}

static void on_time(struct wcore *c)
{
    struct heap_node *n;
    while ((n = due(c, &c->timers)))
        slots_stop(c, heap_entry(n, struct wattempt, timer), JOB_TIMED_OUT, false,
                   span_str("the call's timeout has passed"));
    while ((n = due(c, &c->retries)))
        slots_go(c, heap_entry(n, struct wattempt, retry));
    while ((n = due(c, &c->says)))
        say(c, heap_entry(n, struct wattempt, say));
}

int64_t wcore_deadline(const struct wcore *c)
{
    const struct heap *all[] = {&c->timers, &c->retries, &c->says};
    int64_t at = INT64_MAX;
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        const struct heap_node *n = heap_peek(all[i]);
        at = n && n->key < at ? n->key : at;
    }
    return at;
}

/* ---- The whole */

struct wcore *wcore_new(const struct wcore_config *config)
{
    struct wcore *c = mem_zalloc(1, sizeof *c);
    c->config = *config;
    c->lost_after_ms = LOST_AFTER_MS;
    return c;
}

void wcore_free(struct wcore **pc)
{
    struct wcore *c = *pc;
    if (!c)
        return;
    attempts_free(c);
    mem_free(&c->strangers);
    heap_free(&c->retries);
    heap_free(&c->timers);
    heap_free(&c->says);
    buf_free(&c->scratch);
    mem_free(pc);
}

void wcore_set_gap(struct wcore *c, bool rebooted, bool gap)
{
    c->config.rebooted = rebooted;
    c->config.gap = gap;
}

int wcore_replay(struct wcore *c, struct span entry, struct error *err)
{
    return attempts_apply(c, entry, err);
}

/* The first event after a replay: goes on from where the spool ends. */
static void begin(struct wcore *c)
{
    struct wrun *r, *next;
    c->begun = true;
    HASH_ITER (hh, c->runs, r, next) {
        struct wattempt *a;
        DL_FOREACH2 (r->attempts, a, a_next)
            slots_resume(c, a);
    }
}

void wcore_step(struct wcore *c, const struct wcore_event *ev, struct wcore_out *out)
{
    struct error err = {0};
    struct s_kept k;
    struct m_welcome welcome;
    c->ev = ev;
    c->out = out;
    out->n_effects = 0;
    buf_clear(&out->arena);
    if (!c->begun)
        begin(c);
    switch (ev->kind) {
    case WCORE_SESSION_UP:
        if (m_welcome_decode(ev->message, &welcome, &err) == 0 && welcome.lost_after_ms)
            c->lost_after_ms = welcome.lost_after_ms;
        outbox_session(c);
        break;
    case WCORE_SESSION_DOWN:
        c->up = false;
        break;
    case WCORE_MESSAGE:
        on_message(c, ev->message);
        break;
    case WCORE_SPOOL:
        on_spool(c, ev->message);
        break;
    case WCORE_RUNNER_UP:
        slots_runner_up(c);
        break;
    case WCORE_KEPT:
        if (s_kept_decode(ev->message, &k, &err) == 0)
            slots_kept(c, &k);
        break;
    case WCORE_KEPT_END:
        slots_kept_end(c);
        break;
    case WCORE_RUNNER_DOWN:
        c->runner = false;
        break;
    case WCORE_SPOOL_DAMAGED:
        slots_doubt(c);
        break;
    case WCORE_JOB:
        on_job(c);
        break;
    case WCORE_TICK:
        break;
    }
    on_time(c);
    slots_fill(c);
    settle(out);
    c->ev = NULL;
    c->out = NULL;
}

unsigned wcore_live(const struct wcore *c)
{
    return c->n_attempts;
}

bool wcore_full(const struct wcore *c)
{
    return c->open >= c->config.slots;
}

bool wcore_holds_fence(const struct wcore *c)
{
    for (struct wrun *r = c->runs; r; r = r->hh.next) {
        struct wattempt *a;
        DL_FOREACH2 (r->attempts, a, a_next) {
            struct wtry *t = a->state == ATTEMPT_LIVE && a->x.on_lost == ON_LOST_RERUN
                                 ? attempt_open_try(a)
                                 : NULL;
            if (t && !t->t.launched && attempt_stops(a, t))
                return true;
        }
    }
    return false;
}

bool wcore_is_alone(const struct wcore *c)
{
    return c->runner && c->n_strangers == 0;
}

bool wcore_knows(const struct wcore *c, struct id run, uint64_t attempt)
{
    return attempt_find(c, run, attempt) != NULL;
}

bool wcore_call_hash(const struct wcore *c, struct id run, uint64_t attempt, struct hash *ret)
{
    const struct wattempt *a = attempt_find(c, run, attempt);
    if (!a || hash_is_zero(&a->call_hash))
        return false;
    *ret = a->call_hash;
    return true;
}

bool wcore_uses_job(const struct wcore *c, const struct hash *job)
{
    struct wjob *j;
    HASH_FIND(hh, c->jobs, job, sizeof *job, j);
    return j != NULL;
}
