/* logfile.h - the files of logs.h: segments and their index. No sessions here.
 *
 * Each server's output lies in segments of its own, so that what is dropped is dropped by server:
 * beyond the quota the one that holds most loses its oldest segment. A piece costs its bytes and
 * LOGFILE_PIECE for its row of the index, so the index is under the quota, too. Segments of before
 * each server had its own (server '') are read as before, and count as those of one server.
 *
 * Output that came longer ago than `keep_ms` goes, too, a segment at a time: a segment is written
 * for at most a LOGFILE_SPANS-th of that time, so output stays at most that much longer. Its age
 * goes by the broker's clock, not by what its server says.
 *
 * Pure but for its folder: the caller says what time it is. */
#ifndef LB_BROKER_LOGS_LOGFILE_H
#define LB_BROKER_LOGS_LOGFILE_H

#include "proto/messages.h"

enum {
    /* what a piece takes in the index, measured with the longest names of step and server */
    LOGFILE_PIECE = 384,
    LOGFILE_OPEN_MAX = 64,   /* segments open for writing; the one not used for longest is closed */
    LOGFILE_ROWS_MAX = 2000, /* rows that one logfile_read looks at */
    LOGFILE_DROP = 256,      /* rows that one logfile_commit drops */
    LOGFILE_CUTS_MAX = 2,    /* pieces of a stream that only say that bytes were cut */
    LOGFILE_SPANS = 30
};

/* Why output was dropped. */
enum logfile_cause {
    LOGFILE_AGE,   /* older than keep_ms */
    LOGFILE_QUOTA, /* all hold more than most_bytes, and this server held most */
    LOGFILE_SHARE, /* this server held more than its share */
    LOGFILE_CAUSES
};

struct logfile_options {
    const char *folder;
    uint64_t most_bytes;    /* quota; 0: none */
    uint64_t segment_bytes; /* 0: LOGS_SEGMENT of logs.h; the cost of a segment */
    uint64_t share;   /* percent of the quota above which a server loses its own; 0: no such rule */
    uint64_t keep_ms; /* 0: for ever */
};

struct logfile;
int logfile_open(struct logfile **ret, const struct logfile_options *o, struct error *err);
void logfile_close(struct logfile **f);
/* Keeps a piece that has come `now` (wall). 1: kept; 0: already here, or there is nothing to keep:
 * no bytes, and nothing cut or that has been said LOGFILE_CUTS_MAX times. Whether this server may
 * say it is the caller's question. */
int logfile_add(struct logfile *f, const char *server, const struct m_log_data *m, int64_t now,
                struct error *err);
/* Makes what was added visible after a restart, but does not sync it. Goes on dropping. */
int logfile_commit(struct logfile *f, struct error *err);
/* Lets the next commits drop what is too old. Say it every minute or so. */
void logfile_expire(struct logfile *f, int64_t now);
/* Is a segment being dropped? Then call logfile_commit again in a while. */
bool logfile_drops(const struct logfile *f);
/* Pieces of a run after number `after` (0: from the first), of a step or (empty) all, up to `most`
 * bytes of output: each is appended to `items` with wire_add_bin as an encoded m_log_data.
 * *ret_next: the number of the last one looked at; as `after`: there are no more. Returns how
 * many, which may be 0 although there are more. */
int logfile_read(struct logfile *f, const struct id *run, struct span step, uint64_t after,
                 size_t most, struct buf *items, uint64_t *ret_next, struct error *err);
/* Which server does this attempt's output come from? False: there is none. */
bool logfile_server(struct logfile *f, const struct id *run, uint64_t attempt,
                    char ret[LIMIT_NAME + 1]);
/* How many bytes of a run's output have come, cut ones included: the sum of the highest offsets
 * that the streams of all tries of all steps have reached. Costs a few steps for each stream. */
uint64_t logfile_reached(struct logfile *f, const struct id *run);
uint64_t logfile_bytes(const struct logfile *f); /* what counts in the quota */
uint64_t logfile_held(const struct logfile *f, const char *server);

/* What of a server's output has been dropped: bytes of it, the newest of which came at `until`
 * (wall). */
struct logfile_loss {
    char server[LIMIT_NAME + 1];
    uint64_t bytes;
    int64_t until;
    enum logfile_cause cause; /* of the last time */
};
/* All that was ever dropped of this server's. False: nothing. */
bool logfile_loss(struct logfile *f, const char *server, struct logfile_loss *ret);
/* A server of which something was dropped that this call has not told yet, and which it has not
 * named since `before` (wall): what has been dropped since then. False: there is none. */
bool logfile_next_loss(struct logfile *f, int64_t before, int64_t now, struct logfile_loss *ret);
/* "older than logs_retention": a cause in words. */
const char *logfile_cause_text(enum logfile_cause why);
/* Bytes of output dropped since the files were opened. */
uint64_t logfile_dropped(const struct logfile *f, enum logfile_cause why);

#endif
