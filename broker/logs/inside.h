/* inside.h - what logfile.c (writing), logdrop.c (dropping) and logread.c (reading) share. */
#ifndef LB_BROKER_LOGS_INSIDE_H
#define LB_BROKER_LOGS_INSIDE_H

#include <sqlite3.h>

#include "broker/logs/logfile.h"
#include "common/hashtable.h"

enum {
    LOGQ_ADD,
    LOGQ_CUTS,
    LOGQ_SERVER,
    LOGQ_READ,
    LOGQ_STREAM,
    LOGQ_REACHED,
    LOGQ_SEGMENTS,
    LOGQ_SEGMENT_ADD,
    LOGQ_SEGMENT_OLDEST,
    LOGQ_SEGMENT_AGED,
    LOGQ_SEGMENT_EMPTY,
    LOGQ_SEGMENT_DROP,
    LOGQ_PIECES_DROP,
    LOGQ_LOSS_ADD,
    LOGQ_LOSS,
    LOGQ_COUNT
};

/* What one server holds. */
struct logfile_server {
    char name[LIMIT_NAME + 1];
    uint64_t cost;                    /* of all its pieces */
    uint64_t segment, length, pieces; /* being written; segment 0: none */
    int64_t first, last;              /* when its first and its last piece came */
    int fd;                           /* of that segment; -1: closed */
    uint64_t used;                    /* for the choice of what to close */
    bool dirty;                       /* its segment's row is behind */
    struct logfile_loss untold;       /* for logfile_next_loss */
    int64_t told;
    UT_hash_handle hh;
};

struct logfile {
    char *folder;
    sqlite3 *db;
    sqlite3_stmt *st[LOGQ_COUNT];
    struct logfile_server *servers;
    struct logfile_server *open[LOGFILE_OPEN_MAX];
    uint64_t last_segment, uses;
    uint64_t cost, most_bytes, segment_bytes, share, keep_ms;
    uint64_t dropped[LOGFILE_CAUSES];
    int64_t aged;                 /* what came before this is too old; 0: nothing known to be */
    struct logfile_server *loser; /* whose segment `dropping` is; its file has gone */
    uint64_t dropping, dropping_pieces;
    bool writing;
};

int logfile_failed(struct logfile *f, const char *doing, struct error *err);
sqlite3_stmt *logfile_statement(struct logfile *f, unsigned which); /* NULL: cannot be prepared */
/* FOLDER/<number>.log. Yours. */
char *logfile_segment_path(const struct logfile *f, uint64_t segment);
int logfile_run(struct logfile *f, sqlite3_stmt *st,
                struct error *err); /* one that returns nothing */
struct logfile_server *logfile_server_of(struct logfile *f, const char *name);
int logfile_note_segment(struct logfile *f, const struct logfile_server *s, struct error *err);
void logfile_close_segment(struct logfile *f, struct logfile_server *s);
/* Beyond a rule, drops some: a file at once, `rows` rows of its pieces. adding: who has just added;
 * NULL: nobody. */
int logfile_keep_rules(struct logfile *f, struct logfile_server *adding, unsigned rows,
                       struct error *err);

#endif
