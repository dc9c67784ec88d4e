/* textcarry.c - see textcarry.h. */
#include "common/textcarry.h"

#include <stdint.h>

enum { ESC = 0x1b, BEL = 0x07 };

static bool between(uint8_t c, uint8_t from, uint8_t to)
{
    return c >= from && c <= to;
}

/* Parameters and intermediates, then one final byte. What is neither ends the sequence before it,
 * as terminals do. */
static size_t csi(struct span s, bool *ret_whole)
{
    size_t n = 2;
    while (n < s.n && between(s.p[n], 0x20, 0x3f))
        n++;
    *ret_whole = n < s.n;
    return n < s.n && between(s.p[n], 0x40, 0x7e) ? n + 1 : n;
}

/* Up to BEL or ESC \; any other ESC or a line feed breaks it off. */
static size_t string(struct span s, bool *ret_whole)
{
    for (size_t n = 2; n < s.n; n++) {
        *ret_whole = s.p[n] != ESC || n + 1 < s.n;
        if (s.p[n] == BEL)
            return n + 1;
        if (s.p[n] == ESC)
            return n + 1 < s.n && s.p[n + 1] == '\\' ? n + 2 : n;
        if (s.p[n] == '\n')
            return n;
    }
    *ret_whole = false;
    return s.n;
}

size_t textcarry_escape(struct span s, bool *ret_whole)
{
    *ret_whole = true;
    if (!s.n || s.p[0] != ESC)
        return 0;
    *ret_whole = s.n > 1;
    if (s.n == 1)
        return 1;
    switch (s.p[1]) {
    case '[':
        return csi(s, ret_whole);
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_':
        return string(s, ret_whole);
    }
    size_t n = 1;
    while (n < s.n && between(s.p[n], 0x20, 0x2f))
        n++;
    *ret_whole = n < s.n;
    return n < s.n && between(s.p[n], 0x30, 0x7e) ? n + 1 : n;
}

/* Can a second byte stand behind this first one? utf8.c refuses the same. */
static bool second_fits(uint8_t first, uint8_t second)
{
    return between(second,
                   first == 0xe0   ? 0xa0
                   : first == 0xf0 ? 0x90
                                   : 0x80,
                   first == 0xed   ? 0x9f
                   : first == 0xf4 ? 0x8f
                                   : 0xbf);
}

/* Bytes of an unfinished character at the end of s. */
static size_t unfinished_character(struct span s)
{
    size_t n = 0;
    while (n < 3 && n < s.n && (s.p[s.n - 1 - n] & 0xc0) == 0x80)
        n++;
    if (n == s.n || n == 3)
        return 0;
    const uint8_t *first = s.p + s.n - 1 - n;
    size_t needs = between(*first, 0xc2, 0xdf)   ? 2
                   : between(*first, 0xe0, 0xef) ? 3
                   : between(*first, 0xf0, 0xf4) ? 4
                                                 : 0;
    bool fits = n == 0 || second_fits(*first, first[1]);
    return needs > n + 1 && fits ? n + 1 : 0;
}

/* Bytes of an unfinished sequence at the end of s: the first that reaches it. A whole one before it
 * may hide an ESC of its own end, so they are read from the front of what can matter. */
static size_t unfinished_escape(struct span s)
{
    size_t at = s.n > TEXTCARRY_MAX ? s.n - TEXTCARRY_MAX : 0;
    while (at < s.n) {
        bool whole;
        size_t n = textcarry_escape(span_of(s.p + at, s.n - at), &whole);
        if (!whole)
            return s.n - at;
        at += n ? n : 1;
    }
    return 0;
}

size_t textcarry_whole(struct span s)
{
    size_t escape = unfinished_escape(s);
    return s.n - (escape ? escape : unfinished_character(s));
}
