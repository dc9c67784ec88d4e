/* fence.h - the number that tells keepers how long `rerun` attempts are certain to be ours alone:
 * when the last renewal that the broker acknowledged was sent.
 *
 * A small file: CLOCK_BOOTTIME in ms, 8 bytes in the machine's order, then the 16 bytes
 * of the boot id to which that clock belongs. An attempt is ours until its own lost_after has
 * passed since then; keepers compute that for each (runner/fence.h). The number outlives this
 * process. A number from an earlier boot means nothing and is set to 0. */
#ifndef LB_WORKER_FENCE_H
#define LB_WORKER_FENCE_H

#include <stdint.h>

#include "common/error.h"
#include "common/id.h"

struct fence;
int fence_open(struct fence **ret, const char *path, const struct id *boot, struct error *err);
void fence_close(struct fence **f); /* the number stays in the file */
/* -ENOSPC and others: keepers still see the old number, and end such attempts all the sooner. */
int fence_set(struct fence *f, int64_t renewed_boot_ms, struct error *err);

#endif
