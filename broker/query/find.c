/* find.c - the run that a person means by the end of its id, by `last` or by `last-failed`.
 *
 * Live runs and parents are looked for in the core, then ended ones in the store, which has indexes
 * for it. An answer looks at QUERY_SCAN_MAX live runs and parents, and as many rows of the store,
 * at most; what is left to look at is for the next page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/json.h"
#include "broker/query/inside.h"
#include "trust/certificate.h"

enum { ASK_MAX = 100 /* rows of the store at a time: usually the first is the one */ };
static const char PARENTS[] = "parents ", LIVE[] = "live ", ENDED[] = "ended ";

/* ---- Rows */
static json_t *run_row(const struct view_run *r)
{
    json_t *o = query_run_head(&r->id, run_state_text(r->state));
    struct d_signed s;
    struct d_call call;
    json_set_word(o, "name", r->job);
    /* a call whose bytes are only in the store does not tell which child it is */
    if (d_signed_decode(r->call, &s, NULL) == 0 && d_call_decode(s.body, &call, NULL) == 0)
        json_set_child(o, call.task, call.item, call.index, call.try_no);
    json_set_time(o, "at", r->called_at);
    return o;
}

static json_t *parent_row(const struct view_parent *p)
{
    json_t *o = query_parent_head(&p->id, "running");
    json_set_text(o, "name", p->name);
    json_set_time(o, "at", p->begun_at);
    return o;
}

static json_t *ended_row(const struct store_ended *r)
{
    json_t *o =
        r->is_parent ? query_parent_head(&r->run, "ended") : query_run_head(&r->run, "ended");
    json_set_word(o, "status", status_text(r->status));
    json_set_word(o, "name", r->job);
    if (!r->is_parent)
        json_set_child(o, span_str(r->task), span_str(r->item), r->index, r->try_no);
    json_set_time(o, "at", r->called_at);
    return o;
}

/* ---- Ended */
static void ask_ended(struct query *q);

/* A run that ended during the question may be in both. */
static bool is_found(const struct query *q, const struct id *run)
{
    for (unsigned i = 0; i < q->n; i++)
        if (id_eq(q->found[i], *run))
            return true;
    return false;
}

static bool add(struct query *q, const struct id *run, json_t *row)
{
    unsigned n = q->n;
    if (!query_row(q, row))
        return false;
    q->found[n] = *run;
    return true;
}

static void hear_ended(void *self, const struct store_answer *a)
{
    struct query *q = self;
    if (!query_still_there(q, a))
        return;
    for (unsigned i = 0; i < a->n_rows; i++) {
        const struct store_ended *r = &a->rows[i];
        q->find.after.lsn = r->lsn;
        if (!is_found(q, &r->run) &&
            query_may_see(q, r->principal, r->is_parent ? "" : r->job, r->address, r->server))
            add(q, &r->run, ended_row(r));
        if (q->n == q->limit)
            break;
    }
    q->scanned += a->n_rows;
    if (q->n < q->limit && a->n_rows == ASK_MAX && q->scanned < QUERY_SCAN_MAX) {
        ask_ended(q);
        return;
    }
    if (q->n < q->limit && a->n_rows == ASK_MAX)
        snprintf(q->next, sizeof q->next, "%s%llu", ENDED, (unsigned long long)q->find.after.lsn);
    query_answer(q);
}

static void ask_ended(struct query *q)
{
    query_ask(q, &(struct store_question){.what = STORE_FIND, .find = q->find, .most = ASK_MAX},
              hear_ended);
}

/* ---- The end of an id */
/* False: there are more to look at, from q->next on. */
static bool tail_of_parents(struct query *q)
{
    struct view_parent p;
    for (struct id at = q->at; view_parent_after(q->shell->core, &at, &p); at = p.id) {
        if (store_find_is(&q->find, p.id) && query_may_see(q, p.principal, "", "all", NULL) &&
            !add(q, &p.id, parent_row(&p)))
            break;
        if (++q->scanned == QUERY_SCAN_MAX) {
            char id[ID_TEXT];
            snprintf(q->next, sizeof q->next, "%s%s", PARENTS, id_format(p.id, id));
            return false;
        }
    }
    q->at = ID_ZERO;
    return true;
}

/* The same. */
static bool tail_of_runs(struct query *q)
{
    struct view_run r;
    while (view_run_before(q->shell->core, &q->at, &r)) {
        q->at = r.id;
        if (store_find_is(&q->find, r.id) &&
            query_may_see(q, r.principal, r.job, r.address, r.server) &&
            !add(q, &r.id, run_row(&r)))
            break;
        if (++q->scanned == QUERY_SCAN_MAX) {
            char id[ID_TEXT];
            snprintf(q->next, sizeof q->next, "%s%s", LIVE, id_format(q->at, id));
            return false;
        }
    }
    q->scanned = 0;
    return true;
}

static void find_tail(struct query *q)
{
    if (strncmp(q->after, ENDED, strlen(ENDED)) == 0) {
        ask_ended(q);
        return;
    }
    const bool parents = strncmp(q->after, LIVE, strlen(LIVE)) != 0;
    if ((!parents || tail_of_parents(q)) && tail_of_runs(q) && q->n < q->limit)
        ask_ended(q);
    else
        query_answer(q);
}

