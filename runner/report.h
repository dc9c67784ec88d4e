/* report.h - how a keeper or the runner reports to the worker: entries in a spool file of its own,
 * and a bell.
 *
 * The entries of one turn are one write. What cannot be written now, as on a full disk, is kept and
 * tried again, except the children's output and progress, which are dropped and counted: a result
 * must get through, and the disk may stay full longer than memory lasts. */
#ifndef LB_RUNNER_REPORT_H
#define LB_RUNNER_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"
#include "proto/messages.h"
#include "runner/runnerpaths.h"

/* a datagram socket in the bell's folder; whatever is sent there means "read the spool" */
#define WORKER_BELL "worker.bell"

enum {
    REPORT_RETRY_MS = 1000, /* after a write that failed */
    /* a file that has grown to this gets a successor; the worker removes what it has read */
    REPORT_ROLL_BYTES = 8 << 20
};

struct report;
/* Opens the newest of <stem>.log, <stem>.1.log, <stem>.2.log, ... in the spool, or makes the first.
 * One that is damaged gets a successor. `paths` is lent. The caller holds a lock: there is one
 * writer at a time. On success *ret is yours: report_close. */
int report_open(const struct runner_paths *paths, const char *stem, struct report **ret,
                struct error *err);
void report_close(struct report **r);

/* From now on entries are written as 0.1 did, without the fields that were added since, or with
 * them, as at first. */
void report_form(struct report *r, bool first);
/* The same, for the worker that asked for this step. */
void report_form_of(struct report *r, const struct s_launch *l);

/* Queues an entry for the next flush. */
void report_add(struct report *r, struct span entry);
/* Queues one that may be dropped: output or progress. */
void report_add_output(struct report *r, struct span entry);
/* Writes what is queued and rings the bell. On failure *err says why, output is dropped and the
 * rest stays queued. */
int report_flush(struct report *r, struct error *err);
/* Call between steps: begins the next file if this one has grown large. If that fails, this one is
 * used on. */
void report_roll(struct report *r);
bool report_waits(const struct report *r);       /* is anything queued? */
uint64_t report_dropped(const struct report *r); /* entries of output dropped in all */

#endif
