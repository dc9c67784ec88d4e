/* past.c - rows from the store: history, and everything about one run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/eventjson.h"
#include "broker/events/json.h"
#include "broker/query/inside.h"
#include "broker/shell/rights.h"
#include "common/json.h"

/* ---- History */
static json_t *ended_json(const struct store_ended *r)
{
    json_t *o = query_run_head(&r->run, "ended");
    json_set_number(o, "seq", r->lsn);
    json_set_word(o, "job", r->job);
    json_set_hash(o, "job_hash", &r->job_hash);
    json_set_word(o, "address", r->address);
    json_set_word(o, "key", r->key);
    json_set_id(o, "parent", &r->parent);
    json_set_child(o, span_str(r->task), span_str(r->item), r->index, r->try_no);
    json_set_word(o, "server", r->server);
    if (r->attempt)
        json_set_number(o, "attempt", r->attempt);
    json_set_layers(o, r->delivery, r->job_outcome, r->package);
    json_set_word(o, "status", status_text(r->status));
    json_set_word(o, "message", r->message);
    json_set_time(o, "called_at", r->called_at);
    json_set_time(o, "started_at", r->started_at);
    json_set_time(o, "ended_at", r->ended_at);
    json_set_word(o, "by", r->principal);
    return o;
}

static void hear_history(void *self, const struct store_answer *a)
{
    query_hear_page(self, a, ended_json);
}

void query_history(struct query *q)
{
    struct store_question ask;
    if (!query_question(q, STORE_HISTORY, &ask))
        return;
    ask.filter.job = q->job;
    ask.filter.server = q->server;
    ask.filter.address = q->address;
    query_ask(q, &ask, hear_history);
}

/* ---- One run: its state, its records as events, its whole outcome */
static json_t *record_json(const struct store_record *r, const struct about *about)
{
    struct feed_event *e = eventjson_make(r->lsn, r->body, about);
    json_t *o = json_loads(e->text, 0, NULL);
    static const char *const REPEATED[] = {"job",  "job_hash", "address",    "key",        "parent",
                                           "task", "index",    "try",        "parameters", "by",
                                           "run",  "v",        "priority",   "as_of",      "item",
                                           "plan", "child",    "parent_name"};
    for (unsigned i = 0; o && i < sizeof REPEATED / sizeof *REPEATED; i++)
        json_object_del(o, REPEATED[i]); /* the row itself has them */
    eventjson_free(&e);
    return o ? o : json_null();
}

static json_t *head_of(struct query *q, const struct about *about)
{
    struct view_run r;
    struct view_parent p;
    if (view_run(q->shell->core, &q->run, &r))
        return query_run_json(&r, &about->call);
    if (view_parent(q->shell->core, &q->run, &p))
        return query_parent_json(&p);
    json_t *o;
    if (about->is_parent) {
        o = query_parent_head(&q->run, "ended");
        json_set_parent(o, &about->parent);
        json_set_time(o, "begun_at", about->begun_at);
    } else {
        o = query_run_head(&q->run, "ended");
        json_set_call(o, &about->call);
        json_set_time(o, "called_at", about->begun_at);
    }
    json_set_text(o, "by", about->principal);
    return o;
}

/* The record of its end: the outcome of a run, the report of a parent. */
static void add_end(json_t *o, struct span record, const struct about *about)
{
    struct r_ended ended;
    struct r_parent_ended parent;
    struct d_outcome outcome;
    uint64_t kind;
    size_t size;
    if (wire_peek(record, &kind, &size, NULL) < 0)
        return;
    if (kind == KIND_R_ENDED && r_ended_decode(record, &ended, NULL) == 0 &&
        d_outcome_decode(ended.outcome, &outcome, NULL) == 0) {
        json_set_outcome(o, &outcome);
        json_set_executions(o, ended.executions);
        /* the broker accepted the call then; the outcome knows only when its server got it */
        json_set_time(o, "called_at", about->begun_at);
        if (!outcome.ended_at)
            json_set_time(o, "ended_at", ended.at);
        json_set_text(o, "server", ended.server);
        if (ended.attempt)
            json_set_number(o, "attempt", ended.attempt);
    } else if (kind == KIND_R_PARENT_ENDED && r_parent_ended_decode(record, &parent, NULL) == 0) {
        json_t *report = json_loadb((const char *)parent.report.p, parent.report.n, 0, NULL);
        json_set_word(o, "status", status_text(parent.status));
        json_set_time(o, "ended_at", parent.at);
        if (report)
            json_object_set_new(o, "report", report);
    }
}

static void hear_run(void *self, const struct store_answer *a)
{
    struct query *q = self;
    struct about about;
    if (!query_still_there(q, a))
        return;
    about_of(a->n_records ? a->records[0].body : SPAN_NONE, &about);
    if (!query_may_see_about(q, &about)) {
        query_refuse(q, REFUSAL_UNKNOWN_RUN, "no run with this id is live or in the history");
        return;
    }
    json_t *o = head_of(q, &about), *records = json_array();
    for (unsigned i = 0; i < a->n_records; i++) {
        json_array_append_new(records, record_json(&a->records[i], &about));
        add_end(o, a->records[i].body, &about);
    }
    json_object_set_new(o, "events", records);
    if (a->left_out)
        json_set_number(o, "events_left_out", a->left_out);
    query_row(q, o);
    query_answer(q);
}

void query_run(struct query *q)
{
    struct store_question ask = {.what = STORE_RECORDS, .run = q->run, .most = STORE_PAGE_MAX};
    if (id_is_zero(q->run))
        query_refuse(q, REFUSAL_BAD_ARGUMENT, "`where` must name a `run`");
    else
        query_ask(q, &ask, hear_run);
}
