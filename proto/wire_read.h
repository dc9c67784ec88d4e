/* wire_read.h - the reader of single msgpack items, for this room only. Pure.
 *
 * A cursor over bytes; each function reads one item in its shortest form or fails with a reason.
 * Source of the format: the msgpack specification
 * (github.com/msgpack/msgpack/blob/master/spec.md). */
#ifndef LB_PROTO_WIRE_READ_H
#define LB_PROTO_WIRE_READ_H

#include "proto/limits.h"
#include "proto/wire.h"

enum item_type {
    ITEM_NIL,
    ITEM_BOOL,
    ITEM_UINT,
    ITEM_INT,
    ITEM_FLOAT,
    ITEM_STR,
    ITEM_BIN,
    ITEM_ARRAY,
    ITEM_MAP
};

struct item {
    enum item_type type;
    bool boolean;
    uint64_t u; /* UINT; count of ARRAY, MAP */
    int64_t i;  /* INT: always below 0 */
    double real;
    struct span bytes; /* STR, BIN */
};

/* Reads the head of one item (for ARRAY and MAP only the header) and moves *in on. NULL: done;
 * otherwise why not, a constant phrase ("truncated", "not in its shortest form"). Counts are
 * checked against the bytes that are left. */
const char *item_read(struct span *in, struct item *ret);

/* Moves over one whole item, `depth` levels deep at most. NULL or why not. */
const char *item_skip(struct span *in, unsigned depth);

/* As item_skip, for a value: map keys must be unique strings of at most LIMIT_NAME bytes. */
const char *item_skip_value(struct span *in, unsigned depth);

bool wire_utf8_valid(struct span s); /* and without NUL */

#endif
