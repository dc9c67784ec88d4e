/* drop.c - retention: drops a few rows at a time, what is older than the retention first.
 *
 * By size, each kind has a share of history_size, and evidence, notes and events that exceed theirs
 * go before any history. Within a kind the owner that holds most loses its oldest, down to what the
 * next one holds: so nobody's records push out those of one who holds less. What is live is not in
 * the accounts (held.c) and never dropped; neither is the audit, nor a key that still answers: that
 * stays as a narrow row. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/store/inside.h"
#include "common/clock.h"

/* Percent of history_size; history may use all that the others leave. */
static const unsigned SHARE[HELD_KINDS] = {
    [HELD_EVIDENCE] = 5, /* results that do not count: for a person who looks into a trouble */
    [HELD_NOTES] = 5,    /* denials and the like: who is denied much fills only this */
    [HELD_EVENTS] = 10   /* servers that came and went, decisions that others have replaced */
};
static const enum held_kind BY_SIZE[] = {HELD_EVIDENCE, HELD_NOTES, HELD_EVENTS};

enum drop_statement {
    DROP_TOTALS,
    DROP_LARGEST,
    DROP_NOTHING_HELD,
    DROP_RUNS_OF,
    DROP_RUNS_OLD,
    DROP_LOOSE_OF,
    DROP_LOOSE_OLD,
    DROP_NOTES_OF,
    DROP_NOTES_OLD,
    DROP_RUN_ROW,
    DROP_PARENT_ROW,
    DROP_RUN_KEY,
    DROP_PARENT_KEY,
    DROP_RUN,
    DROP_PARENT,
    DROP_RECORD,
    DROP_LOOSE,
    DROP_NOTE,
    DROP_KEYS_OLD,
    DROP_SAY,
    DROP_SAY_MORE,
    DROP_STATEMENTS_USED
};
_Static_assert((int)DROP_STATEMENTS_USED == (int)DROP_STATEMENTS,
               "struct dropper has a slot for each");
_Static_assert(DROP_STEP == 200, "the statements say it in digits");

/* clang-format off */
#define NOTE_BYTES \
    "100 + 2 * length(CAST(by AS BLOB)) + length(CAST(verb AS BLOB)) " \
    "+ length(CAST(target AS BLOB)) + length(CAST(reason AS BLOB))"

/* The lists yield number, kind, owner, bytes, time and, of history, whether it is a parent. The
 * oldest have the lowest numbers; times may be out of order where the clock was set. */
