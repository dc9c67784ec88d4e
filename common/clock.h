/* clock.h - reads the two clocks, and writes and reads points in time as text.
 *
 * Wall time (CLOCK_REALTIME, ms since 1970 UTC) is for people and records; it may jump. Boot time
 * (CLOCK_BOOTTIME) is for deadlines: it never goes back and keeps running during a suspend. Never
 * compare the two. A core reads neither: each event brings its time. */
#ifndef LB_COMMON_CLOCK_H
#define LB_COMMON_CLOCK_H

#include <stdint.h>

#include "common/error.h"
#include "common/id.h"

enum { CLOCK_TEXT = 32 }; /* room for clock_format, whatever the year */

int64_t clock_wall_ms(void);
int64_t clock_boot_ms(void);
int64_t clock_boot_us(void);
int64_t clock_thread_us(void); /* processor time of the calling thread */
/* For how long the calling thread could have run but others had the processor. 0 on a kernel
 * without scheduler statistics. */
int64_t clock_waited_us(void);
/* The kernel's boot id: the boot to which that clock belongs. Fails only without /proc. */
int clock_boot_id(struct id *ret, struct error *err);

/* RFC 3339 in UTC with milliseconds, "2026-11-21T09:13:55.012Z". Returns `out`. Pure. */
char *clock_format(int64_t wall_ms, char out[CLOCK_TEXT]);

/* Reads RFC 3339: "2026-11-21T09:13:55Z", "2026-11-21 10:13:55.5+01:00", or the day alone,
 * "2026-11-21", which is its midnight UTC. Digits beyond milliseconds are dropped; a leap second is
 * the second after it. -EINVAL: it is not a time, or has no offset and so would mean another
 * moment on another server. Pure. */
int clock_parse(const char *s, int64_t *ret_ms, struct error *err);

#endif
