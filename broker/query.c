/* query.c - QUERY: reads what is asked and from where on, and answers with a page of rows. */
#include "broker/query.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events.h"
#include "broker/jsonfit.h"
#include "common/suggest.h"
#include "proto/state.h"

bool query_may_see(const struct query *q, const char *owner, const char *job, const char *address,
                   const char *server)
{
    return rights_may_see(q->b->core, q->who, owner, job, address && *address ? address : "all",
                          server);
}

bool query_row(struct query *q, json_t *row)
{
    char *text = json_fit(row, JSONFIT_MAX);
    size_t n = strlen(text);
    bool fits = q->n < q->limit && (!q->n || q->rows.n + n < QUERY_PAGE_BYTES);
    if (fits) {
        wire_add_str(&q->rows, span_of(text, n));
        q->n++;
    }
    free(text);
    json_decref(row);
    return fits;
}

bool query_matches(const char *pattern, const char *text)
{
    return !*pattern || grants_glob_matches(pattern, span_str(text ? text : ""));
}

static void query_free(struct query *q)
{
    buf_free(&q->rows);
    mem_free(&q);
}

void query_answer(struct query *q)
{
    struct m_rows m = {
        .req = q->req, .rows = wire_list_from(&q->rows, q->n), .next = span_str(q->next)};
    broker_send(q->b, q->peer, &m_rows_schema, &m);
    query_free(q);
}

void query_refuse(struct query *q, enum refusal code, const char *text)
{
    broker_error(q->b, q->peer, q->req, code, "%s", text);
    query_free(q);
}

bool query_still_there(struct query *q, const struct store_answer *a)
{
    struct peer *p = a->rc == -ECANCELED ? NULL : broker_peer(q->b, q->peer);
    if (p && a->rc == 0)
        return true;
    if (p)
        query_refuse(q, REFUSAL_INTERNAL, a->err.text);
    else
        query_free(q);
    return false;
}

/* ---- `where` */
static const char *const KEYS[] = {"job", "server", "principal", "address", "name",  "state",
                                   "run", "parent", "status",    "since",   "until", NULL};

/* A state that no run can have would match nothing: it is a slip of the fingers. */
static int check_state(const char *state, struct error *err)
{
    const char *words[RUN_STATE_COUNT + 1] = {0};
    char hint[SUGGEST_TEXT];
    for (unsigned i = 0; i < RUN_STATE_COUNT; i++) {
        words[i] = run_state_text(i);
        if (strcmp(state, words[i]) == 0)
            return 0;
    }
    return error_set(
        err, -EINVAL,
        "'%s' is no state%s (waiting, parked, handed_over, running, out_of_contact, cancelling, held)",
        state, suggest_hint(state, words, hint));
}

static int take_text(struct query *q, struct span key, struct span v, struct error *err)
{
    const struct {
        const char *key;
        char *to;
        size_t size;
    } texts[] = {{"job", q->job, sizeof q->job},
                 {"server", q->server, sizeof q->server},
                 {"principal", q->principal, sizeof q->principal},
                 {"address", q->address, sizeof q->address},
                 {"name", q->name, sizeof q->name},
                 {"state", q->state, sizeof q->state}};
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
        if (span_eq_str(key, texts[i].key)) {
            if (!span_copy_str(v, texts[i].to, texts[i].size))
                return error_set(err, -EINVAL, "the filter '%s' is too long", texts[i].key);
            return texts[i].to == q->state ? check_state(q->state, err) : 0;
        }
    if (span_eq_str(key, "status")) {
        int status = feed_status(v, err);
        if (status < 0)
            return status;
        q->status = status + 1;
        return 0;
    }
    return id_parse_span(v, span_eq_str(key, "parent") ? &q->parent : &q->run, err);
}

static int take_where(struct query *q, const struct wire_list *where, struct error *err)
{
    struct wire_iter it = wire_iter(where);
    struct span key;
    struct value v;
    while (wire_next_pair(&it, &key, &v)) {
        char name[LIMIT_NAME + 1], hint[SUGGEST_TEXT];
        bool known = false, time = span_eq_str(key, "since") || span_eq_str(key, "until");
        span_copy_str(key, name, sizeof name);
        for (unsigned i = 0; KEYS[i]; i++)
            known |= strcmp(name, KEYS[i]) == 0;
        if (!known)
            return error_set(err, -EINVAL, "rows cannot be filtered by '%s'%s", name,
                             suggest_hint(name, KEYS, hint));
        if (v.type != (time ? VALUE_INT : VALUE_STR))
            return error_set(err, -EINVAL, "the filter '%s' must be %s", name,
                             time ? "a number of milliseconds since 1970" : "a text");
        if (time)
            *(name[0] == 's' ? &q->since : &q->until) = v.integer;
        else if (take_text(q, key, v.bytes, err) < 0)
            return err->code;
    }
    return 0;
}

/* ---- What is asked */
static const char *const WHAT[] = {"runs",    "run",      "history",      "servers",
                                   "explain", "packages", "certificates", "parents",
                                   "whoami",  "stats",    "store",        NULL};

static void run_query(struct query *q, const char *what)
{
    static const struct {
        const char *what;
        void (*rows)(struct query *q);
    } live[] = {{"servers", query_servers},
                {"packages", query_packages},
                {"certificates", query_certificates},
                {"whoami", query_whoami},
                {"stats", query_stats},
                {"store", query_stats}};
    char text[200], hint[SUGGEST_TEXT];
    for (unsigned i = 0; i < sizeof live / sizeof *live; i++)
        if (strcmp(what, live[i].what) == 0) {
            live[i].rows(q);
            query_answer(q);
            return;
        }
    if (strcmp(what, "explain") == 0) {
        if (query_explain(q))
            query_answer(q);
    } else if (strcmp(what, "runs") == 0)
        query_runs(q);
    else if (strcmp(what, "history") == 0)
        query_history(q, false);
    else if (strcmp(what, "run") == 0)
        query_run(q);
    else if (strcmp(what, "parents") == 0) {
        if (query_parents_live(q))
            query_history(q, true);
        else
            query_answer(q);
    } else {
        snprintf(text, sizeof text, "'%.60s' cannot be asked for%s", what,
                 suggest_hint(what, WHAT, hint));
        query_refuse(q, REFUSAL_BAD_ARGUMENT, text);
    }
}

void query_take(struct broker *b, struct peer *p, struct span message)
{
    struct m_query m;
    struct error err = {0};
    char what[LIMIT_NAME + 1];
    if (m_query_decode(message, &m, &err) < 0) {
        broker_drop(b, p, REFUSAL_MALFORMED, err.text);
        return;
    }
    struct query *q = mem_zalloc(1, sizeof *q);
    q->b = b;
    q->peer = p->handle;
    q->req = m.req;
    q->who = p->certificate;
    q->limit = m.limit && m.limit < LIMIT_ROWS ? (unsigned)m.limit : LIMIT_ROWS;
    span_copy_str(m.after, q->after, sizeof q->after);
    span_copy_str(m.what, what, sizeof what);
    if (take_where(q, &m.where, &err) < 0)
        query_refuse(q, REFUSAL_BAD_ARGUMENT, err.text);
    else
        run_query(q, what);
}
