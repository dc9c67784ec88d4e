/* buf.h - a growable run of bytes, and a lent view of bytes. Pure: no I/O. */
#ifndef LB_COMMON_BUF_H
#define LB_COMMON_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A view: never owns. `p` may be NULL when n is 0. Not NUL-terminated. */
struct span {
    const uint8_t *p;
    size_t n;
};
#define SPAN_NONE ((struct span){NULL, 0})
struct span span_of(const void *p, size_t n);
struct span span_str(const char *s); /* without the NUL; NULL gives the empty span */
bool span_eq(struct span a, struct span b);
bool span_eq_str(struct span a, const char *s);
/* Copies as a C string into dst[size], at most size-1 bytes and a NUL. False: it was truncated. */
bool span_copy_str(struct span s, char *dst, size_t size);
char *span_dup_str(struct span s); /* a new C string; the caller frees it */
#define SPAN_FMT    "%.*s"
#define SPAN_ARG(s) (int)(s).n, (const char *)((s).p ? (s).p : (const uint8_t *)"")

/* An owner. All zero is the empty buffer; buf_free returns it to that. */
struct buf {
    uint8_t *p;
    size_t n, cap;
};
void buf_free(struct buf *b);
void buf_clear(struct buf *b); /* n = 0, memory kept */
/* Makes room for `more` bytes after n and returns p + n; n is unchanged. */
uint8_t *buf_grow(struct buf *b, size_t more);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Adds a NUL after n bytes, without changing n, and returns p; valid until the next change. */
const char *buf_str(struct buf *b);
struct span buf_span(const struct buf *b);
struct buf buf_dup(struct span s);

#endif