static const char *const SQL[DROP_STATEMENTS] = {
    [DROP_TOTALS] = "SELECT kind, sum(bytes) FROM held GROUP BY kind",
    [DROP_LARGEST] =
        "SELECT owner, bytes FROM held WHERE kind = ?1 ORDER BY bytes DESC, owner LIMIT 2",
    [DROP_NOTHING_HELD] = "DELETE FROM held WHERE kind = ?1 AND owner = ?2",
    [DROP_RUNS_OF] =
        "SELECT * FROM (SELECT lsn, 1, ?1, 0, ended_at, 0 "
        "               FROM ended_run INDEXED BY ended_run_owner "
        "               WHERE principal = ?1 ORDER BY lsn LIMIT 200) "
        "UNION ALL "
        "SELECT * FROM (SELECT lsn, 1, ?1, 0, ended_at, 1 "
        "               FROM ended_parent INDEXED BY ended_parent_owner "
        "               WHERE principal = ?1 ORDER BY lsn LIMIT 200) "
        "ORDER BY 1 LIMIT 200",
    [DROP_RUNS_OLD] =
        "SELECT e.lsn, 1, '', 0, j.at, 0 "
        "FROM (SELECT lsn FROM ended_run ORDER BY lsn LIMIT 200) e "
        "JOIN journal j ON j.lsn = e.lsn "
        "WHERE j.at < ?1 "
        "UNION ALL "
        "SELECT lsn, 1, '', 0, ended_at, 1 "
        "FROM (SELECT lsn, ended_at FROM ended_parent ORDER BY lsn LIMIT 200) "
        "WHERE ended_at < ?1",
    [DROP_LOOSE_OF] =
        "SELECT lsn, kind, owner, bytes, "
        "       (SELECT at FROM journal WHERE journal.lsn = loose.lsn), 0 "
        "FROM loose INDEXED BY loose_owner "
        "WHERE kind = ?2 AND owner = ?1 ORDER BY lsn LIMIT 200",
    [DROP_LOOSE_OLD] =
        "SELECT l.lsn, l.kind, l.owner, l.bytes, j.at, 0 "
        "FROM (SELECT * FROM loose ORDER BY lsn LIMIT 200) l JOIN journal j ON j.lsn = l.lsn "
        "WHERE j.at < ?1",
    [DROP_NOTES_OF] =
        "SELECT id, 4, by, " NOTE_BYTES ", at, 0 FROM notes INDEXED BY notes_owner "
        "WHERE by = ?1 ORDER BY id LIMIT 200",
    [DROP_NOTES_OLD] =
        "SELECT id, 4, by, " NOTE_BYTES ", at, 0 "
        "FROM (SELECT * FROM notes ORDER BY id LIMIT 200) "
        "WHERE at < ?1",
    [DROP_RUN_ROW] = "SELECT principal, lsns FROM ended_run WHERE lsn = ?1",
    [DROP_PARENT_ROW] = "SELECT principal, lsns FROM ended_parent WHERE lsn = ?1",
    [DROP_RUN_KEY] =
        "INSERT OR REPLACE INTO ended_key "
        "SELECT e.lsn, j.at, e.run, e.principal, e.key, e.digest, e.attempt, e.reported, 0 "
        "FROM ended_run e JOIN journal j ON j.lsn = e.lsn "
        "WHERE e.lsn = ?1 AND j.at >= ?2",
    [DROP_PARENT_KEY] =
        "INSERT OR REPLACE INTO ended_key "
        "SELECT lsn, ended_at, run, principal, key, digest, 0, 0, 1 "
        "FROM ended_parent "
        "WHERE lsn = ?1 AND ended_at >= ?2",
    [DROP_RUN] = "DELETE FROM ended_run WHERE lsn = ?1",
    [DROP_PARENT] = "DELETE FROM ended_parent WHERE lsn = ?1",
    [DROP_RECORD] = "DELETE FROM journal WHERE lsn = ?1 RETURNING kind, length(body)",
    [DROP_LOOSE] = "DELETE FROM loose WHERE lsn = ?1 RETURNING owner, bytes",
    [DROP_NOTE] = "DELETE FROM notes WHERE id = ?1",
    [DROP_KEYS_OLD] =
        ("DELETE FROM ended_key "
         "WHERE lsn IN (SELECT lsn FROM ended_key ORDER BY lsn LIMIT 200) AND at < ?1"),
    [DROP_SAY] =
        "INSERT INTO notes (at, by, verb, target, reason) VALUES (?1, 'broker', 'dropped', ?2, ?3)",
    [DROP_SAY_MORE] = "UPDATE notes SET at = ?1, reason = ?3 WHERE id = ?4",
};
/* clang-format on */

/* One of the rows that a step drops. */
struct drop_row {
    int64_t number, bytes, at;
    enum held_kind kind;
    bool is_parent;
    char owner[LIMIT_NAME + 1];
};

struct drop_work {
    struct dropper *d;
    const struct drop_rule *rule;
    struct drop_row row[2 * DROP_STEP];
    unsigned n;
    struct error *err;
};

static sqlite3_stmt *statement(struct drop_work *w, enum drop_statement which)
{
    return db_statement(w->d->db, &w->d->st[which], SQL[which], w->err);
}

/* ---- Which */
/* *ret: what each kind holds; [0]: all together. */
static int totals(struct drop_work *w, uint64_t ret[HELD_KINDS])
{
    sqlite3_stmt *st = statement(w, DROP_TOTALS);
    int rc;
    memset(ret, 0, HELD_KINDS * sizeof *ret);
    if (!st)
        return w->err->code;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        int kind = sqlite3_column_int(st, 0);
        uint64_t bytes = (uint64_t)sqlite3_column_int64(st, 1);
        ret[0] += bytes;
        if (kind > 0 && kind < HELD_KINDS)
            ret[kind] = bytes;
    }
    sqlite3_reset(st);
    return rc == SQLITE_DONE ? 0 : db_error(w->d->db, rc, "reading what is held", w->err);
}

