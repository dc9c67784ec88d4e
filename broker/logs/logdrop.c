/* logdrop.c - see logfile.h: what is too old, or too much, goes: the file at once, the rows of its
 * pieces in steps. What went is counted. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "broker/logs/inside.h"

const char *logfile_cause_text(enum logfile_cause why)
{
    static const char *const texts[] = {
        [LOGFILE_AGE] = "older than logs_retention",
        [LOGFILE_QUOTA] = "the most of all when logs_size was reached",
        [LOGFILE_SHARE] = "above this server's share of logs_size",
    };
    return texts[why < LOGFILE_CAUSES ? why : LOGFILE_AGE];
}

uint64_t logfile_dropped(const struct logfile *f, enum logfile_cause why)
{
    return f->dropped[why];
}

bool logfile_loss(struct logfile *f, const char *server, struct logfile_loss *ret)
{
    sqlite3_stmt *st = logfile_statement(f, LOGQ_LOSS);
    if (!st)
        return false;
    sqlite3_bind_text(st, 1, server, -1, SQLITE_STATIC);
    bool some = sqlite3_step(st) == SQLITE_ROW;
    if (some) {
        *ret = (struct logfile_loss){.bytes = (uint64_t)sqlite3_column_int64(st, 0),
                                     .until = sqlite3_column_int64(st, 1),
                                     .cause = (enum logfile_cause)sqlite3_column_int(st, 2)};
        snprintf(ret->server, sizeof ret->server, "%s", server);
    }
    sqlite3_reset(st);
    return some;
}

bool logfile_next_loss(struct logfile *f, int64_t before, int64_t now, struct logfile_loss *ret)
{
    for (struct logfile_server *s = f->servers; s; s = s->hh.next) {
        if (!s->untold.bytes || s->told > before)
            continue;
        *ret = s->untold;
        snprintf(ret->server, sizeof ret->server, "%s", s->name);
        s->untold = (struct logfile_loss){.bytes = 0};
        s->told = now;
        return true;
    }
    return false;
}

/* ---- Whose turn it is */
/* A segment, as its row has it. */
struct logdrop_segment {
    uint64_t id, bytes, pieces;
    int64_t last;
    struct logfile_server *of;
};

static void read_segment(struct logfile *f, sqlite3_stmt *st, struct logdrop_segment *ret)
{
    ret->id = 0;
    if (sqlite3_step(st) == SQLITE_ROW)
        *ret = (struct logdrop_segment){
            .id = (uint64_t)sqlite3_column_int64(st, 0),
            .bytes = (uint64_t)sqlite3_column_int64(st, 1),
            .pieces = (uint64_t)sqlite3_column_int64(st, 2),
            .last = sqlite3_column_int64(st, 3),
            .of = logfile_server_of(f, (const char *)sqlite3_column_text(st, 4))};
    sqlite3_reset(st);
}

static int oldest_of(struct logfile *f, const struct logfile_server *s, struct logdrop_segment *ret,
                     struct error *err)
{
    sqlite3_stmt *st = logfile_statement(f, LOGQ_SEGMENT_OLDEST);
    if (!st)
        return logfile_failed(f, "reading", err);
    sqlite3_bind_text(st, 1, s->name, -1, SQLITE_STATIC);
    read_segment(f, st, ret);
    return 0;
}

static int next_aged(struct logfile *f, struct logdrop_segment *ret, struct error *err)
{
    sqlite3_stmt *st = logfile_statement(f, LOGQ_SEGMENT_AGED);
    if (!st)
        return logfile_failed(f, "reading", err);
    sqlite3_bind_int64(st, 1, f->aged);
    read_segment(f, st, ret);
    return 0;
}

/* The one whose oldest goes now: who holds more than the share, else, beyond the quota, who holds
 * most. NULL: nobody. */
static struct logfile_server *loser(struct logfile *f, struct logfile_server *adding,
                                    enum logfile_cause *ret_why)
{
    struct logfile_server *most = NULL;
    if (!f->most_bytes)
        return NULL;
    *ret_why = LOGFILE_SHARE;
    if (adding && f->share && adding->cost > f->most_bytes / 100 * f->share)
        return adding;
    *ret_why = LOGFILE_QUOTA;
    if (f->cost <= f->most_bytes)
        return NULL;
    for (struct logfile_server *s = f->servers; s; s = s->hh.next)
        if (!most || s->cost > most->cost)
            most = s;
    return most;
}

/* ---- A segment goes */
static void give_back(struct logfile *f, struct logfile_server *s, uint64_t cost)
{
    cost = cost < s->cost ? cost : s->cost;
    s->cost -= cost;
    f->cost -= cost;
}

