/* mask.h - secret values in what a child says become asterisks, as many as the value has bytes,
 * wherever the text is cut into pieces. Pure.
 *
 * A value is known whole, line by line, and as it stands in JSON; a value, or a line, of fewer than
 * MASK_MIN bytes is left alone, since it would be found in ordinary words. Of one that is longer
 * than MASK_PIECE_MAX each piece of that length is looked for, so that the bytes which wait to be
 * judged stay few. Looking costs the same for each byte, however many values there are
 * (Aho-Corasick). */
#ifndef LB_RUNNER_MASK_H
#define LB_RUNNER_MASK_H

#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

enum {
    MASK_MIN = 6,
    MASK_PIECE_MAX = 1024,    /* bytes that may wait for more */
    MASK_BYTES_MAX = 2 << 20, /* of all values, in all their forms */
    MASK_STAR = '*'
};

struct mask;
/* How far a stream of text has been read; starts as zeros. */
struct mask_at {
    uint32_t node;
};

/* Nothing is masked until mask_ready. Yours: mask_free, which wipes the values. */
struct mask *mask_new(void);
void mask_free(struct mask **m);
void mask_add(struct mask *m, struct span value);
/* After the last value, once. -E2BIG: more than MASK_BYTES_MAX. */
int mask_ready(struct mask *m, struct error *err);

/* text[held] to text[held + n - 1] are the next bytes of a stream; the `held` before them are those
 * that the last call left undecided. Masks in place, and returns how many at the end are undecided:
 * they may be the beginning of a value. m may be NULL: nothing is masked. */
size_t mask_feed(const struct mask *m, struct mask_at *at, uint8_t *text, size_t held, size_t n);
/* The same for a text that is complete. */
void mask_whole(const struct mask *m, struct span text);

#endif
