/* jsontext.c - see jsontext.h. Must not include jansson. */
#include "common/jsontext.h"

#include <string.h>

#include "common/utf8.h"

static void escape_control(struct buf *out, uint32_t c)
{
    static const char short_for[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
    const char *at = c ? strchr(short_for, (int)c) : NULL;
    if (at)
        buf_printf(out, "\\%c", letters[at - short_for]);
    else
        buf_printf(out, "\\u%04x", (unsigned)c);
}

void json_escape(struct buf *out, struct span s)
{
    buf_add(out, "\"", 1);
    for (size_t at = 0; at < s.n;) {
        uint32_t c;
        size_t n = utf8_take(span_of(s.p + at, s.n - at), &c);
        if (n == 0)
            buf_add_str(out, "\xef\xbf\xbd");
        else if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
            escape_control(out, c);
        else
            buf_add(out, s.p + at, n);
        at += n ? n : 1;
    }
    buf_add(out, "\"", 1);
}
