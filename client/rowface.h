/* rowface.h - the one name that people are shown for a child, from a row or an event of the
 * broker. Pure. */
#ifndef LB_CLIENT_ROWFACE_H
#define LB_CLIENT_ROWFACE_H

#include <jansson.h>
#include <stdbool.h>

#include "common/buf.h"

/* Appends "load", "load[orders]" (an item of a for_each) or, `with_parent`, "nightly/load[orders]".
 * Nothing if the row is not a child's. The text is from outside: make it safe. A record without the
 * item's name gives its number. */
void rowface_child(const json_t *row, bool with_parent, struct buf *out);

#endif
