/* query.c - reads all pages of a query, row by row. */
#include "client/inner.h"

#include <errno.h>

static int ask_page(struct longboat *lb, const char *what, const struct wire_list *where,
                    struct span after, struct buf *ret_answer, struct m_rows *ret,
                    struct error *err)
{
    struct m_query m = {
        .req = longboat_req(lb), .what = span_str(what), .after = after, .limit = LIMIT_ROWS};
    struct buf message = {0};

    if (where)
        m.where = *where;
    m_query_encode(&m, &message);
    int rc = longboat_ask(lb, m.req, buf_span(&message), ANSWER_MS, ret_answer, NULL, err);
    buf_free(&message);
    if (rc < 0)
        return rc;
    if ((rc = longboat_decode(lb, &m_rows_schema, buf_span(ret_answer), ret, err)) < 0)
        buf_free(ret_answer);
    return rc;
}

int longboat_query(struct longboat *lb, const char *what, const struct wire_list *where,
                   bool (*row)(void *self, struct span json), void *self, struct error *err)
{
    struct buf answer = {0}, cursor = {0};
    struct m_rows page;
    struct span item;
    bool more = true;
    int rc = 0;

    while (more && (rc = ask_page(lb, what, where, buf_span(&cursor), &answer, &page, err)) == 0) {
        struct wire_iter it = wire_iter(&page.rows);
        while (more && wire_next(&it, &item))
            more = row(self, item);
        more = more && page.next.n > 0;
        buf_clear(&cursor);
        buf_add(&cursor, page.next.p, page.next.n);
        buf_free(&answer);
    }
    buf_free(&cursor);
    return rc;
}
