/* jsonfit.h - JSON of what others have said, in a text that a frame takes. Pure. */
#ifndef LB_BROKER_EVENTS_JSONFIT_H
#define LB_BROKER_EVENTS_JSONFIT_H

#include <jansson.h>

#include "proto/limits.h"

enum { JSONFIT_MAX = LIMIT_FRAME * 3 / 4 }; /* bytes; what is around it fits into the frame, too */

/* The object as text (free() it). If that is longer than `most`, the longest of its parts that
 * people can do without are left out, one after the other, and named in "left_out":
 * ["parameters"]. */
char *jsonfit_text(json_t *o, size_t most);

#endif
