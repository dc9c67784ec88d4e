/* witness.c - the laws about what the broker sends, what callers hear, and what the broker's
 * core shows. */
#include <inttypes.h>
#include <string.h>

#include "tests/sim/lawsinside.h"
#include "trust/envelope.h"

/* ---- What leaves the broker */
static void says_accepted(struct laws *l, const struct m_accepted *m)
{
    if (!fact_find(l, m->run) && !parent_fact_find(l, m->run))
        law_break(l, LAW_SAID_IS_DURABLE, "ACCEPTED for run %s leaves before the run is on disk",
                  world_short_id(m->run));
}

static void says_ended(struct laws *l, const struct m_run_ended *m)
{
    const struct fact *f = fact_find(l, m->run);
    if (!f || !f->ended)
        law_break(l, LAW_SAID_IS_DURABLE, "RUN_ENDED for run %s leaves before its end is on disk",
                  world_short_id(m->run));
    else if (!span_eq(buf_span(&f->outcome), m->outcome))
        law_break(l, LAW_HEARD_IS_RECORDED,
                  "RUN_ENDED for run %s and the journal differ in the outcome",
                  world_short_id(m->run));
}

static void says_recorded(struct laws *l, const struct m_recorded *m)
{
    const struct fact *f = fact_find(l, m->run);
    const struct tried *a = tried_find(l, m->run, m->attempt);
    bool counted = f && f->ended && f->ended_attempt == m->attempt;
    /* what was never handed over is only said to be recorded, so that it is forgotten */
    if (a && a->assigned && !counted && !a->declined && !a->evidence_in)
        law_break(l, LAW_SAID_IS_DURABLE,
                  "RECORDED for run %s attempt %" PRIu64 " leaves before its result is on disk",
                  world_short_id(m->run), m->attempt);
}

static void says_execute(struct laws *l, const struct m_execute *m)
{
    const struct tried *a = tried_find(l, m->run, m->attempt);
    if (!a || !a->assigned)
        law_break(l, LAW_SAID_IS_DURABLE,
                  "EXECUTE of run %s attempt %" PRIu64 " leaves before the hand-over is on disk",
                  world_short_id(m->run), m->attempt);
    const struct fact *f = fact_find(l, m->run);
    struct hash call;
    envelope_hash(m->call, &call);
    if (f && !hash_eq(&f->call, &call))
        law_break(l, LAW_HANDED_AS_SIGNED,
                  "EXECUTE of run %s attempt %" PRIu64 " differs from the call that was signed",
                  world_short_id(m->run), m->attempt);
}

static void says_stop(struct laws *l, const struct m_stop *m)
{
    const struct fact *f = fact_find(l, m->run);
    if (f && f->state == RUN_HELD && f->attempt == m->attempt)
        law_break(l, LAW_HELD_GOES_ON,
                  "STOP for run %s attempt %" PRIu64 " leaves while the run is held on disk",
                  world_short_id(m->run), m->attempt);
}

static void says_state(struct laws *l, const struct m_run_state *m)
{
    const struct fact *f = fact_find(l, m->run);
    bool there = f && m->attempt <= f->attempt && (m->state != RUN_RUNNING || f->started) &&
                 (m->state != RUN_CANCELLING || f->cancelled);
    if (!there)
        law_break(l, LAW_SAID_IS_DURABLE,
                  "RUN_STATE %s of run %s leaves before the record that it rests on is on disk",
                  run_state_text(m->state), world_short_id(m->run));
}

