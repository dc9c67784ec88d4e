/* logtext.h - the text of one stream of a child, put together from its pieces: no character and
 * no escape sequence is torn, and lines are whole where they are wanted. Pure. */
#ifndef LB_COMMON_LOGTEXT_H
#define LB_COMMON_LOGTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

enum { LOGTEXT_LINE_MAX = 64 << 10 /* of a longer line the pieces are lines */ };

struct logtext {
    struct buf held;   /* not yet handed on */
    uint64_t offset;   /* of the first byte held, in the stream */
    int64_t at, since; /* since: of the first byte held */
};
void logtext_free(struct logtext *t);

/* at: when these bytes were read, wall. */
typedef void logtext_fn(void *self, struct span text, uint64_t offset, int64_t at);

/* The next bytes of the stream. Hands on what is whole: by_line: each line with its line feed. */
void logtext_feed(struct logtext *t, struct span data, uint64_t offset, int64_t at, bool by_line,
                  logtext_fn *fn, void *self);
/* Nothing follows these bytes, or not at once: hands on what is held. */
void logtext_flush(struct logtext *t, logtext_fn *fn, void *self);
/* Appends it with U+FFFD for each byte that is not UTF-8; all else stays. */
void logtext_as_utf8(struct span text, struct buf *out);

#endif
