/* logfile.h - the files of logs.h: segments and their index. No sessions here. */
#ifndef LB_BROKER_LOGS_LOGFILE_H
#define LB_BROKER_LOGS_LOGFILE_H

#include "proto/messages.h"

struct logfile;
/* `segment_bytes`: 0: LOGS_SEGMENT of logs.h. */
int logfile_open(struct logfile **ret, const char *folder, uint64_t most_bytes,
                 uint64_t segment_bytes, struct error *err);
void logfile_close(struct logfile **f);
/* Keeps a piece. 1: kept; 0: already here; -EACCES: the run's output comes from another server. */
int logfile_add(struct logfile *f, const char *server, const struct m_log_data *m,
                struct error *err);
/* Makes what was added visible after a restart, but does not sync it. */
int logfile_commit(struct logfile *f, struct error *err);
/* Pieces of a run after number `after` (0: from the first), of a step or (empty) all, up to `most`
 * bytes of output: each is appended to `items` with wire_add_bin as an encoded m_log_data.
 * *ret_next: the number of the last. Returns how many. */
int logfile_read(struct logfile *f, const struct id *run, struct span step, uint64_t after,
                 size_t most, struct buf *items, uint64_t *ret_next, struct error *err);
/* Which server does this run's output come from? False: there is none. */
bool logfile_server(struct logfile *f, const struct id *run, char ret[LIMIT_NAME + 1]);
/* How many bytes of a run's output have come, cut ones included: the sum of the highest offsets
 * that the streams of all tries of all steps have reached. */
uint64_t logfile_reached(struct logfile *f, const struct id *run);
uint64_t logfile_bytes(const struct logfile *f);

#endif
