/* utf8.c - see utf8.h. */
#include "common/utf8.h"

#include <string.h>

size_t utf8_take(struct span s, uint32_t *ret_point)
{
    /* by length: a smaller one is an overlong form */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    *ret_point = 0xfffd;
    if (s.n == 0)
        return 0;
    uint8_t c = s.p[0];
    if (c < 0x80) {
        *ret_point = c;
        return 1;
    }
    size_t n = c >= 0xf0 && c < 0xf8   ? 4
               : c >= 0xe0 && c < 0xf0 ? 3
               : c >= 0xc0 && c < 0xe0 ? 2
                                       : 0;
    if (n == 0 || s.n < n)
        return 0;
    uint32_t point = c & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s.p[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (s.p[i] & 0x3f);
    }
    if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000))
        return 0;
    *ret_point = point;
    return n;
}

size_t utf8_put(uint32_t point, uint8_t out[4])
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    size_t n = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    out[0] = (uint8_t)(0xf00u >> n | point);
    return n;
}

bool utf8_is_valid(struct span s, size_t *ret_bad)
{
    size_t at = 0, n;
    uint32_t point;
    while (at < s.n && (n = utf8_take(span_of(s.p + at, s.n - at), &point)) > 0)
        at += n;
    if (ret_bad)
        *ret_bad = at;
    return at == s.n;
}

char *utf8_trim(char *text)
{
    size_t good;
    utf8_is_valid(span_of(text, strlen(text)), &good);
    text[good] = '\0';
    return text;
}

size_t utf8_cut(struct span s, size_t most)
{
    if (s.n <= most)
        return s.n;
    size_t n = most;
    /* a character has at most three continuation bytes */
    for (int i = 0; i < 3 && n > 0 && (s.p[n] & 0xc0) == 0x80; i++)
        n--;
    return n;
}
