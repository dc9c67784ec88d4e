/* querypast.c - rows from the store: history, ended parents, and all there is to say about one
   run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/eventjson.h"
#include "broker/query.h"
#include "common/json.h"

/* ---- History */
static json_t *ended_json(const struct store_ended *r)
{
    json_t *o = json_object();
    json_set_number(o, "seq", r->lsn);
    json_set_id(o, "run", &r->run);
    json_set_word(o, "status", status_text(r->status));
    json_set_word(o, "job", r->job);
    json_set_word(o, "server", r->server);
    json_set_word(o, "address", r->address);
    json_set_number(o, "attempt", r->attempt);
    json_set_id(o, "parent", &r->parent);
    json_set_word(o, "task", r->task);
    if (*r->task) {
        json_set_number(o, "index", r->index);
        json_set_number(o, "try", r->try_no);
    }
    json_set_word(o, "delivery", delivery_text(r->delivery));
    json_set_word(o, "job_outcome", job_outcome_text(r->job_outcome));
    json_set_word(o, "package", package_outcome_text(r->package));
    json_set_word(o, "message", r->message);
    json_set_hash(o, "job_hash", &r->job_hash);
    json_set_time(o, "called_at", r->called_at);
    json_set_time(o, "started_at", r->started_at);
    json_set_time(o, "ended_at", r->ended_at);
    json_set_word(o, "key", r->key);
    json_set_word(o, "by", r->principal);
    return o;
}

static json_t *ended_parent_json(const struct store_ended *r)
{
    json_t *o = json_object();
    json_set_number(o, "seq", r->lsn);
    json_set_id(o, "run", &r->run);
    json_set_word(o, "state", "ended");
    json_set_word(o, "status", status_text(r->status));
    json_set_word(o, "plan", r->job);
    json_set_word(o, "key", r->key);
    json_set_id(o, "parent", &r->parent);
    json_set_number(o, "tasks", r->index);
    json_set_time(o, "begun_at", r->called_at);
    json_set_time(o, "ended_at", r->ended_at);
    json_set_word(o, "by", r->principal);
    return o;
}

static void hear_page(struct query *q, const struct store_answer *a,
                      json_t *(*json)(const struct store_ended *r), bool parents)
{
    uint64_t next = a->next;
    if (!query_still_there(q, a))
        return;
    for (unsigned i = 0; i < a->n_rows; i++) {
        const struct store_ended *r = &a->rows[i];
        if (!query_may_see(q, r->principal, parents ? "" : r->job, parents ? "all" : r->address,
                           r->server))
            continue;
        if (!query_row(q, json(r))) {
            next = r->lsn + 1;
            break;
        }
    }
    if (next)
        snprintf(q->next, sizeof q->next, "%llu", (unsigned long long)next);
    query_answer(q);
}

static void hear_history(void *self, const struct store_answer *a)
{
    hear_page(self, a, ended_json, false);
}

static void hear_parents(void *self, const struct store_answer *a)
{
    hear_page(self, a, ended_parent_json, true);
}

/* False: `after` is no cursor of ours. Empty is the beginning. */
static bool number_of(const char *after, uint64_t *ret)
{
    char *end;
    *ret = strtoull(after, &end, 10);
    return !*after || (*after >= '0' && *after <= '9' && !*end);
}

void query_history(struct query *q, bool parents)
{
    struct store_question ask = {.what = parents ? STORE_PARENTS : STORE_HISTORY,
                                 .most = q->limit > q->n ? q->limit - q->n : 1};
    struct store_filter *f = &ask.filter;
    if (!number_of(q->after, &ask.after)) {
        query_refuse(q, REFUSAL_BAD_ARGUMENT, QUERY_NO_CURSOR);
        return;
    }
    strcpy(f->job, parents ? q->name : q->job);
    strcpy(f->server, parents ? "" : q->server);
    strcpy(f->principal, q->principal);
    strcpy(f->address, parents ? "" : q->address);
    f->parent = q->parent;
    f->status = q->status;
    f->since = q->since;
    f->until = q->until;
    store_ask(q->b->store, &ask, parents ? hear_parents : hear_history, q);
}

/* ---- One run: what it is now, every record of it as its event, its outcome whole */
static json_t *record_json(const struct store_record *r, const struct event_about *about,
                           struct span *ret_outcome)
{
    struct feed_event *e = event_make(r->lsn, r->body, about);
    json_t *o = json_loads(e->text, 0, NULL);
    struct r_ended ended;
    static const char *const REPEATED[] = {"job",  "job_hash", "address",  "key",        "parent",
                                           "task", "index",    "try",      "parameters", "by",
                                           "run",  "v",        "priority", "as_of"};
    if (strcmp(e->word, "result") == 0 && r_ended_decode(r->body, &ended, NULL) == 0)
        *ret_outcome = ended.outcome;
    for (unsigned i = 0; o && i < sizeof REPEATED / sizeof *REPEATED; i++)
        json_object_del(o, REPEATED[i]); /* they stand in the row itself */
    event_free(&e);
    return o ? o : json_null();
}

static json_t *head_of(struct query *q, const struct event_about *about)
{
    struct view_run r;
    struct view_parent p;
    if (view_run(q->b->core, &q->run, &r))
        return query_run_json(&r, &about->call);
    if (view_parent(q->b->core, &q->run, &p))
        return query_parent_json(&p);
    json_t *o = json_object();
    json_set_id(o, "run", &q->run);
    json_set_word(o, "state", "ended");
    if (about->is_parent)
        json_set_text(o, "plan", about->parent.name);
    else
        json_set_call(o, &about->call);
    json_set_text(o, "by", about->principal);
    return o;
}

static void add_report(json_t *o, struct span record)
{
    struct r_parent_ended m;
    json_t *report;
    if (r_parent_ended_decode(record, &m, NULL) < 0)
        return;
    json_set_word(o, "status", status_text(m.status));
    json_set_time(o, "ended_at", m.at);
    report = json_loadb((const char *)m.report.p, m.report.n, 0, NULL);
    if (report)
        json_object_set_new(o, "report", report);
}

static void hear_run(void *self, const struct store_answer *a)
{
    struct query *q = self;
    struct event_about about;
    struct span outcome = SPAN_NONE;
    struct d_outcome decoded;
    char owner[LIMIT_NAME + 1], job[LIMIT_JOB + 1], address[LIMIT_ADDRESS + 1];
    if (!query_still_there(q, a))
        return;
    event_about_of(a->n_records ? a->records[0].body : SPAN_NONE, &about);
    span_copy_str(about.principal, owner, sizeof owner);
    span_copy_str(about.is_parent ? SPAN_NONE : about.call.job, job, sizeof job);
    span_copy_str(about.is_parent ? SPAN_NONE : about.call.address, address, sizeof address);
    if (!about.known || !query_may_see(q, owner, job, address, NULL)) {
        query_refuse(q, REFUSAL_UNKNOWN_RUN, "no run of this id is live or in the history");
        return;
    }
    json_t *o = head_of(q, &about), *records = json_array();
    for (unsigned i = 0; i < a->n_records; i++) {
        json_array_append_new(records, record_json(&a->records[i], &about, &outcome));
        add_report(o, a->records[i].body);
    }
    if (outcome.n && d_outcome_decode(outcome, &decoded, NULL) == 0) {
        json_set_outcome(o, &decoded);
        json_set_time(o, "called_at", about.begun_at);
        json_set_text(o, "server", decoded.server);
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
        query_refuse(q, REFUSAL_BAD_ARGUMENT, "`run` must be given in where");
    else
        store_ask(q->b->store, &ask, hear_run, q);
}
