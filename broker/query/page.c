/* page.c - a page of rows: filled, answered, refused. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/events/jsonfit.h"
#include "broker/query/inside.h"
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
