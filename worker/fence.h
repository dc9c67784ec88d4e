/* fence.h - the one number by which keepers know until when `rerun` attempts are sure to be ours
 * (DESIGN 7): CLOCK_BOOTTIME in ms, 8 bytes in the machine's order in a small mapped file, then the
 * 16 bytes of the boot id to which that clock belongs: the sending time of the last renewal that
 * the broker has acknowledged. An attempt is ours until its own lost_after has passed since then;
 * keepers reckon that for each. Whatever becomes of this process, the number stays; of another boot
 * it means nothing and is made 0. */
#ifndef LB_WORKER_FENCE_H
#define LB_WORKER_FENCE_H

#include <stdint.h>

#include "common/error.h"
#include "common/id.h"

struct fence;
int fence_open(struct fence **ret, const char *path, const struct id *boot, struct error *err);
void fence_close(struct fence **f); /* the number stays in the file */
void fence_set(struct fence *f, int64_t renewed_boot_ms);

#endif
