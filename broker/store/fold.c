/* fold.c - moves the boundary between what a restart replays and history, a few records at a time.
 *
 * The records of a step are grouped by run. A run whose end is among them gets its row of history
 * and leaves `live`; the records of other runs join `live`. A short run begins and ends within one
 * step and never touches `live`. Among records that belong to no run, a later one replaces the
 * earlier one with the same entity. */
#include <errno.h>
#include <string.h>

#include "broker/store/inside.h"
#include "common/hashtable.h"

/* clang-format off */
static const char *const SQL[FOLD_STATEMENTS] = {
    [FOLD_READ] = "SELECT lsn, body FROM journal WHERE lsn > ?1 ORDER BY lsn LIMIT ?2",
    [FOLD_LIVE_ADD] = "INSERT INTO live VALUES (?1, ?2)",
    [FOLD_LIVE_OF] =
        "SELECT j.lsn, j.body "
        "FROM live l JOIN journal j ON j.lsn = l.lsn "
        "WHERE l.entity = ?1 "
        "ORDER BY l.lsn",
    [FOLD_LIVE_DROP] = "DELETE FROM live WHERE entity = ?1",
    [FOLD_LIVE_HAS] = "SELECT 1 FROM live WHERE entity = ?1 LIMIT 1",
    /* the columns as row.c binds them */
    [FOLD_RUN_ADD] =
        ("INSERT INTO ended_run "
         "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, "
         "?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)"),
    [FOLD_RUN_LATE] = "UPDATE ended_run SET lsns = CAST(lsns || ?2 AS BLOB) WHERE run = ?1",
    [FOLD_PARENT_ADD] =
        ("INSERT INTO ended_parent "
         "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"),
    [FOLD_LOOSE_ADD] = "INSERT OR REPLACE INTO loose VALUES (?1, ?2, ?3, ?4)",
};
/* clang-format on */

struct fold_run { /* the records of one run within the step */
    struct id run;
    unsigned first, last;
    bool begins, ends;
    UT_hash_handle hh;
};

struct step {
    struct folder *f;
    struct error *err;
    struct buf bytes;
    struct record *v;
    unsigned *next; /* of the same run: index + 1; 0: none */
    unsigned n;
    struct fold_run *groups; /* hash by run */
};

static sqlite3_stmt *statement(struct folder *f, enum fold_statement which, struct error *err)
{
    return db_statement(f->db, &f->st[which], SQL[which], err);
}

void fold_free(struct folder *f)
{
    db_finalize(f->st, FOLD_STATEMENTS);
    held_free(&f->held);
}

/* Reads up to `most` records, or FOLD_STEP_BYTES of them, but at least one. */
static int read_records(struct step *s, unsigned most)
{
    sqlite3_stmt *st = statement(s->f, FOLD_READ, s->err);
    size_t at[FOLD_STEP + 1];
    uint64_t lsn[FOLD_STEP];
    unsigned n = 0;
    int rc, result = 0;
    if (!st)
        return s->err ? s->err->code : -EIO;
    sqlite3_bind_int64(st, 1, (int64_t)s->f->folded);
    sqlite3_bind_int64(st, 2, most);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW && n < most) {
        struct span body = db_bytes(st, 1);
        at[n] = s->bytes.n;
        lsn[n++] = (uint64_t)sqlite3_column_int64(st, 0);
        buf_add(&s->bytes, body.p, body.n);
        at[n] = s->bytes.n;
        if (s->bytes.n >= FOLD_STEP_BYTES) {
            rc = SQLITE_DONE;
            break;
        }
    }
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        result = db_error(s->f->db, rc, "reading the journal", s->err);
    sqlite3_reset(st);
    s->n = n;
    s->v = mem_zalloc(n, sizeof *s->v);
    s->next = mem_zalloc(n, sizeof *s->next);
    for (unsigned i = 0; i < n && result == 0; i++)
        result =
            record_read(lsn[i], span_of(s->bytes.p + at[i], at[i + 1] - at[i]), &s->v[i], s->err);
    return result;
}

static void gather(struct step *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        struct fold_run *g = NULL;
        if (id_is_zero(s->v[i].run))
            continue;
        HASH_FIND(hh, s->groups, &s->v[i].run, sizeof(struct id), g);
        if (!g) {
            g = mem_zalloc(1, sizeof *g);
            g->run = s->v[i].run;
            g->first = i;
            HASH_ADD(hh, s->groups, run, sizeof(struct id), g);
        } else {
            s->next[g->last] = i + 1;
        }
        g->last = i;
        g->begins |= s->v[i].begins;
        g->ends |= s->v[i].ends;
    }
}

