/* lawswaits.c - the law about slots while a step waits for its next try: its worker says so, the
 * broker then counts the attempt no longer, and other runs get the slot.
 *
 * What the worker has to say follows from what the children really did; what the broker has to
 * count, from what it was told. */
#include <inttypes.h>
#include <string.h>

#include "broker/core/view.h"
#include "proto/limits.h"
#include "tests/sim/lawsinside.h"

enum {
    /* Half a second has to be left when the worker learns of the failure, and without a bell it
     * looks only every half second. */
    SAID_FROM_MS = 1250,
    RESTED_US = SECS(62) /* the longest pause of a server that has returned a run: a minute */
};

/* ---- What the worker says */
void laws_worker_says(struct laws *l, struct span message)
{
    struct m_progress m;
    if (m_progress_decode(message, &m, NULL) < 0 || !m.waits.n)
        return;
    struct tried *a = tried_get(l, m.run, m.attempt);
    a->waits_said = l->w->now;
    if (a->live)
        law_break(l, LAW_WAIT_FREES_SLOT,
                  "run %s: step " SPAN_FMT " of attempt %" PRIu64
                  " is said to wait, but one of the attempt's children lives",
                  world_short_id(m.run), SPAN_ARG(m.waits), m.attempt);
}

/* Only a worker that nothing has disturbed since the failure is judged. A backoff only makes the
 * wait longer. */
void lawswaits_launched(struct laws *l, const struct tried *a, const struct child_fact *before,
                        const struct d_step *s)
{
    if (s->interval_ms < SAID_FROM_MS || before->vanished ||
        lawstime_undisturbed(l, a) > before->over_at || a->waits_said >= before->over_at)
        return;
    law_break(l, LAW_WAIT_FREES_SLOT,
              "run %s: step %s of attempt %" PRIu64 " has waited for %" PRId64
              " ms for its next try, and %s has not said so",
              world_short_id(a->key.run), before->step, a->key.attempt,
              (l->w->now - before->over_at) / 1000, a->server);
}

/* ---- What the broker knows */
static void forget(struct laws *l, struct id run, uint64_t attempt)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < l->n_lenders; i++)
        if (!id_eq(l->lenders[i].run, run) || l->lenders[i].attempt != attempt)
            l->lenders[kept++] = l->lenders[i];
    l->n_lenders = kept;
}

static void on_progress(struct laws *l, const struct laws_turn *t, const struct m_progress *m)
{
    const struct tried *a = tried_find(l, m->run, m->attempt);
    struct view_server s;
    if (!a || strcmp(a->server, t->sender) != 0 || !view_server(t->core, t->sender, &s) ||
        !id_eq(a->spool, s.spool))
        return;
    forget(l, m->run, m->attempt);
    if (!m->waits.n)
        return;
    l->lenders = mem_realloc(l->lenders, l->n_lenders + 1, sizeof *l->lenders);
    l->lenders[l->n_lenders++] = a->key;
}

static void on_message(struct laws *l, const struct laws_turn *t)
{
    struct m_progress progress;
    struct m_have have;
    struct m_returned returned;
    if (m_progress_decode(t->message, &progress, NULL) == 0)
        on_progress(l, t, &progress);
    else if (m_have_decode(t->message, &have, NULL) == 0)
        forget(l, have.run, have.attempt); /* if it waits, the worker says so again */
    else if (m_returned_decode(t->message, &returned, NULL) == 0)
        lawstime_server(l, span_str(t->sender), ID_ZERO)->rests = l->w->now + RESTED_US;
}

/* Does the attempt still take part in its server's account? */
static bool counts(const struct bcore *c, const struct tried *a)
{
    struct view_run v;
    return view_run(c, &a->key.run, &v) && v.attempt == a->key.attempt && v.server &&
           !strcmp(v.server, a->server);
}

static uint64_t lenders_of(const struct laws *l, const struct bcore *c, const char *server)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < l->n_lenders; i++) {
        const struct tried *a = tried_find(l, l->lenders[i].run, l->lenders[i].attempt);
        n += a && !strcmp(a->server, server) && counts(c, a);
    }
    return n;
}

/* Then it may have been refused there, and the record of that need not be durable yet. */
static bool was_there(const struct laws *l, const struct view_run *r, const char *server)
{
    for (uint64_t k = 1; k <= r->attempt; k++) {
        const struct tried *a = tried_find(l, r->id, k);
        if (a && !strcmp(a->server, server))
            return true;
    }
    return false;
}

static bool needs_nothing(const struct view_job *j)
{
    struct d_attested_job d;
    return d_attested_job_decode(j->attested, &d, NULL) == 0 && d.needs.count == 0;
}

/* Could this server start it now, if it has a slot? No more than is certain: only a call that names
 * its version, of a job without needs, and that was never there. */
static bool fits(const struct laws *l, const struct bcore *c, const char *server,
                 const struct view_run *r)
{
    struct view_job j;
    if (r->state != RUN_WAITING || hash_is_zero(&r->job_hash) ||
        !view_in_address(c, server, r->address) || was_there(l, r, server))
        return false;
    for (unsigned i = 0; view_server_job(c, server, i, &j); i++)
        if (hash_eq(&j.job_hash, &r->job_hash))
            return !*j.refused && (!j.concurrency || j.live < j.concurrency) && needs_nothing(&j);
    return false;
}

static void judge_queue(struct laws *l, const struct bcore *c, const struct view_server *s)
{
    struct view_run r;
    for (struct id at = ID_ZERO; view_run_after(c, &at, &r); at = r.id)
        if (fits(l, c, s->name, &r))
            law_break(
                l, LAW_WAIT_FREES_SLOT,
                "run %s waits in the queue, although %s has a slot that a waiting step leaves",
                world_short_id(r.id), s->name);
}

static void judge_server(struct laws *l, const struct bcore *c, const char *server)
{
    struct view_server s;
    if (!view_server(c, server, &s) || strcmp(s.state, "up") != 0 || s.draining)
        return;
    uint64_t waits = lenders_of(l, c, server), most = s.slots * LIMIT_WAITS;
    uint64_t busy = s.live - (waits < most ? waits : most);
    if (!waits)
        return;
    if (s.credit < s.slots && s.credit + busy < s.slots &&
        lawstime_server(l, span_str(server), ID_ZERO)->rests <= l->w->now)
        law_break(l, LAW_WAIT_FREES_SLOT,
                  "server %s has %" PRIu64 " slots and %" PRIu64 " attempts, of which %" PRIu64
                  " wait for their next try, and would get only %" PRIu64 " more",
                  server, s.slots, s.live, waits, s.credit);
    if (busy < s.slots && s.live >= s.slots)
        world_met(l->w, FAULT_SLOT_LENT);
    if (s.credit)
        judge_queue(l, c, &s);
}

void lawswaits_stepped(struct laws *l, const struct laws_turn *t)
{
    if (t->sender)
        on_message(l, t);
    for (unsigned i = 0; i < l->n_lenders; i++) {
        const struct tried *a = tried_find(l, l->lenders[i].run, l->lenders[i].attempt);
        if (a)
            judge_server(l, t->core, a->server);
    }
}

void lawswaits_begin(struct laws *l)
{
    l->n_lenders = 0;
}

void lawswaits_free(struct laws *l)
{
    mem_free(&l->lenders);
}
