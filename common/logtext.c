/* logtext.c - see logtext.h. */
#include "common/logtext.h"

#include <string.h>

#include "common/textcarry.h"
#include "common/utf8.h"

void logtext_free(struct logtext *t)
{
    buf_free(&t->held);
}

static void hand_on(struct logtext *t, size_t n, logtext_fn *fn, void *self)
{
    if (!n)
        return;
    fn(self, span_of(t->held.p, n), t->offset, t->since);
    t->held.n -= n;
    memmove(t->held.p, t->held.p + n, t->held.n);
    t->offset += n;
    t->since = t->at;
}

static void hand_on_lines(struct logtext *t, logtext_fn *fn, void *self)
{
    const uint8_t *end;
    while (t->held.n && (end = memchr(t->held.p, '\n', t->held.n)) != NULL)
        hand_on(t, (size_t)(end - t->held.p) + 1, fn, self);
    if (t->held.n >= LOGTEXT_LINE_MAX)
        hand_on(t, textcarry_whole(buf_span(&t->held)), fn, self);
}

void logtext_feed(struct logtext *t, struct span data, uint64_t offset, int64_t at, bool by_line,
                  logtext_fn *fn, void *self)
{
    if (t->held.n && offset != t->offset + t->held.n)
        logtext_flush(t, fn, self);
    if (!t->held.n) {
        t->offset = offset;
        t->since = at;
    }
    t->at = at;
    buf_add(&t->held, data.p, data.n);
    if (by_line)
        hand_on_lines(t, fn, self);
    else
        hand_on(t, textcarry_whole(buf_span(&t->held)), fn, self);
}

void logtext_flush(struct logtext *t, logtext_fn *fn, void *self)
{
    hand_on(t, t->held.n, fn, self);
}

void logtext_as_utf8(struct span text, struct buf *out)
{
    while (text.n) {
        uint32_t point;
        uint8_t bytes[4];
        size_t n = utf8_take(text, &point);
        buf_add(out, bytes, utf8_put(point, bytes));
        text = span_of(text.p + (n ? n : 1), text.n - (n ? n : 1));
    }
}
