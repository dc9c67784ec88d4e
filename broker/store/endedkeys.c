/* endedkeys.c - the keys of what has ended, oldest first: for a broker that has just started, whose
 * memory begins later. */
#include "broker/store/inside.h"

/* A row that retention drops becomes an ended_key with the same lsn, so whenever a step comes, it
 * finds each key that still answers in one of the three. */
/* clang-format off */
static const char SQL[] =
    "SELECT lsn, principal, key, 0 FROM ended_run WHERE lsn > ?1 AND lsn <= ?2 "
    "UNION ALL "
    "SELECT lsn, principal, key, 1 FROM ended_parent WHERE lsn > ?1 AND lsn <= ?2 "
    "UNION ALL "
    "SELECT lsn, principal, key, parent FROM ended_key WHERE lsn > ?1 AND lsn <= ?2 "
    "ORDER BY 1 "
    "LIMIT ?3";
/* clang-format on */

static void add_key(struct answer *a, sqlite3_stmt *st)
{
    if (a->public.n_keys == a->cap_keys) {
        a->cap_keys = a->cap_keys ? a->cap_keys * 2 : 64;
        a->keys = mem_realloc(a->keys, a->cap_keys, sizeof *a->keys);
    }
    a->keys[a->public.n_keys++] =
        (struct store_ended_key){.principal = answer_keep(a, db_bytes(st, 1)),
                                 .key = answer_keep(a, db_bytes(st, 2)),
                                 .parent = sqlite3_column_int(st, 3)};
}

bool endedkeys_answer(struct history *h, const struct store_question *q, struct answer *a)
{
    sqlite3_stmt *st = db_statement(h->db, &h->ended_keys, SQL, &a->public.err);
    unsigned n = 0, most = q->most - a->public.n_keys;
    int rc;
    if (!st) {
        a->public.rc = a->public.err.code;
        return true;
    }
    if (most > STORE_STEP_ROWS)
        most = STORE_STEP_ROWS;
    sqlite3_bind_int64(st, 1, (int64_t)(a->at ? a->at : q->after));
    sqlite3_bind_int64(st, 2, (int64_t)q->upto);
    sqlite3_bind_int64(st, 3, most);
    for (; (rc = sqlite3_step(st)) == SQLITE_ROW; n++) {
        a->at = (uint64_t)sqlite3_column_int64(st, 0);
        add_key(a, st);
    }
    if (rc != SQLITE_DONE)
        a->public.rc = db_error(h->db, rc, "reading keys", &a->public.err);
    sqlite3_reset(st);
    a->public.next = n == most ? a->at : 0;
    return n < most || a->public.n_keys == q->most;
}

/* As with records, spans hold offsets into the arena until no step follows. */
void endedkeys_settle(struct answer *a)
{
    for (unsigned i = 0; i < a->public.n_keys; i++) {
        a->keys[i].principal.p = a->arena.p + (uintptr_t)a->keys[i].principal.p;
        a->keys[i].key.p = a->arena.p + (uintptr_t)a->keys[i].key.p;
    }
    a->public.keys = a->keys;
}
