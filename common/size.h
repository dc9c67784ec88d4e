/* size.h - numbers of bytes as people write them. Pure. */
#ifndef LB_COMMON_SIZE_H
#define LB_COMMON_SIZE_H

#include <stdint.h>

#include "common/error.h"

enum { SIZE_TEXT = 32 };

/* Bytes: "4096", "64K", "16M", "2G", "1T", powers of 1024; "16MiB" is the same as "16M". "16MB" is
 * refused because it is ambiguous. -EINVAL */
int size_parse(const char *s, int64_t *ret_bytes, struct error *err);
/* "512 B", "1.5 MiB", truncated, not rounded. Returns out. */
char *size_format(int64_t bytes, char out[SIZE_TEXT]);

#endif
