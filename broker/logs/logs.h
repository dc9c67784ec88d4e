/* logs.h - what children print, kept at the broker: var/logs/.
 *
 * Output is appended to segment files; an index (index.db) says where each piece lies. Nothing here
 * is synced: logs are worth less than results and must not slow them down. An index that a power
 * cut has damaged is set aside and a new one started. Beyond the quota the oldest segment is
 * deleted.
 *
 * LOG_ACK tells a worker how many bytes of LOG_DATA were taken in this session. Pieces that are
 * sent again are recognized by their place and not kept twice. A worker can only write to runs that
 * are, or were, at its server. */
#ifndef LB_BROKER_LOGS_LOGS_H
#define LB_BROKER_LOGS_LOGS_H

#include "broker/shell/shell.h"

enum {
    LOGS_SEGMENT = 32 << 20,    /* bytes of a segment: what is dropped at a time */
    LOGS_ACK_EVERY = 128 << 10, /* bytes taken before LOG_ACK, or at the end of a turn */
    LOGS_PAGE = 192 << 10,      /* bytes of output in one LOG */
    LOGS_READERS = 500,
    LOGS_TAIL_MS = 5000 /* after a run's end its last output may still be on its way */
};

struct logs;

/* Opens the folder, making it if necessary. Listens to the shell from now on. */
int logs_open(struct logs **ret, struct shell *sh, const char *folder, uint64_t most_bytes,
              struct error *err);
void logs_close(struct logs **l);
/* LOG_DATA, LOGS */
void logs_take(struct logs *l, struct shell_peer *p, uint64_t kind, struct span message);
uint64_t logs_bytes(const struct logs *l);

#endif
