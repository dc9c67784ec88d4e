/* textcarry.h - text that comes in pieces: where a piece must be cut so that no character and no
 * escape sequence is broken. Pure.
 *
 * Sequences are those of ECMA-48: CSI (colours, cursor moves), strings such as OSC (titles, links)
 * that end in BEL or ST, and those of two or three bytes. */
#ifndef LB_COMMON_TEXTCARRY_H
#define LB_COMMON_TEXTCARRY_H

#include <stdbool.h>

#include "common/buf.h"

enum {
    /* of a sequence that waits for its end; what is longer is let through as it is */
    TEXTCARRY_MAX = 256
};

/* Bytes of the escape sequence at the head of s; 0: none begins here. *ret_whole: false if it needs
 * more bytes than there are. */
size_t textcarry_escape(struct span s, bool *ret_whole);

/* How many bytes of s can go on: all but an unfinished character or sequence at its end, which is
 * to stand before the next piece. Malformed bytes are never held back. */
size_t textcarry_whole(struct span s);

#endif
