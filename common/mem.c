/* mem.c - see mem.h. */
#include "common/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* No stdio and no atexit handlers: both may need memory, and half-written data must not be
 * flushed. */
void mem_die(void)
{
    static const char said[] = ": out of memory; exiting, the next start replays the journal\n";
    const char *name = program_invocation_short_name;
    if (write(STDERR_FILENO, name, strlen(name)) < 0 ||
        write(STDERR_FILENO, said, sizeof said - 1) < 0)
        _exit(EXIT_OUT_OF_MEMORY);
    _exit(EXIT_OUT_OF_MEMORY);
}

void *mem_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        mem_die();
    return p;
}

void *mem_zalloc(size_t count, size_t size)
{
    /* calloc itself refuses an overflow */
    void *p = count && size ? calloc(count, size) : calloc(1, 1);
    if (!p)
        mem_die();
    return p;
}

void *mem_zalloc_aligned(size_t alignment, size_t size)
{
    void *p = aligned_alloc(alignment, size); /* sizeof is a multiple of the alignment */
    if (!p)
        mem_die();
    return memset(p, 0, size);
}

void *mem_realloc(void *p, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n))
        mem_die();
    void *q = realloc(p, n ? n : 1);
    if (!q)
        mem_die();
    return q;
}

char *mem_strdup(const char *s)
{
    return mem_dup(s, strlen(s) + 1);
}

void *mem_dup(const void *p, size_t n)
{
    void *q = mem_alloc(n);
    if (n)
        memcpy(q, p, n);
    return q;
}

char *mem_printf(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = mem_vprintf(fmt, ap);
    va_end(ap);
    return s;
}

char *mem_vprintf(const char *fmt, va_list ap)
{
    char *s;
    if (vasprintf(&s, fmt, ap) < 0)
        mem_die();
    return s;
}

/* The caller's pointer is not a void *, so it is read and written as bytes: anything else would
 * break the rules of strict aliasing. */
void mem_free_(void **p)
{
    void *old, *none = NULL;
    memcpy(&old, p, sizeof old);
    free(old);
    memcpy(p, &none, sizeof none);
}