/* ---- What may be dropped some day */
static int add_loose(struct step *s, const struct record *r, enum held_kind kind)
{
    sqlite3_stmt *st = statement(s->f, FOLD_LOOSE_ADD, s->err);
    int64_t bytes = held_record_bytes(r->body.n);
    if (!st)
        return s->err ? s->err->code : -EIO;
    sqlite3_bind_int64(st, 1, (int64_t)r->lsn);
    sqlite3_bind_int64(st, 2, kind);
    db_bind_span(st, 3, r->owner);
    sqlite3_bind_int64(st, 4, bytes);
    held_add(&s->f->held, kind, r->owner, bytes);
    return db_run(s->f->db, st, s->err);
}

/* The records of a run that has ended count for its principal, evidence among them for its
 * server. */
static int account(struct step *s, const struct record *v, unsigned n)
{
    struct span owner = SPAN_NONE;
    int64_t bytes = 0;
    int rc = 0;
    for (unsigned i = 0; i < n && rc == 0; i++) {
        if (v[i].begins)
            owner = v[i].owner;
        if (v[i].kind == KIND_R_EVIDENCE)
            rc = add_loose(s, &v[i], HELD_EVIDENCE);
        else
            bytes += held_record_bytes(v[i].body.n) + (v[i].ends ? held_row_bytes(v[i].body.n) : 0);
    }
    held_add(&s->f->held, HELD_RUNS, owner, bytes);
    return rc;
}

/* ---- live */
static int run_on_entity(struct step *s, enum fold_statement which, const void *entity, size_t n,
                         uint64_t lsn)
{
    sqlite3_stmt *st = statement(s->f, which, s->err);
    if (!st)
        return s->err ? s->err->code : -EIO;
    if (which == FOLD_LIVE_ADD) {
        sqlite3_bind_int64(st, 1, (int64_t)lsn);
        db_bind_bytes(st, 2, entity, n);
    } else {
        db_bind_bytes(st, 1, entity, n);
    }
    return db_run(s->f->db, st, s->err);
}

static int live_has(struct step *s, struct id run, bool *ret)
{
    sqlite3_stmt *st = statement(s->f, FOLD_LIVE_HAS, s->err);
    if (!st)
        return s->err ? s->err->code : -EIO;
    db_bind_bytes(st, 1, run.b, sizeof run.b);
    int rc = sqlite3_step(st);
    *ret = rc == SQLITE_ROW;
    int result =
        rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : db_error(s->f->db, rc, "reading live", s->err);
    sqlite3_reset(st);
    return result;
}

/* The records in `live`, from earlier steps, of a run or of what a decision is about. */
static int read_live(struct step *s, struct span entity, struct record **v, unsigned *n,
                     struct buf *bytes)
{
    sqlite3_stmt *st = statement(s->f, FOLD_LIVE_OF, s->err);
    struct {
        uint64_t lsn;
        size_t at, size;
    } *seen = NULL;
    int rc, result = 0;
    if (!st)
        return s->err ? s->err->code : -EIO;
    db_bind_bytes(st, 1, entity.p, entity.n);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        struct span body = db_bytes(st, 1);
        seen = mem_realloc(seen, *n + 1, sizeof *seen);
        seen[*n].lsn = (uint64_t)sqlite3_column_int64(st, 0);
        seen[*n].at = bytes->n;
        seen[(*n)++].size = body.n;
        buf_add(bytes, body.p, body.n);
    }
    if (rc != SQLITE_DONE)
        result = db_error(s->f->db, rc, "reading live", s->err);
    sqlite3_reset(st);
    *v = mem_zalloc(*n, sizeof **v);
    for (unsigned i = 0; i < *n && result == 0; i++)
        result = record_read(seen[i].lsn, span_of(bytes->p + seen[i].at, seen[i].size), &(*v)[i],
                             s->err);
    mem_free(&seen);
    return result;
}

