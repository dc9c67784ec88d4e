/* utf8.h - takes UTF-8 apart, strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
   Pure. */
#ifndef LB_COMMON_UTF8_H
#define LB_COMMON_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

/* The first character of s: its length in bytes (1 to 4) and its code point. 0: s is empty or does
 * not begin with a whole, well-formed character; *ret_point is then U+FFFD, and going on behind one
 * byte is the right thing. */
size_t utf8_take(struct span s, uint32_t *ret_point);

/* Writes 1 to 4 bytes (for a code point utf8_take can yield) and returns how many. */
size_t utf8_put(uint32_t point, uint8_t out[4]);

/* Is all of s well-formed? *ret_bad, unless NULL, is the offset of the first byte that is not (s.n
   when all are). */
bool utf8_is_valid(struct span s, size_t *ret_bad);

/* What snprintf, with its sizes in bytes, has left of a character at the end goes: from the first
 * byte that is not UTF-8 on the text is cut. Returns it. */
char *utf8_trim(char *text);

/* How many bytes of s to keep where only `most` have room: all of them, or as many as end behind a
 * whole character. */
size_t utf8_cut(struct span s, size_t most);

#endif
