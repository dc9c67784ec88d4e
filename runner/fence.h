/* fence.h - how long an attempt that may run again elsewhere is certain to be ours alone.
 *
 * The worker keeps one number in the fence file: when the last renewal that the broker
 * acknowledged was sent, as CLOCK_BOOTTIME in ms, 8 bytes in the machine's order, followed by the
 * 16 bytes of the boot id to which that clock belongs. 0: no broker has been heard yet.
 *
 * The fence of an attempt is its own lost_after later: the value that the broker sent with the
 * attempt and counts by, whatever the cluster's value is now. It matters only for attempts with
 * on_lost `rerun`. Past it the broker may start another attempt, so ours must be dead by then,
 * whatever has become of worker and runner. A step that has not started waits until a broker is
 * heard again, which may recall it. */
#ifndef LB_RUNNER_FENCE_H
#define LB_RUNNER_FENCE_H

#include "proto/messages.h"

enum {
    FENCE_MARGIN_MS = 10000 /* TERM is sent this long before it; half of lost_after if less */
};

/* Reads the file. 0: it is missing, incomplete, or from another boot. */
int64_t fence_read(const char *path);

/* When to send TERM and when KILL, for a renewal as read (boot ms). Both INT64_MAX: this attempt
 * has no fence. */
void fence_of(const struct s_launch *l, int64_t renewed, int64_t *ret_term, int64_t *ret_kill);

/* True if it may start at `now` (boot ms). Otherwise it waits for the next renewal. */
bool fence_permits(const struct s_launch *l, int64_t renewed, int64_t now);

#endif
