/* readers.h - who reads logs: LOGS that are not over. A reader costs nothing until its run prints
 * or ends, or its session takes more. Then it gets one page at a time, in turn with the readers of
 * other principals. */
#ifndef LB_BROKER_LOGS_READERS_H
#define LB_BROKER_LOGS_READERS_H

#include "broker/logs/logfile.h"
#include "broker/shell/shell.h"

struct readers;

struct readers *readers_new(struct shell *sh, struct logfile *file);
void readers_free(struct readers **r);
void readers_take(struct readers *r, struct shell_peer *p, struct span message); /* LOGS */
/* What has happened: a piece of this run was kept; a record came, and what is on disk; a session's
 * window is open again; a session has ended. */
void readers_printed(struct readers *r, const struct id *run);
void readers_record(struct readers *r, uint64_t lsn, struct span record);
void readers_committed(struct readers *r, uint64_t lsn);
void readers_window(struct readers *r, uint64_t peer);
void readers_gone(struct readers *r, uint64_t peer);

#endif
