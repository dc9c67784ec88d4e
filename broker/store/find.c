/* find.c - see find.h. */
#include "broker/store/find.h"

#include <errno.h>
#include <string.h>

#include "broker/store/inside.h"

enum {
    TAIL_BYTES = STORE_TAIL_MIN / 2
}; /* of an id, in the index; the other digits are compared */

/* The statements below contain these numbers as literals. */
_Static_assert(STATUS_SUCCEEDED == 7, "the index ended_run_failed leaves this status out");
_Static_assert(TAIL_BYTES == 3 && sizeof(struct id) == 16, "the indexes on substr(run, 14, 3)");

/* clang-format off */
/* Ids end with random bytes, so a plain index on their ends would write each entry to a different
 * page. The index is cut into segments of 65,536 records instead: entries of one time lie together,
 * and a look-up probes each segment that has records (some 60 for a million runs, a few
 * microseconds each). */
#define SEGMENTS \
    "WITH RECURSIVE segment (n) AS ( " \
    "  SELECT max(lsn) >> 16 FROM journal " \
    "  UNION ALL " \
    "  SELECT (SELECT max(lsn) >> 16 FROM journal WHERE lsn < n << 16) FROM segment " \
    "  WHERE n IS NOT NULL " \
    ") "
#define ENDS_WITH "substr(run, 14, 3) = ?1 AND substr(hex(run), -length(?2)) = ?2"

/* INDEXED BY: without the index the statement fails instead of reading the whole history. CROSS
 * JOIN: the segments come first. */
static const char *const SQL[FIND_STATEMENTS] = {
    [STORE_FIND_TAIL] =
        SEGMENTS
        "SELECT " ROW_OF_RUN ", 0 "
        "FROM segment CROSS JOIN ended_run INDEXED BY ended_run_tail "
        "WHERE lsn >> 16 = n AND " ENDS_WITH " AND lsn < ?3 "
        "UNION ALL "
        "SELECT " ROW_OF_PARENT ", 1 "
        "FROM segment CROSS JOIN ended_parent INDEXED BY ended_parent_tail "
        "WHERE lsn >> 16 = n AND " ENDS_WITH " AND lsn < ?3 "
        "ORDER BY 1 DESC "
        "LIMIT ?4",
    [STORE_FIND_LAST] =
        "SELECT " ROW_OF_RUN ", 0 "
        "FROM ended_run INDEXED BY ended_run_started "
        "WHERE principal = ?1 AND parent IS NULL AND run < ?2 "
        "UNION ALL "
        "SELECT " ROW_OF_PARENT ", 1 "
        "FROM ended_parent INDEXED BY ended_parent_started "
        "WHERE principal = ?1 AND parent IS NULL AND run < ?2 "
        "ORDER BY 2 DESC "
        "LIMIT ?4",
    [STORE_FIND_FAILED] =
        "SELECT " ROW_OF_RUN ", 0 "
        "FROM ended_run INDEXED BY ended_run_failed "
        "WHERE status <> 7 AND lsn < ?3 "
        "ORDER BY 1 DESC "
        "LIMIT ?4",
};
/* clang-format on */

/* ---- The text */
static bool is_digit_of_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int parse_tail(struct span text, char *tail)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c == '-')
            continue;
        if (!is_digit_of_hex(c) || n == STORE_TAIL_MAX)
            return -EINVAL;
        tail[n++] = (char)(c >= 'a' ? c - 'a' + 'A' : c);
    }
    tail[n] = 0;
    return n < STORE_TAIL_MIN ? -EINVAL : 0;
}

int store_find_parse(struct span text, struct store_find *ret, struct error *err)
{
    struct store_find f = {.by = STORE_FIND_TAIL};
    if (span_eq(text, span_str("last")))
        f.by = STORE_FIND_LAST;
    else if (span_eq(text, span_str("last-failed")))
        f.by = STORE_FIND_FAILED;
    else if (parse_tail(text, f.tail) < 0)
        return error_set(err, -EINVAL,
                         "'%.*s' is not a run: give its id, the last %d or more characters of it, "
                         "last or last-failed",
                         SPAN_ARG(text), STORE_TAIL_MIN);
    *ret = f;
    return 0;
}

static void digits_of(struct id run, char out[2 * sizeof run + 1])
{
    hex_format(run.b, sizeof run.b, out);
    for (; *out; out++)
        if (*out >= 'a')
            *out = (char)(*out - 'a' + 'A');
}

bool store_find_is(const struct store_find *f, struct id run)
{
    char digits[2 * sizeof run + 1];
    size_t n = strlen(f->tail);
    digits_of(run, digits);
    return n >= STORE_TAIL_MIN && !strcmp(digits + strlen(digits) - n, f->tail);
}

/* ---- The search */
static bool bind(sqlite3_stmt *st, const struct store_find *f, unsigned most, uint8_t *last_bytes)
{
    size_t n = strlen(f->tail);
    uint64_t lsn = f->after.lsn;
    static const struct id greatest = {{0xff}}; /* ids begin with their time, which is lower */
    switch (f->by) {
    case STORE_FIND_TAIL:
        if (n < STORE_TAIL_MIN || hex_parse(f->tail + n - STORE_TAIL_MIN, last_bytes, TAIL_BYTES))
            return false;
        db_bind_bytes(st, 1, last_bytes, TAIL_BYTES);
        db_bind_span(st, 2, span_str(f->tail));
        break;
    case STORE_FIND_LAST: {
        const struct id *before = id_is_zero(f->after.run) ? &greatest : &f->after.run;
        db_bind_span(st, 1, span_str(f->principal ? f->principal : ""));
        db_bind_bytes(st, 2, before->b, sizeof before->b);
        break;
    }
    case STORE_FIND_FAILED:
        break;
    }
    if (f->by != STORE_FIND_LAST)
        sqlite3_bind_int64(st, 3, lsn ? (int64_t)lsn : INT64_MAX);
    sqlite3_bind_int64(st, 4, most);
    return true;
}

void find_answer(struct history *h, const struct store_question *q, struct answer *a)
{
    const struct store_find *f = &q->find;
    uint8_t last_bytes[TAIL_BYTES]; /* lent to the statement */
    sqlite3_stmt *st = db_statement(h->db, &h->find[f->by], SQL[f->by], &a->public.err);
    int rc = SQLITE_DONE;
    if (!st) {
        a->public.rc = a->public.err.code;
        return;
    }
    if (bind(st, f, q->most, last_bytes))
        while ((rc = sqlite3_step(st)) == SQLITE_ROW)
            answer_add_row(a, st)->is_parent = sqlite3_column_int(st, ROW_COLUMNS);
    if (rc != SQLITE_DONE)
        a->public.rc = db_error(h->db, rc, "looking up a run", &a->public.err);
    sqlite3_reset(st);
}
