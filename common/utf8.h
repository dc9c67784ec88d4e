/* utf8.h - decodes UTF-8 strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
   Pure. */
#ifndef LB_COMMON_UTF8_H
#define LB_COMMON_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

/* The first character of s: its length in bytes (1 to 4) and its code point. 0: s is empty or does
 * not begin with a whole, well-formed character; *ret_point is then U+FFFD, and the caller
 * continues one byte further on. */
size_t utf8_take(struct span s, uint32_t *ret_point);

/* Writes 1 to 4 bytes (for a code point utf8_take can yield) and returns how many. */
size_t utf8_put(uint32_t point, uint8_t out[4]);

/* Is all of s well-formed? *ret_bad, unless NULL, is the offset of the first byte that is not (s.n
   when all are). */
bool utf8_is_valid(struct span s, size_t *ret_bad);

/* Cuts the text at the first byte that is not UTF-8, such as the part of a character that
 * snprintf has left at the end. Returns text. */
char *utf8_trim(char *text);

/* How many bytes of s fit into `most` without splitting a character. */
size_t utf8_cut(struct span s, size_t most);

#endif