static int count(struct logfile *f, const struct logdrop_segment *g, enum logfile_cause why,
                 struct error *err)
{
    sqlite3_stmt *st = logfile_statement(f, LOGQ_LOSS_ADD);
    struct logfile_loss *l = &g->of->untold;
    f->dropped[why] += g->bytes;
    l->bytes += g->bytes;
    l->until = g->last > l->until ? g->last : l->until;
    l->cause = why;
    if (!st)
        return logfile_failed(f, "writing", err);
    sqlite3_bind_text(st, 1, g->of->name, -1, SQLITE_STATIC);
    sqlite3_bind_int64(st, 2, (int64_t)g->bytes);
    sqlite3_bind_int64(st, 3, g->last);
    sqlite3_bind_int64(st, 4, why);
    return logfile_run(f, st, err);
}

static int begin_drop(struct logfile *f, const struct logdrop_segment *g, enum logfile_cause why,
                      struct error *err)
{
    struct logfile_server *s = g->of;
    if (g->id == s->segment) {
        logfile_close_segment(f, s);
        s->segment = 0;
    }
    char *path = logfile_segment_path(f, g->id);
    unlink(path);
    mem_free(&path);
    give_back(f, s, g->bytes);
    f->loser = s;
    f->dropping = g->id;
    f->dropping_pieces = g->pieces;
    sqlite3_stmt *st = logfile_statement(f, LOGQ_SEGMENT_EMPTY);
    if (!st)
        return logfile_failed(f, "writing", err);
    sqlite3_bind_int64(st, 1, (int64_t)g->id);
    int rc = logfile_run(f, st, err);
    return rc < 0 ? rc : count(f, g, why, err);
}

static int drop_rows(struct logfile *f, unsigned n, struct error *err)
{
    sqlite3_stmt *st = logfile_statement(f, LOGQ_PIECES_DROP);
    if (!st)
        return logfile_failed(f, "writing", err);
    sqlite3_bind_int64(st, 1, (int64_t)f->dropping);
    sqlite3_bind_int64(st, 2, n);
    int rc = logfile_run(f, st, err);
    if (rc < 0)
        return rc;
    uint64_t gone = (uint64_t)sqlite3_changes(f->db);
    if (gone < n) { /* that was the last */
        if (!(st = logfile_statement(f, LOGQ_SEGMENT_DROP)))
            return logfile_failed(f, "writing", err);
        sqlite3_bind_int64(st, 1, (int64_t)f->dropping);
        rc = logfile_run(f, st, err);
        gone = f->dropping_pieces;
        f->dropping = 0;
    }
    gone = gone < f->dropping_pieces ? gone : f->dropping_pieces;
    f->dropping_pieces -= gone;
    give_back(f, f->loser, gone * LOGFILE_PIECE);
    return rc;
}

/* Rows of segments are written at each commit; what is chosen by them must be up to date. */
static int note_current(struct logfile *f, struct logfile_server *s, struct error *err)
{
    int rc = s->dirty ? logfile_note_segment(f, s, err) : 0;
    s->dirty = false;
    return rc;
}

static int drop_aged(struct logfile *f, struct error *err)
{
    struct logdrop_segment g;
    int rc = 0;
    for (struct logfile_server *s = f->servers; rc == 0 && s; s = s->hh.next)
        rc = note_current(f, s, err);
    if (rc == 0)
        rc = next_aged(f, &g, err);
    if (rc == 0 && g.id)
        rc = begin_drop(f, &g, LOGFILE_AGE, err);
    else if (rc == 0)
        f->aged = 0;
    return rc;
}

static int drop_oldest(struct logfile *f, struct logfile_server *s, enum logfile_cause why,
                       struct error *err)
{
    struct logdrop_segment g;
    int rc = note_current(f, s, err);
    if (rc == 0)
        rc = oldest_of(f, s, &g, err);
    if (rc == 0 && g.id)
        rc = begin_drop(f, &g, why, err);
    else if (rc == 0)
        give_back(f, s, s->cost);
    return rc;
}

int logfile_keep_rules(struct logfile *f, struct logfile_server *adding, unsigned rows,
                       struct error *err)
{
    struct logfile_server *s;
    enum logfile_cause why;
    int rc = 0;
    if (!f->dropping && f->aged)
        rc = drop_aged(f, err);
    if (rc == 0 && !f->dropping && (s = loser(f, adding, &why)))
        rc = drop_oldest(f, s, why, err);
    return rc == 0 && f->dropping ? drop_rows(f, rows, err) : rc;
}

void logfile_expire(struct logfile *f, int64_t now)
{
    if (f->keep_ms && now > (int64_t)f->keep_ms)
        f->aged = now - (int64_t)f->keep_ms;
}

bool logfile_drops(const struct logfile *f)
{
    return f->dropping != 0 || f->aged != 0 || (f->most_bytes && f->cost > f->most_bytes);
}
