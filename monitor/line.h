/* line.h - an event of the broker (JSON) as one line for people, in surface.md's order:
 *     09:14:07  etl2  nightly-extract  table=orders  succeeded  12.4s  attempt 1  rows=48211
 *     nightly/extract/0
 * Pure. */
#ifndef LB_MONITOR_LINE_H
#define LB_MONITOR_LINE_H

#include <jansson.h>

#include "common/term.h"

/* Appends the line with its line feed; what came from outside is made safe. */
void line_of_event(const json_t *event, const struct term *term, struct buf *out);

#endif