/* Who holds most of this kind, and how much of it may go before the next one holds as much. */
static int most(struct drop_work *w, enum held_kind kind, char owner[LIMIT_NAME + 1],
                uint64_t *ret_more)
{
    sqlite3_stmt *st = statement(w, DROP_LARGEST);
    uint64_t bytes[2] = {0};
    int rc = SQLITE_DONE;
    if (!st)
        return w->err->code;
    sqlite3_bind_int(st, 1, kind);
    for (unsigned i = 0; i < 2 && (rc = sqlite3_step(st)) == SQLITE_ROW; i++) {
        bytes[i] = (uint64_t)sqlite3_column_int64(st, 1);
        if (i == 0)
            span_copy_str(db_bytes(st, 0), owner, LIMIT_NAME + 1);
    }
    sqlite3_reset(st);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        return db_error(w->d->db, rc, "reading what is held", w->err);
    /* equals take turns in steps that are worth while */
    uint64_t more = bytes[0] - bytes[1], least = bytes[0] / 16;
    *ret_more = more > least ? more : least;
    return 0;
}

static int list(struct drop_work *w, enum drop_statement which, const char *owner, int64_t number)
{
    sqlite3_stmt *st = statement(w, which);
    int rc;
    if (!st)
        return w->err->code;
    if (owner)
        db_bind_span(st, 1, span_str(owner));
    sqlite3_bind_int64(st, owner ? 2 : 1, number);
    while ((rc = sqlite3_step(st)) == SQLITE_ROW && w->n < 2 * DROP_STEP) {
        struct drop_row *r = &w->row[w->n++];
        *r = (struct drop_row){.number = sqlite3_column_int64(st, 0),
                               .kind = (enum held_kind)sqlite3_column_int(st, 1),
                               .bytes = sqlite3_column_int64(st, 3),
                               .at = sqlite3_column_int64(st, 4),
                               .is_parent = sqlite3_column_int(st, 5)};
        span_copy_str(db_bytes(st, 2), r->owner, sizeof r->owner);
    }
    sqlite3_reset(st);
    return rc == SQLITE_DONE || rc == SQLITE_ROW
               ? 0
               : db_error(w->d->db, rc, "reading what is old", w->err);
}

/* ---- Dropping one row. *ret: the bytes that it held. */
static int run_number(struct drop_work *w, enum drop_statement which, int64_t number, int64_t since)
{
    sqlite3_stmt *st = statement(w, which);
    if (!st)
        return w->err->code;
    sqlite3_bind_int64(st, 1, number);
    if (sqlite3_bind_parameter_count(st) > 1)
        sqlite3_bind_int64(st, 2, since);
    return db_run(w->d->db, st, w->err);
}

/* It is evidence: its server held it. */
static int drop_loose(struct drop_work *w, int64_t lsn)
{
    sqlite3_stmt *st = statement(w, DROP_LOOSE);
    if (!st)
        return w->err->code;
    sqlite3_bind_int64(st, 1, lsn);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        held_add(&w->d->held, HELD_EVIDENCE, db_bytes(st, 0), -sqlite3_column_int64(st, 1));
    sqlite3_reset(st);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : db_error(w->d->db, rc, "dropping", w->err);
}

static int drop_record(struct drop_work *w, int64_t lsn, int64_t end, int64_t *ret)
{
    sqlite3_stmt *st = statement(w, DROP_RECORD);
    bool evidence = false;
    if (!st)
        return w->err->code;
    sqlite3_bind_int64(st, 1, lsn);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        size_t n = (size_t)sqlite3_column_int64(st, 1);
        evidence = sqlite3_column_int(st, 0) == KIND_R_EVIDENCE;
        *ret += evidence ? 0 : held_record_bytes(n) + (lsn == end ? held_row_bytes(n) : 0);
    }
    sqlite3_reset(st);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return db_error(w->d->db, rc, "dropping", w->err);
    return evidence ? drop_loose(w, lsn) : 0;
}

