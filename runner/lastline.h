/* lastline.h - the line of a child's output that tells best why it failed. Pure. */
#ifndef LB_RUNNER_LASTLINE_H
#define LB_RUNNER_LASTLINE_H

#include "common/buf.h"

/* Appends the last line of `tail` that shows anything, as a person would see it on a terminal: of
 * what a carriage return has overwritten the last text, without escape sequences, as one line of
 * UTF-8. Of a line above `most` bytes the end is kept, behind "...". Nothing if no line shows
 * anything. */
void lastline_add(struct span tail, size_t most, struct buf *out);

#endif
