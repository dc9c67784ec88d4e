/* report.h - what a keeper or the runner tells the worker: entries in a spool file of its own, and
 * a bell.
 *
 * The entries of one turn are one write. What cannot be written now (a full disk) is kept and tried
 * again, but for output of children and their progress, which are dropped and counted: a result
 * must get through, and the disk may stay full for longer than there is memory. */
#ifndef LB_RUNNER_REPORT_H
#define LB_RUNNER_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

/* in the run folder: a datagram socket; what is sent there says "look" */
#define WORKER_BELL "worker.bell"

enum {
    REPORT_RETRY_MS = 1000, /* after a write that failed */
    REPORT_ROLL_BYTES =
        /* a file that has grown so large gets a successor; the worker removes what it has read */
    8 << 20
};

struct report;
/* Opens the newest of <folder>/<stem>.log, <stem>.1.log, <stem>.2.log, ..., making the first; `run`
 * is the folder of the bell. One writer at a time: the caller holds a lock. */
int report_open(const char *folder, const char *stem, const char *run, struct report **ret,
                struct error *err);
void report_close(struct report **r);

/* Adds an entry. */
void report_add(struct report *r, struct span entry);
/* Adds one that may be dropped. */
void report_add_output(struct report *r, struct span entry);
/* Writes what was added and rings. On failure *err says why, output is dropped and the rest is
   kept. */
int report_flush(struct report *r, struct error *err);
/* Between steps: begins the next file if this one has grown large. Without one it goes on in this
   one. */
void report_roll(struct report *r);
bool report_waits(const struct report *r);       /* is something kept? */
uint64_t report_dropped(const struct report *r); /* entries of output dropped in all */

#endif