static int drop_history(struct drop_work *w, struct drop_row *r)
{
    sqlite3_stmt *st = statement(w, r->is_parent ? DROP_PARENT_ROW : DROP_RUN_ROW);
    struct buf lsns = {0};
    int64_t lsn;
    if (!st)
        return w->err->code;
    sqlite3_bind_int64(st, 1, r->number);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW) {
        struct span s = db_bytes(st, 1);
        span_copy_str(db_bytes(st, 0), r->owner, sizeof r->owner);
        buf_add(&lsns, s.p, s.n);
    }
    sqlite3_reset(st);
    rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : db_error(w->d->db, rc, "dropping", w->err);
    if (rc == 0)
        rc = run_number(w, r->is_parent ? DROP_PARENT_KEY : DROP_RUN_KEY, r->number,
                        w->rule->now - (int64_t)w->rule->kept_ms);
    for (size_t at = 0; at + 8 <= lsns.n && rc == 0; at += 8) {
        memcpy(&lsn, lsns.p + at, 8);
        rc = drop_record(w, lsn, r->number, &r->bytes);
    }
    buf_free(&lsns);
    return rc < 0 ? rc : run_number(w, r->is_parent ? DROP_PARENT : DROP_RUN, r->number, 0);
}

static int drop_row(struct drop_work *w, struct drop_row *r)
{
    int64_t of_record = 0;
    int rc;
    if (r->kind == HELD_RUNS) {
        rc = drop_history(w, r);
    } else if (r->kind == HELD_NOTES) {
        rc = run_number(w, DROP_NOTE, r->number, 0);
    } else {
        rc = run_number(w, DROP_LOOSE, r->number, 0);
        if (rc == 0)
            rc = drop_record(w, r->number, 0, &of_record);
    }
    if (rc == 0)
        held_add(&w->d->held, r->kind, span_str(r->owner), -r->bytes);
    return rc;
}

/* ---- What was dropped is said in a note, which is brought up to date for an hour. */
static struct dropped *told_of(struct dropper *d, enum held_kind kind, const char *owner,
                               bool by_size, int64_t now)
{
    struct dropped *t = d->told;
    for (unsigned i = 0; i < DROP_TOLD_MAX; i++) {
        if (d->told[i].note && d->told[i].kind == kind && d->told[i].by_size == by_size &&
            strcmp(d->told[i].owner, owner) == 0 && now - d->told[i].since < DROP_TELL_MS)
            return &d->told[i];
        if (d->told[i].since < t->since)
            t = &d->told[i];
    }
    *t = (struct dropped){.kind = kind, .by_size = by_size, .since = now};
    memcpy(t->owner, owner, strlen(owner) + 1);
    return t;
}

/* Writes the note, or brings it up to date; one that has been dropped itself is written anew. */
static int write_note(struct drop_work *w, struct dropped *t, const char *reason)
{
    struct dropper *d = w->d;
    for (;;) {
        bool fresh = !t->note;
        sqlite3_stmt *st = statement(w, fresh ? DROP_SAY : DROP_SAY_MORE);
        if (!st)
            return w->err->code;
        sqlite3_bind_int64(st, 1, w->rule->now);
        db_bind_span(st, 2, span_str(held_word(t->kind)));
        db_bind_span(st, 3, span_str(reason));
        if (!fresh)
            sqlite3_bind_int64(st, 4, t->note);
        int rc = db_run(d->db, st, w->err);
        if (rc < 0)
            return rc;
        if (fresh) {
            t->note = sqlite3_last_insert_rowid(d->db);
            held_add(&d->held, HELD_NOTES, span_str("broker"), 100 + (int64_t)strlen(reason));
            return 0;
        }
        if (sqlite3_changes(d->db))
            return 0;
        t->note = 0;
    }
}

static int say(struct drop_work *w, const struct drop_row *r, unsigned n, bool by_size)
{
    struct dropped *t = told_of(w->d, r->kind, by_size ? r->owner : "", by_size, w->rule->now);
    char reason[200], upto[CLOCK_TEXT];
    t->n += n;
    t->upto = r->at > t->upto ? r->at : t->upto;
    snprintf(reason, sizeof reason, "%llu %s%s, up to %s: %s", (unsigned long long)t->n,
             by_size ? "of " : "of all",
             by_size ? (*r->owner ? r->owner : "the time before schema 3") : "",
             clock_format(t->upto, upto),
             by_size ? "the most of its kind when history_size was reached"
                     : "older than retention");
    return write_note(w, t, reason);
}

/* ---- A step */
/* What the broker says here is not worth saying when it goes, and would go on for ever. */
static bool is_told(const struct drop_row *r)
{
    return r->kind != HELD_NOTES || strcmp(r->owner, "broker") != 0;
}

