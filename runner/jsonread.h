/* jsonread.h - reads JSON into wire values, strictly (RFC 8259): for what a child hands back, read
 * by a process that may be root. Nesting, lengths and counts are checked before anything is kept.
 * Pure.
 *
 * Integers that fit 64 bits are ints, other numbers floats (finite ones only). Refused besides
 * invalid JSON: NUL in a string, a name twice in one object, names longer than LIMIT_NAME,
 * nesting beyond LIMIT_DEPTH. */
#ifndef LB_RUNNER_JSONREAD_H
#define LB_RUNNER_JSONREAD_H

#include "common/buf.h"
#include "common/error.h"

/* Appends the one value that `text` is, as encoded. -EINVAL: the sentence has the offset; nothing
   is appended. */
int jsonread_value(struct span text, struct buf *out, struct error *err);
/* `text` must be one object: appends its pairs (names with value_add_str, values) and counts them.
   -EINVAL */
int jsonread_object(struct span text, struct buf *items, uint32_t *ret_count, struct error *err);

#endif