void laws_broker_says(struct laws *l, uint64_t peer, struct span message)
{
    struct m_driving driving;
    struct m_events events;
    uint64_t kind;
    size_t size;
    if (wire_peek(message, &kind, &size, NULL) < 0)
        return;
    switch (kind) {
#define ONE(UP, low, judge) \
    case KIND_M_##UP: { \
        struct m_##low m; \
        if (m_##low##_decode(message, &m, NULL) == 0) \
            judge(l, &m); \
        break; \
    }
        ONE(ACCEPTED, accepted, says_accepted)
        ONE(RUN_ENDED, run_ended, says_ended)
        ONE(RECORDED, recorded, says_recorded)
        ONE(EXECUTE, execute, says_execute)
        ONE(STOP, stop, says_stop)
        ONE(RUN_STATE, run_state, says_state)
#undef ONE
    case KIND_M_DRIVING:
        if (m_driving_decode(message, &driving, NULL) == 0)
            lawsparents_say(l, peer, &driving);
        break;
    case KIND_M_EVENTS:
        if (m_events_decode(message, &events, NULL) == 0)
            lawsseeing_say(l, peer, &events);
        break;
    case KIND_M_RECALL:
        world_met(l->w, FAULT_RECALL);
        break;
    }
}

/* ---- What callers hear */
static struct keyed *keyed_get(struct laws *l, const char *caller, const char *key)
{
    struct keyed *k, probe = {.run = ID_ZERO};
    snprintf(probe.key.caller, sizeof probe.key.caller, "%s", caller);
    snprintf(probe.key.key, sizeof probe.key.key, "%s", key);
    HASH_FIND(hh, l->keys, &probe.key, sizeof probe.key, k);
    if (!k) {
        k = mem_zalloc(1, sizeof *k);
        memcpy(&k->key, &probe.key, sizeof k->key);
        HASH_ADD(hh, l->keys, key, sizeof k->key, k);
    }
    return k;
}

void laws_accepted(struct laws *l, const char *caller, const char *key, struct span body,
                   struct id run)
{
    struct keyed *k = keyed_get(l, caller, key);
    struct fact *f = fact_find(l, run);
    struct hash digest;
    envelope_hash(body, &digest);
    if (!f) {
        law_break(l, LAW_ACCEPTED_IS_KEPT, "%s hears ACCEPTED for run %s, which is not on disk",
                  caller, world_short_id(run));
        return;
    }
    f->accepted = true;
    if (!id_is_zero(k->run) && !id_eq(k->run, run))
        law_break(l, LAW_ONE_RUN_FOR_A_KEY,
                  "key '%s' of %s was answered with run %s before and with %s now", key, caller,
                  world_short_id(k->run), world_short_id(run));
    else if (!hash_eq(&f->body, &digest))
        law_break(l, LAW_ONE_RUN_FOR_A_KEY,
                  "another body under key '%s' of %s is accepted as run %s", key, caller,
                  world_short_id(run));
    else if (strcmp(f->caller, caller) != 0 || strcmp(f->key, key) != 0)
        law_break(l, LAW_ONE_RUN_FOR_A_KEY,
                  "%s called '%s' but is told of run %s, which is '%s' of %s", caller, key,
                  world_short_id(run), f->key, f->caller);
    k->run = run;
    k->body = digest;
}

void laws_conflict(struct laws *l, const char *caller, const char *key, struct span body)
{
    const struct keyed *k = keyed_get(l, caller, key);
    struct hash digest;
    envelope_hash(body, &digest);
    if (!id_is_zero(k->run) && hash_eq(&k->body, &digest))
        law_break(l, LAW_ONE_RUN_FOR_A_KEY,
                  "the body of the accepted run %s is refused as a conflict",
                  world_short_id(k->run));
}

void laws_unknown(struct laws *l, struct id run)
{
    law_break(l, LAW_ACCEPTED_IS_KEPT, "run %s was accepted, but the broker no longer knows it",
              world_short_id(run));
}

void laws_ended(struct laws *l, struct id run, uint64_t attempt, struct span outcome)
{
    const struct fact *f = fact_find(l, run);
    (void)attempt;
    if (!f || !f->ended || !span_eq(buf_span(&f->outcome), outcome))
        law_break(l, LAW_HEARD_IS_RECORDED,
                  "a caller hears an end of run %s that is not the recorded one",
                  world_short_id(run));
}