/* ---- The caller's last */
static void hear_last(void *self, const struct store_answer *a)
{
    struct query *q = self;
    const struct store_ended *r = a->n_rows ? a->rows : NULL;
    if (!query_still_there(q, a))
        return;
    if (r && (!q->newest || id_cmp(r->run, q->at) > 0)) {
        json_decref(q->newest);
        q->newest = ended_row(r);
    }
    if (q->newest)
        query_row(q, q->newest);
    q->newest = NULL;
    query_answer(q);
}

/* q->at, q->newest: the newest that is live, if there is one. */
static bool newest_run(struct query *q)
{
    struct view_run r;
    for (struct id at = q->at; view_run_before(q->shell->core, &at, &r); at = r.id) {
        if (id_is_zero(r.parent) && strcmp(r.principal, q->who->name) == 0) {
            q->newest = run_row(&r);
            q->at = r.id;
            return true;
        }
        if (++q->scanned == QUERY_SCAN_MAX) {
            char id[ID_TEXT];
            snprintf(q->next, sizeof q->next, "%s%s", LIVE, id_format(r.id, id));
            return false;
        }
    }
    q->at = ID_ZERO;
    return true;
}

/* Newest first, from before `at`. The ids of runs and parents follow the time, so what comes after
 * the run is older. */
static bool newest_parent(struct query *q, struct id at)
{
    struct view_parent p;
    struct d_parent d;
    char id[ID_TEXT], run[ID_TEXT];
    for (; view_parent_before(q->shell->core, &at, &p) && id_cmp(p.id, q->at) > 0; at = p.id) {
        if (strcmp(p.principal, q->who->name) == 0 &&
            (query_parent_of(&p, &d), id_is_zero(d.parent))) {
            json_decref(q->newest);
            q->newest = parent_row(&p);
            q->at = p.id;
            break;
        }
        if (++q->scanned == QUERY_SCAN_MAX) {
            snprintf(q->next, sizeof q->next, "%s%s %s", PARENTS, id_format(p.id, id),
                     id_format(q->at, run));
            json_decref(q->newest);
            q->newest = NULL;
            return false;
        }
    }
    return true;
}

/* The run that an earlier page has found. If it has ended since, the store has it. */
static void take_newest_run(struct query *q, struct id run)
{
    struct view_run r;
    q->at = ID_ZERO;
    if (view_run(q->shell->core, &run, &r)) {
        q->newest = run_row(&r);
        q->at = run;
    }
}

static void find_last(struct query *q)
{
    struct id parents = ID_ZERO;
    bool done = true;
    q->find.principal = q->who->name; /* lent until the question is asked, now */
    if (strncmp(q->after, PARENTS, strlen(PARENTS)) == 0) {
        parents = q->at;
        take_newest_run(q, q->find.after.run);
        q->find.after.run = ID_ZERO;
    } else {
        done = newest_run(q);
    }
    if (!done || !newest_parent(q, parents)) {
        query_answer(q);
        return;
    }
    query_ask(q, &(struct store_question){.what = STORE_FIND, .find = q->find, .most = 1},
              hear_last);
}

/* "parents ID", of `last` followed by the run that was found; "live ID"; "ended LSN". */
static bool take_cursor(struct query *q)
{
    const size_t id = ID_TEXT - 1;
    const char *text = q->after + strlen(PARENTS);
    if (strncmp(q->after, PARENTS, strlen(PARENTS)) == 0) {
        const bool two = q->find.by == STORE_FIND_LAST;
        return strlen(text) == (two ? 2 * id + 1 : id) &&
               id_parse_span(span_of(text, id), &q->at, NULL) == 0 &&
               (!two || id_parse(text + id + 1, &q->find.after.run, NULL) == 0);
    }
    if (strncmp(q->after, LIVE, strlen(LIVE)) == 0)
        return id_parse(q->after + strlen(LIVE), &q->at, NULL) == 0;
    if (strncmp(q->after, ENDED, strlen(ENDED)) == 0)
        return query_number_of(q->after + strlen(ENDED), &q->find.after.lsn);
    return !*q->after;
}

void query_find(struct query *q)
{
    struct error err = {0};
    if (store_find_parse(span_str(q->text), &q->find, &err) < 0) {
        query_refuse(q, REFUSAL_BAD_ARGUMENT, err.text);
        return;
    }
    if (!take_cursor(q)) {
        query_refuse(q, REFUSAL_BAD_ARGUMENT, QUERY_NO_CURSOR);
        return;
    }
    q->limit = q->limit < QUERY_FOUND_MAX ? q->limit : QUERY_FOUND_MAX;
    switch (q->find.by) {
    case STORE_FIND_TAIL:
        find_tail(q);
        break;
    case STORE_FIND_LAST:
        find_last(q);
        break;
    case STORE_FIND_FAILED:
        q->limit = 1;
        ask_ended(q);
        break;
    }
}
