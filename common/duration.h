/* duration.h - spans of time as people write them. Pure. */
#ifndef LB_COMMON_DURATION_H
#define LB_COMMON_DURATION_H

#include <stdint.h>

#include "common/error.h"
#include "common/size.h" /* often used together */

enum { DURATION_TEXT = 32 };

/* "1500ms", "90s", "5m", "2h", "1d", also with a fraction of at most three digits ("1.5s") and in
 * falling order ("1h30m", "3m 05s"). -EINVAL for everything else; a bare number is refused because
 * its unit is unknown. */
int duration_parse(const char *s, int64_t *ret_ms, struct error *err);
/* The two units that matter: "450ms", "12.4s", "3m 05s", "2h 07m", "5d 03h". Smaller units are
 * dropped, not rounded, so that 59.99 s never reads "60.0s". Returns out. */
char *duration_format(int64_t ms, char out[DURATION_TEXT]);

#endif
