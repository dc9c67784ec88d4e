/* page.c - a page of rows: filled, answered, refused. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/jsonfit.h"
#include "broker/query/inside.h"
#include "broker/shell/ask.h"
#include "broker/shell/rights.h"

bool query_may_see(const struct query *q, const char *owner, const char *job, const char *address,
                   const char *server)
{
    return rights_may_see(q->shell->core, q->who, owner, job, address && *address ? address : "all",
                          server);
}

bool query_row(struct query *q, json_t *row)
{
    char *text = jsonfit_text(row, JSONFIT_MAX);
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
    json_decref(q->newest);
    mem_free(&q);
}

void query_answer(struct query *q)
{
    struct m_rows m = {
        .req = q->req, .rows = wire_list_from(&q->rows, q->n), .next = span_str(q->next)};
    shell_send(q->shell, q->peer, &m_rows_schema, &m);
    query_free(q);
}

void query_refuse(struct query *q, enum refusal code, const char *text)
{
    shell_error(q->shell, q->peer, q->req, code, "%s", text);
    query_free(q);
}

bool query_still_there(struct query *q, const struct store_answer *a)
{
    struct shell_peer *p = a->rc == -ECANCELED ? NULL : shell_find_peer(q->shell, q->peer);
    if (p && a->rc == 0)
        return true;
    if (p)
        query_refuse(q, REFUSAL_INTERNAL, a->err.text);
    else
        query_free(q);
    return false;
}

bool query_may_see_about(const struct query *q, const struct about *about)
{
    if (rights_may_see_about(q->shell->core, q->who, about))
        return true;
    if (about->known)
        shell_hidden(q->shell, shell_find_peer(q->shell, q->peer), "query", &q->run);
    return false;
}

/* ---- Pages of the store */
void query_ask(struct query *q, const struct store_question *ask, store_hear *hear)
{
    const struct shell_peer *p = shell_find_peer(q->shell, q->peer);
    struct error err = {0};
    if (ask_store(q->shell, p, BUDGET_QUESTIONS, 1, ask, hear, q, &err) < 0)
        query_refuse(q, REFUSAL_BUSY, err.text);
}

bool query_number_of(const char *cursor, uint64_t *ret)
{
    char *end;
    *ret = strtoull(cursor, &end, 10);
    return !*cursor || (*cursor >= '0' && *cursor <= '9' && !*end);
}

bool query_question(struct query *q, enum store_what what, struct store_question *ret)
{
    *ret = (struct store_question){.what = what, .most = q->limit > q->n ? q->limit - q->n : 1};
    if (!query_number_of(q->after, &ret->after)) {
        query_refuse(q, REFUSAL_BAD_ARGUMENT, QUERY_NO_CURSOR);
        return false;
    }
    ret->filter.principal = q->principal;
    ret->filter.parent = q->parent;
    ret->filter.status = q->status;
    ret->filter.since = q->since;
    ret->filter.until = q->until;
    return true;
}

void query_hear_page(struct query *q, const struct store_answer *a,
                     json_t *(*json)(const struct store_ended *r))
{
    uint64_t next = a->next;
    if (!query_still_there(q, a))
        return;
    for (unsigned i = 0; i < a->n_rows; i++) {
        const struct store_ended *r = &a->rows[i];
        bool parent = !*r->address; /* its job is the plan's name, which no grant covers */
        if (!query_may_see(q, r->principal, parent ? "" : r->job, r->address, r->server))
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
