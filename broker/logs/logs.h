/* logs.h - what children print, kept at the broker: var/logs/.
 *
 * Output is appended to segment files, each of one server; an index (index.db) says where each
 * piece lies. Nothing here is synced: logs are worth less than results and must not slow them down.
 * An index that a power cut has damaged is set aside and a new one started. Beyond the quota the
 * server that holds most loses its oldest segment; what is older than the retention goes, too.
 * What went is counted, noted in the view `events`, and said to whoever reads what is left.
 *
 * LOG_ACK tells a worker how many bytes of LOG_DATA were taken in this session, in order. Pieces
 * that are sent again are recognized by their place and not kept twice. A worker's word is taken
 * for attempts that were handed to its server, and for no others: what else it sends is
 * acknowledged, dropped and counted. One that sends more than its credit breaks the protocol. */
#ifndef LB_BROKER_LOGS_LOGS_H
#define LB_BROKER_LOGS_LOGS_H

#include "broker/logs/logfile.h"
#include "broker/shell/shell.h"

enum {
    LOGS_SEGMENT = 4 << 20,     /* cost of a segment: what is dropped at a time */
    LOGS_ACK_EVERY = 128 << 10, /* bytes taken before LOG_ACK, or at the end of a turn */
    LOGS_PAGE = 192 << 10,      /* bytes of output in one LOG */
    LOGS_PAGES_A_TURN = 4,
    LOGS_HELD_A_TURN = 32,    /* pieces of a session that waited for the store's word */
    LOGS_READERS = 4096,      /* of all; of each principal: BUDGET_LOG_READERS */
    LOGS_TAIL_MS = 5000,      /* after a run's end its last output may still be on its way */
    LOGS_AGE_FIRST_MS = 2000, /* from the start until the age of what is kept is looked at */
    LOGS_AGE_MS = 60000,      /* and again after this */
    LOGS_SAID_MS = 3600000    /* dropped output is said once a server and hour */
};

struct logs;

/* Opens the folder, making it if necessary. Listens to the shell from now on. 0: no limit. */
int logs_open(struct logs **ret, struct shell *sh, const char *folder, uint64_t most_bytes,
              uint64_t keep_ms, struct error *err);
void logs_close(struct logs **l);
/* LOG_DATA, LOGS */
void logs_take(struct logs *l, struct shell_peer *p, uint64_t kind, struct span message);
uint64_t logs_bytes(const struct logs *l);
/* Pieces of output dropped since the start, since the attempt was not their server's. */
uint64_t logs_refused(const struct logs *l);
/* Bytes of output dropped since the start. */
uint64_t logs_dropped(const struct logs *l, enum logfile_cause why);

#endif
