/* held.c - whose the bytes are that may be dropped. What a transaction adds and takes away is
 * summed up in memory and written once, so a fold costs one small row for each principal in it. */
#include <string.h>

#include "broker/store/inside.h"

/* How SQLite lays out a table: a row lies in one page with others, as many as fit, or has pages of
 * its own for all but its beginning. */
enum { ROW_HEAD = 40, PAGE = 4096, PAGE_ROOM = 4061, PAGE_KEPT = 489, OVERFLOW_ROOM = 4092 };

struct held_sum {
    enum held_kind kind;
    char owner[LIMIT_NAME + 1];
    int64_t bytes;
};

const char *held_word(enum held_kind kind)
{
    static const char *const words[HELD_KINDS] = {"", "history", "evidence", "events", "notes"};
    return words[kind];
}

int64_t held_record_bytes(size_t body)
{
    int64_t row = (int64_t)body + ROW_HEAD;
    if (row <= PAGE_ROOM)
        return PAGE / (PAGE_ROOM / row);
    return (row - PAGE_KEPT + OVERFLOW_ROOM - 1) / OVERFLOW_ROOM * PAGE + PAGE_KEPT;
}

int64_t held_row_bytes(size_t end)
{
    return 350 + (int64_t)end;
}

void held_add(struct held *h, enum held_kind kind, struct span owner, int64_t bytes)
{
    char name[LIMIT_NAME + 1];
    unsigned i = 0;
    span_copy_str(owner, name, sizeof name);
    while (i < h->n && (h->v[i].kind != kind || strcmp(h->v[i].owner, name) != 0))
        i++;
    if (i == h->n) {
        if (h->n == h->cap) {
            h->cap = h->cap ? 2 * h->cap : 16;
            h->v = mem_realloc(h->v, h->cap, sizeof *h->v);
        }
        h->v[h->n] = (struct held_sum){.kind = kind};
        memcpy(h->v[h->n++].owner, name, sizeof name);
    }
    h->v[i].bytes += bytes;
}

static int run_on(sqlite3 *db, sqlite3_stmt *st, const struct held_sum *s, struct error *err)
{
    if (!st)
        return err->code;
    sqlite3_bind_int64(st, 1, s->kind);
    db_bind_span(st, 2, span_str(s->owner));
    if (sqlite3_bind_parameter_count(st) > 2)
        sqlite3_bind_int64(st, 3, s->bytes);
    return db_run(db, st, err);
}

int held_write(struct held *h, sqlite3 *db, struct error *err)
{
    struct error mine = {0};
    int rc = 0;
    for (unsigned i = 0; i < h->n && rc == 0; i++) {
        sqlite3_stmt *add =
            db_statement(db, &h->st[0],
                         "INSERT INTO held VALUES (?1, ?2, max(?3, 0)) "
                         "ON CONFLICT (kind, owner) DO UPDATE SET bytes = max(bytes + ?3, 0)",
                         &mine);
        rc = run_on(db, add, &h->v[i], &mine);
        if (rc == 0 && h->v[i].bytes < 0)
            rc = run_on(db,
                        db_statement(db, &h->st[1],
                                     "DELETE FROM held WHERE kind = ?1 AND owner = ?2 "
                                     "AND bytes = 0",
                                     &mine),
                        &h->v[i], &mine);
    }
    if (rc < 0 && err)
        *err = mine;
    h->n = 0;
    return rc;
}

void held_free(struct held *h)
{
    db_finalize(h->st, 2);
    mem_free(&h->v);
}
