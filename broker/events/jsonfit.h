/* jsonfit.h - makes JSON that contains text of others fit into a frame. Pure. */
#ifndef LB_BROKER_EVENTS_JSONFIT_H
#define LB_BROKER_EVENTS_JSONFIT_H

#include <jansson.h>

#include "proto/limits.h"

enum {
    JSONFIT_MAX = LIMIT_FRAME * 3 / 4
}; /* bytes; the rest of the frame is for what surrounds it */

/* The object as text (free() it). While it is longer than `most`, its longest dispensable part is
 * removed from the object and named in "left_out": ["parameters"]. */
char *jsonfit_text(json_t *o, size_t most);

#endif