static int fold_ended(struct step *s, const struct fold_run *g)
{
    struct record *all = NULL;
    struct buf bytes = {0};
    unsigned n = 0;
    int rc = g->begins ? 0 : read_live(s, span_of(g->run.b, sizeof g->run.b), &all, &n, &bytes);
    for (unsigned i = g->first + 1; i; i = s->next[i - 1]) {
        all = mem_realloc(all, n + 1, sizeof *all);
        all[n++] = s->v[i - 1];
    }
    bool parent = n && all[0].kind == KIND_R_PARENT_BEGUN;
    sqlite3_stmt *st =
        rc == 0 ? statement(s->f, parent ? FOLD_PARENT_ADD : FOLD_RUN_ADD, s->err) : NULL;
    if (rc == 0)
        rc = !st ? (s->err ? s->err->code : -EIO)
                 : (parent ? row_of_parent : row_of_run)(s->f->db, st, all, n, s->err);
    if (rc == 0)
        rc = account(s, all, n);
    if (rc == 0 && !g->begins)
        rc = run_on_entity(s, FOLD_LIVE_DROP, g->run.b, sizeof g->run.b, 0);
    mem_free(&all);
    buf_free(&bytes);
    return rc;
}

/* Records after a run's end are listed in its row. If there is none, or it is a parent's, they
 * belong to nothing. */
static int fold_late(struct step *s, const struct fold_run *g)
{
    sqlite3_stmt *st = statement(s->f, FOLD_RUN_LATE, s->err);
    struct buf lsns = {0};
    if (!st)
        return s->err ? s->err->code : -EIO;
    for (unsigned i = g->first + 1; i; i = s->next[i - 1])
        buf_add(&lsns, &s->v[i - 1].lsn, 8);
    db_bind_bytes(st, 1, g->run.b, sizeof g->run.b);
    db_bind_bytes(st, 2, lsns.p, lsns.n);
    int rc = db_run(s->f->db, st, s->err);
    bool listed = sqlite3_changes(s->f->db);
    for (unsigned i = g->first + 1; i && rc == 0; i = s->next[i - 1]) {
        const struct record *r = &s->v[i - 1];
        if (r->kind == KIND_R_EVIDENCE || !listed)
            rc = add_loose(s, r, r->kind == KIND_R_EVIDENCE ? HELD_EVIDENCE : HELD_EVENTS);
    }
    buf_free(&lsns);
    return rc;
}

static int fold_group(struct step *s, const struct fold_run *g)
{
    if (g->ends)
        return fold_ended(s, g);
    bool live = g->begins;
    int rc = live ? 0 : live_has(s, g->run, &live);
    if (rc == 0 && !live)
        return fold_late(s, g);
    for (unsigned i = g->first + 1; i && rc == 0; i = s->next[i - 1])
        rc = run_on_entity(s, FOLD_LIVE_ADD, g->run.b, sizeof g->run.b, s->v[i - 1].lsn);
    return rc;
}

/* What this decision replaces is of no use to a restart any more. */
static int replace(struct step *s, const struct record *r)
{
    struct record *old = NULL;
    struct buf bytes = {0};
    unsigned n = 0;
    int rc = read_live(s, span_of(r->entity, r->entity_n), &old, &n, &bytes);
    for (unsigned i = 0; i < n && rc == 0; i++)
        rc = add_loose(s, &old[i], HELD_EVENTS);
    if (rc == 0 && n)
        rc = run_on_entity(s, FOLD_LIVE_DROP, r->entity, r->entity_n, 0);
    mem_free(&old);
    buf_free(&bytes);
    return rc < 0 ? rc : run_on_entity(s, FOLD_LIVE_ADD, r->entity, r->entity_n, r->lsn);
}

static int fold_others(struct step *s)
{
    int rc = 0;
    for (unsigned i = 0; i < s->n && rc == 0; i++) {
        const struct record *r = &s->v[i];
        if (id_is_zero(r->run))
            rc = r->passing ? add_loose(s, r, HELD_EVENTS) : replace(s, r);
    }
    return rc;
}

int fold_step(struct folder *f, unsigned most, unsigned *ret_n, struct error *err)
{
    struct step s = {.f = f, .err = err};
    struct fold_run *g, *next;
    f->held.n = 0; /* of a step that was rolled back */
    int rc = read_records(&s, most);
    if (rc == 0) {
        gather(&s);
        rc = fold_others(&s);
    }
    HASH_ITER (hh, s.groups, g, next) {
        if (rc == 0)
            rc = fold_group(&s, g);
        HASH_DEL(s.groups, g);
        mem_free(&g);
    }
    if (rc == 0)
        rc = held_write(&f->held, f->db, err);
    if (rc == 0 && s.n)
        rc = db_meta_set(f->db, "folded", s.v[s.n - 1].lsn, err);
    if (rc == 0 && s.n)
        f->folded = s.v[s.n - 1].lsn;
    *ret_n = s.n;
    mem_free(&s.v);
    mem_free(&s.next);
    buf_free(&s.bytes);
    return rc;
}
