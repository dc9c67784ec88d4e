/* mem.h - allocation that succeeds or ends the process.
 *
 * Every program of Longboat survives `kill -9` at any moment: its state is on disk and is replayed.
 * So a small allocation that fails ends the process at once (exit code 71, one line on stderr), and
 * the next process replays; callers need no code for half-done work. What a peer can make grow is
 * bounded by proto/limits.h before memory is requested. */
#ifndef LB_COMMON_MEM_H
#define LB_COMMON_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

enum { EXIT_OUT_OF_MEMORY = 71 }; /* EX_OSERR of sysexits.h */

/* As malloc, calloc, realloc, strdup, but never NULL. Sizes of 0 yield a pointer that can be
   freed. */
void *mem_alloc(size_t n) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t count, size_t size)
    __attribute__((returns_nonnull)); /* overflow of count*size ends the process */
/* One zeroed T with its own alignment: for structs that contain a state of libsodium, which
 * needs more than malloc's 16 bytes. */
#define mem_znew(T) ((T *)mem_zalloc_aligned(_Alignof(T), sizeof(T)))
void *mem_zalloc_aligned(size_t alignment, size_t size) __attribute__((returns_nonnull));
void *mem_realloc(void *p, size_t count, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *s) __attribute__((returns_nonnull));
void *mem_dup(const void *p, size_t n) __attribute__((returns_nonnull));
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
char *mem_vprintf(const char *fmt, va_list ap)
    __attribute__((format(printf, 1, 0), returns_nonnull));

/* Ends the process as the functions above do; for sizes that cannot be computed. */
_Noreturn void mem_die(void);

/* Frees *p and sets it to NULL. */
#define mem_free(p) mem_free_((void **)(p))
void mem_free_(void **p);

#endif
