/* id.h - ids of runs (UUIDv7), and bytes as text: hexadecimal and base64url. Pure: the caller
 * passes time and random bytes. */
#ifndef LB_COMMON_ID_H
#define LB_COMMON_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

struct id {
    uint8_t b[16];
};
#define ID_ZERO ((struct id){{0}}) /* "none"; id_make never yields it */
enum { ID_TEXT = 37 };             /* 36 characters and the NUL */

/* A UUID of version 7: 48 bits of milliseconds since 1970, then 74 of the 80 bits of `random`. Ids
   sort by time. */
struct id id_make(int64_t wall_ms, const uint8_t random[10]);

/* Writes lower case, "0198c1f2-....-7...-....-............", and returns out. */
char *id_format(struct id id, char out[ID_TEXT]);
/* Reads the 36 characters, in either case, of any UUID. -EINVAL: it is not one. */
int id_parse(const char *s, struct id *ret_id, struct error *err);
int id_parse_span(struct span s, struct id *ret_id, struct error *err);

bool id_eq(struct id a, struct id b);
int id_cmp(struct id a, struct id b); /* <0, 0, >0: by time, then by the random bits */
bool id_is_zero(struct id id);

/* Writes 2 * n lower-case digits and a NUL; returns out. */
char *hex_format(const uint8_t *p, size_t n, char *out);
/* Reads exactly 2 * n digits of either case and nothing after them. -EINVAL: `out` is as it was. */
int hex_parse(const char *s, uint8_t *out, size_t n);

/* base64url (RFC 4648 section 5) without padding. The caller frees the text. */
char *b64_format(struct span s);
/* Appends the decoded bytes to *out; on failure nothing is appended. -EINVAL: it is not what
 * b64_format writes, such as padding, another alphabet, white space or extra last bits. */
int b64_parse(const char *s, struct buf *out, struct error *err);

#endif
