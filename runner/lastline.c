/* lastline.c - see lastline.h. */
#include "runner/lastline.h"

#include <stdint.h>

#include "runner/outputs.h"

/* A character of which the tail has only the end. */
static struct span without_torn_start(struct span s)
{
    for (int i = 0; i < 3 && s.n && (s.p[0] & 0xc0) == 0x80; i++)
        s = span_of(s.p + 1, s.n - 1);
    return s;
}

/* Takes what stands behind the last line feed or carriage return off the end of *s. */
static struct span take_last(struct span *s)
{
    size_t from = s->n;
    while (from && s->p[from - 1] != '\n' && s->p[from - 1] != '\r')
        from--;
    struct span line = span_of(s->p + from, s->n - from);
    s->n = from ? from - 1 : 0;
    return line;
}

void lastline_add(struct span tail, size_t most, struct buf *out)
{
    static const char before[] = "...";
    struct buf line = {0};
    tail = without_torn_start(tail);
    while (tail.n && !line.n)
        outputs_clean_text(take_last(&tail), SIZE_MAX, &line);
    struct span shown = buf_span(&line);
    if (shown.n > most) {
        buf_add_str(out, before);
        shown = span_of(shown.p + shown.n - most + sizeof before - 1, most - sizeof before + 1);
        shown = without_torn_start(shown);
    }
    buf_add(out, shown.p, shown.n);
    buf_free(&line);
}
