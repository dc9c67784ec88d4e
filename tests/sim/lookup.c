/* lookup.c - see lookup.h. */
#include "tests/sim/lookup.h"

#include "common/mem.h"

struct asked { /* a question on its way */
    struct event event;
    struct sim_lookup *l;
    struct bcore_effect effect;
    bool is; /* what was known of the key when it was asked about; the answer takes its time */
    struct bcore_known known;
    uint64_t number; /* of the effect behind the gate */
    struct asked *next;
    uint8_t bytes[];
};

struct sim_lookup {
    struct world *w;
    struct process *broker;
    struct laws *laws;
    const struct journal *journal;
    struct sim_gate *gate;
    const struct lookup_calls *calls;
    void *self;
    struct asked *asked;
};

struct sim_lookup *lookup_new(struct world *w, struct process *broker, struct laws *l,
                              const struct journal *j, struct sim_gate *g,
                              const struct lookup_calls *calls, void *self)
{
    struct sim_lookup *x = mem_zalloc(1, sizeof *x);
    x->w = w;
    x->broker = broker;
    x->laws = l;
    x->journal = j;
    x->gate = g;
    x->calls = calls;
    x->self = self;
    return x;
}

static void asked_free(struct asked *a)
{
    struct asked **at = &a->l->asked;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    world_cancel(a->l->w, &a->event);
    mem_free(&a);
}

void lookup_free(struct sim_lookup **pl)
{
    struct sim_lookup *l = *pl;
    if (!l)
        return;
    while (l->asked)
        asked_free(l->asked);
    mem_free(pl);
}

/* ---- Answers */
static void answer_run(struct sim_lookup *l, const struct bcore_effect *e)
{
    struct r_ended r;
    struct buf message = {0};
    const struct journal_record *first = e->req ? journal_begin_of(l->journal, e->run) : NULL;
    bool may = !e->req || (first && l->calls->may_see(l->self, e->peer, first->body));
    if (may && journal_end_of(l->journal, e->run, &r)) {
        m_run_ended_encode(
            &(struct m_run_ended){
                .run = r.run, .attempt = r.attempt, .server = r.server, .outcome = r.outcome},
            &message);
    } else if (e->req) {
        m_error_encode(&(struct m_error){.req = e->req,
                                         .code = REFUSAL_UNKNOWN_RUN,
                                         .text = span_str("not in the history")},
                       &message);
    } else {
        law_break(l->laws, LAW_HEARD_IS_RECORDED,
                  "a follower waits for the end of run %s, but the history has none",
                  world_short_id(e->run));
    }
    if (message.n)
        l->calls->say(l->self, e->peer, buf_span(&message));
    buf_free(&message);
}

static void answer_call(struct sim_lookup *l, const struct asked *a)
{
    const struct journal_record *r = journal_begin_of(l->journal, a->effect.run);
    struct buf message = {0};
    if (!gate_awaits(l->gate, a->effect.peer, a->number))
        return;
    world_met(l->w, FAULT_BODY_FETCHED);
    if (!r || r->lsn != a->effect.called_lsn ||
        bcore_execute_fill(a->effect.body, r->body, &message, NULL) < 0)
        law_break(l->laws, LAW_HANDED_AS_SIGNED,
                  "the call of run %s is asked for, but the store does not have it",
                  world_short_id(a->effect.run));
    gate_filled(l->gate, a->effect.peer, a->number, buf_span(&message));
    buf_free(&message);
}

static void on_answer(struct world *w, void *self)
{
    struct asked *a = self;
    struct sim_lookup *l = a->l;
    if (a->effect.kind == BCORE_FX_EXECUTE) {
        answer_call(l, a);
    } else if (gate_knows(l->gate, a->effect.peer) && a->effect.kind == BCORE_FX_LOOKUP) {
        world_met(w, FAULT_LOOKUP);
        answer_run(l, &a->effect);
    } else if (gate_knows(l->gate, a->effect.peer)) {
        world_met(w, FAULT_LOOKUP_KEY);
        l->calls->known(l->self, &a->effect, a->is ? &a->known : NULL);
    }
    asked_free(a);
    l->calls->turn_end(l->self);
}

/* ---- Questions */
static struct asked *asked_new(struct sim_lookup *l, const struct bcore_effect *e)
{
    struct asked *a = mem_zalloc(1, sizeof *a + e->body.n + e->key.n);
    a->l = l;
    a->effect = gate_copy_effect(e, a->bytes);
    a->next = l->asked;
    l->asked = a;
    int64_t most = world_chance(l->w, 100) ? SECS(2) : MS(50);
    world_at(l->w, &a->event, l->w->now + world_skewed(l->w, 200, most), l->broker, on_answer, a);
    return a;
}

void lookup_run(struct sim_lookup *l, const struct bcore_effect *e)
{
    asked_new(l, e);
}

void lookup_key(struct sim_lookup *l, const struct bcore_effect *e, const char *principal)
{
    struct asked *a = asked_new(l, e);
    a->is = journal_key_of(l->journal, span_str(principal), e->key, e->parent, &a->known.run,
                           &a->known.digest);
}

void lookup_handed(struct sim_lookup *l, const struct bcore_effect *e)
{
    struct asked *a = asked_new(l, e);
    a->is = journal_has_assigned(l->journal, e->run, e->attempt, e->key);
}

void lookup_call(struct sim_lookup *l, const struct bcore_effect *e, uint64_t number)
{
    asked_new(l, e)->number = number;
}