void laws_state_heard(struct laws *l, struct id run, uint64_t state, bool after_end)
{
    if (after_end)
        law_break(l, LAW_MOVES,
                  "a caller hears that run %s is %s after it heard its end in the same session",
                  world_short_id(run), run_state_text(state));
}

void laws_cancelled(struct laws *l, struct id run)
{
    const struct fact *f = fact_find(l, run);
    if (!f || (!f->cancelled && !f->ended))
        law_break(l, LAW_CANCEL_IS_KEPT, "the cancel of run %s is answered before it is on disk",
                  world_short_id(run));
}

unsigned laws_accepted_open(const struct laws *l, struct id *ret_one)
{
    unsigned n = 0;
    for (const struct fact *f = l->facts; f; f = f->hh.next)
        if (!f->ended) {
            *ret_one = f->run;
            n++;
        }
    return n;
}

bool laws_ended_durably(const struct laws *l, struct id run)
{
    const struct fact *f = fact_find(l, run);
    return f && f->ended;
}

/* ---- The core, seen from outside */
void laws_forget_views(struct laws *l)
{
    struct viewed *v, *next;
    HASH_ITER (hh, l->views, v, next) {
        HASH_DEL(l->views, v);
        mem_free(&v);
    }
}

static void judge_move(struct laws *l, const struct view_run *now)
{
    struct viewed *v;
    HASH_FIND(hh, l->views, &now->id, sizeof now->id, v);
    if (!v) {
        v = mem_zalloc(1, sizeof *v);
        v->run = now->id;
        v->state = now->state;
        HASH_ADD(hh, l->views, run, sizeof v->run, v);
        l->w->counts.states[now->state]++;
    }
    if (now->state >= RUN_ENDED || !l->reach[v->state][now->state])
        law_break(l, LAW_MOVES, "run %s was %s and is %s", world_short_id(now->id),
                  run_state_text(v->state), run_state_text(now->state));
    else if (v->state != now->state)
        l->w->counts.states[now->state]++;
    v->state = now->state;
    v->seen = l->step;
}

void laws_broker_state(struct laws *l, const struct bcore *c)
{
    struct view_run r;
    struct id after = ID_ZERO;
    struct viewed *v, *next;
    l->step++;
    for (; view_run_after(c, &after, &r); after = r.id)
        judge_move(l, &r);
    HASH_ITER (hh, l->views, v, next) {
        if (v->seen == l->step)
            continue;
        l->w->counts.states[RUN_ENDED]++;
        if (!l->reach[v->state][RUN_ENDED])
            law_break(l, LAW_MOVES, "run %s was %s and is gone", world_short_id(v->run),
                      run_state_text(v->state));
        HASH_DEL(l->views, v);
        mem_free(&v);
    }
}

void laws_broker_begins(struct laws *l, const struct bcore *c)
{
    struct view_run r;
    l->broker_turn++;
    laws_forget_views(l);
    lawsparents_begin(l, c);
    lawsothers_begin(l);
    lawswaits_begin(l);
    lawsseeing_begin(l);
    for (const struct fact *f = l->facts; f; f = f->hh.next) {
        if (f->accepted && !f->ended && !view_run(c, &f->run, &r))
            law_break(l, LAW_ACCEPTED_IS_KEPT,
                      "run %s was accepted and has not ended, but the new broker does not know it",
                      world_short_id(f->run));
        if (f->ended && view_run(c, &f->run, &r))
            law_break(l, LAW_ONE_RESULT, "run %s has ended but is %s in the new broker",
                      world_short_id(f->run), run_state_text(r.state));
    }
    laws_broker_state(l, c);
}

void laws_digests(struct laws *l, enum law law, const char *what, const struct hash *is,
                  const struct hash *replayed)
{
    l->w->counts.digests++;
    if (!hash_eq(is, replayed))
        law_break(l, law, "%s", what);
}
