/* runs.c - rows of live runs. The page waits for calls whose bytes are only in the store, one after
 * another. */
#include <string.h>

#include "broker/events/json.h"
#include "broker/query/inside.h"
#include "common/json.h"

json_t *query_run_head(const struct id *run, const char *state)
{
    json_t *o = json_row();
    json_set_word(o, "kind", "run");
    json_set_id(o, "run", run);
    json_set_word(o, "state", state);
    return o;
}

json_t *query_run_json(const struct view_run *r, const struct d_call *call)
{
    json_t *o = query_run_head(&r->id, run_state_text(r->state));
    json_set_call(o, call);
    json_set_word(o, "server", r->server);
    if (r->attempt)
        json_set_number(o, "attempt", r->attempt);
    json_set_word(o, "step", r->step);
    if (r->percent)
        json_set_number(o, "percent", r->percent);
    json_set_word(o, "text", r->text);
    json_set_word(o, "on_lost", on_lost_text(r->on_lost));
    if (r->cancelled) {
        json_set_flag(o, "cancel_forced", r->cancel_forced);
        json_set_word(o, "cancelled_by", r->cancelled_by);
    }
    json_set_time(o, "called_at", r->called_at);
    json_set_time(o, "assigned_at", r->assigned_at);
    json_set_time(o, "started_at", r->started_at);
    json_set_word(o, "by", r->principal);
    json_set_number(o, "followers", r->followers);
    return o;
}

static bool run_matches(const struct query *q, const struct view_run *r)
{
    return query_matches(q->job, r->job) && query_matches(q->server, r->server) &&
           query_matches(q->principal, r->principal) && query_matches(q->address, r->address) &&
           (!*q->state || strcmp(q->state, run_state_text(r->state)) == 0) &&
           (id_is_zero(q->parent) || id_eq(q->parent, r->parent)) &&
           (!q->since || r->called_at >= q->since) && (!q->until || r->called_at <= q->until);
}

static void hear_called(void *self, const struct store_answer *a);

/* Adds it with this call. False: the page is full. */
static bool add_run(struct query *q, const struct view_run *r, struct span bytes)
{
    struct d_signed s;
    struct d_call call = {0};
    if (d_signed_decode(bytes, &s, NULL) == 0)
        d_call_decode(s.body, &call, NULL); /* the core has already decoded it */
    return query_row(q, query_run_json(r, &call));
}

void query_runs(struct query *q)
{
    struct view_run r;
    if (*q->after && id_is_zero(q->at) && id_parse(q->after, &q->at, NULL) < 0) {
        query_refuse(q, REFUSAL_BAD_ARGUMENT, QUERY_NO_CURSOR);
        return;
    }
    while (view_run_after(q->shell->core, &q->at, &r)) {
        bool wanted =
            run_matches(q, &r) && query_may_see(q, r.principal, r.job, r.address, r.server);
        bool full = wanted && q->n == q->limit;
        if (wanted && !full && !r.call.n) {
            q->asked = r.id;
            query_ask(
                q, &(struct store_question){.what = STORE_RECORD, .lsn = r.called_lsn, .most = 1},
                hear_called);
            return;
        }
        full = full || (wanted && !add_run(q, &r, r.call));
        if (!full)
            q->at = r.id;
        if (full || ++q->scanned == QUERY_SCAN_MAX) {
            id_format(q->at, q->next);
            break;
        }
    }
    query_answer(q);
}

/* A run that has ended in the meantime is left out. */
static void hear_called(void *self, const struct store_answer *a)
{
    struct query *q = self;
    struct r_called called;
    struct view_run r;
    if (!query_still_there(q, a))
        return;
    if (view_run(q->shell->core, &q->asked, &r)) {
        bool known = a->n_records && r_called_decode(a->records[0].body, &called, NULL) == 0;
        if (known && !add_run(q, &r, called.call)) {
            id_format(q->at, q->next);
            query_answer(q);
            return;
        }
        q->scanned++;
        q->at = q->asked;
    }
    query_runs(q);
}