/* Drops from the list, at least one row, until so many bytes are free. */
static int drop_list(struct drop_work *w, uint64_t bytes, bool by_size)
{
    uint64_t freed = 0;
    unsigned untold = 0;
    int rc = 0;
    for (unsigned i = 0; i < w->n && rc == 0 && (i == 0 || freed < bytes); i++) {
        struct drop_row *r = &w->row[i];
        rc = drop_row(w, r);
        freed += (uint64_t)r->bytes;
        untold += is_told(r);
        w->d->dropped[r->kind]++;
        bool last = i + 1 == w->n || freed >= bytes || w->row[i + 1].kind != r->kind;
        if (rc == 0 && last && untold) {
            rc = say(w, r, untold, by_size);
            untold = 0;
        }
    }
    return rc;
}

static int drop_by_size(struct drop_work *w, enum held_kind kind, uint64_t excess)
{
    char owner[LIMIT_NAME + 1] = "";
    uint64_t more = 0;
    int rc = most(w, kind, owner, &more);
    if (rc == 0)
        rc = list(w,
                  kind == HELD_RUNS    ? DROP_RUNS_OF
                  : kind == HELD_NOTES ? DROP_NOTES_OF
                                       : DROP_LOOSE_OF,
                  owner, kind);
    if (rc < 0 || w->n)
        return rc < 0 ? rc : drop_list(w, excess < more ? excess : more, true);
    /* the account is wrong: there is nothing left */
    sqlite3_stmt *st = statement(w, DROP_NOTHING_HELD);
    if (!st)
        return w->err->code;
    sqlite3_bind_int(st, 1, kind);
    db_bind_span(st, 2, span_str(owner));
    return db_run(w->d->db, st, w->err);
}

/* Which kind must shrink, and by how much; 0: none. */
static enum held_kind kind_to_shrink(const uint64_t held[HELD_KINDS], uint64_t history_bytes,
                                     uint64_t *ret_excess)
{
    for (unsigned i = 0; i < sizeof BY_SIZE / sizeof *BY_SIZE; i++) {
        uint64_t share = history_bytes / 100 * SHARE[BY_SIZE[i]];
        if (held[BY_SIZE[i]] > share) {
            *ret_excess = held[BY_SIZE[i]] - share;
            return BY_SIZE[i];
        }
    }
    *ret_excess = held[0] > history_bytes ? held[0] - history_bytes : 0;
    return *ret_excess ? HELD_RUNS : 0;
}

static int drop_by_age(struct drop_work *w)
{
    static const enum drop_statement OLD[] = {DROP_RUNS_OLD, DROP_LOOSE_OLD, DROP_NOTES_OLD};
    int64_t before = w->rule->now - (int64_t)w->rule->retention_ms;
    int rc = 0;
    for (unsigned i = 0; i < sizeof OLD / sizeof *OLD && rc == 0 && !w->n; i++)
        rc = list(w, OLD[i], NULL, before);
    return rc < 0 ? rc : drop_list(w, UINT64_MAX, false);
}

int drop_step(struct dropper *d, const struct drop_rule *rule, bool *ret_more, struct error *err)
{
    struct drop_work w = {.d = d, .rule = rule, .err = err};
    uint64_t excess = 0;
    int changes = sqlite3_total_changes(d->db);
    int rc = totals(&w, d->bytes);
    enum held_kind kind =
        rc == 0 && rule->history_bytes ? kind_to_shrink(d->bytes, rule->history_bytes, &excess) : 0;
    if (rc == 0 && rule->retention_ms)
        rc = drop_by_age(&w);
    if (rc == 0 && !w.n && kind)
        rc = drop_by_size(&w, kind, excess);
    if (rc == 0)
        rc = run_number(&w, DROP_KEYS_OLD, rule->now - (int64_t)rule->kept_ms, 0);
    if (rc == 0)
        rc = held_write(&d->held, d->db, err);
    if (rc < 0) { /* it is rolled back */
        d->held.n = 0;
        memset(d->told, 0, sizeof d->told);
    }
    *ret_more = sqlite3_total_changes(d->db) != changes;
    return rc;
}

void drop_free(struct dropper *d)
{
    db_finalize(d->st, DROP_STATEMENTS);
    held_free(&d->held);
}
