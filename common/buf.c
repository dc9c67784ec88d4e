/* buf.c - see buf.h. */
#include "common/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

struct span span_of(const void *p, size_t n)
{
    return (struct span){p, n};
}

struct span span_str(const char *s)
{
    return s ? span_of(s, strlen(s)) : SPAN_NONE;
}

bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_eq_str(struct span a, const char *s)
{
    return span_eq(a, span_str(s));
}

bool span_copy_str(struct span s, char *dst, size_t size)
{
    if (size == 0)
        return false;
    size_t n = s.n < size ? s.n : size - 1;
    if (n)
        memcpy(dst, s.p, n);
    dst[n] = 0;
    return n == s.n;
}

char *span_dup_str(struct span s)
{
    char *out = mem_alloc(s.n + 1);
    span_copy_str(s, out, s.n + 1);
    return out;
}

void buf_free(struct buf *b)
{
    mem_free(&b->p);
    b->n = b->cap = 0;
}

void buf_clear(struct buf *b)
{
    b->n = 0;
}

uint8_t *buf_grow(struct buf *b, size_t more)
{
    size_t want;
    if (__builtin_add_overflow(b->n, more, &want))
        mem_die();
    if (want > b->cap || !b->p) {
        size_t cap =
            /* by half: the copies stay a constant factor of the bytes */
            b->cap < 64 ? 64 : b->cap + b->cap / 2;
        if (cap < want)
            cap = want;
        b->p = mem_realloc(b->p, cap, 1);
        b->cap = cap;
    }
    return b->p + b->n;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    memcpy(buf_grow(b, n), p, n);
    b->n += n;
}

void buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    char *to = (char *)buf_grow(b, 1);
    size_t room = b->cap - b->n;
    int n = vsnprintf(to, room, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n >= room)
        n = vsnprintf((char *)buf_grow(b, (size_t)n + 1), (size_t)n + 1, fmt, again);
    va_end(again);
    if (n < 0)
        mem_die();
    b->n += (size_t)n;
}

const char *buf_str(struct buf *b)
{
    *buf_grow(b, 1) = 0;
    return (const char *)b->p;
}

struct span buf_span(const struct buf *b)
{
    return span_of(b->p, b->n);
}

struct buf buf_dup(struct span s)
{
    struct buf b = {0};
    buf_add(&b, s.p, s.n);
    return b;
}
