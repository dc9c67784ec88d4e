/* fence.h - until when an attempt that may be run again elsewhere is sure to be ours (DESIGN 7).
 *
 * The worker keeps one number in var/spool/fence: CLOCK_BOOTTIME in ms, 8 bytes in the machine's
 * order, and the 16 bytes of the boot id to which that clock belongs: when the last renewal that
 * the broker acknowledged was sent. 0: no broker was heard yet. An attempt's fence lies its
 * lost_after later, the one that the broker told for it and counts by: whatever the cluster's is
 * now, and whoever knew it. It only matters for attempts with on_lost `rerun`: past it the broker
 * may start another, so ours must be dead by then, whatever has become of worker and runner; what
 * has not started waits until a broker is heard again, which may take it back. */
#ifndef LB_RUNNER_FENCE_H
#define LB_RUNNER_FENCE_H

#include "proto/messages.h"

enum {
    FENCE_MARGIN_MS = 10000 /* TERM this long before; half of lost_after if that is less */
};

/* Reads the file; 0 if it is not there, not whole, or of another boot. */
int64_t fence_read(const char *path);

/* When to send TERM and when KILL, for a renewal as read; both INT64_MAX: there is none for this
   attempt. */
void fence_of(const struct s_launch *l, int64_t renewed, int64_t *ret_term, int64_t *ret_kill);

/* May it start at `now`? If not, it waits for another renewal. */
bool fence_permits(const struct s_launch *l, int64_t renewed, int64_t now);

#endif
