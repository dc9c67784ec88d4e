/* json.h - what all JSON that is read or written has in common, on top of jansson. */
#ifndef LB_COMMON_JSON_H
#define LB_COMMON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

/* The one encoding of equal values: keys sorted bytewise, no white space, UTF-8 unescaped. What is
 * hashed or signed contains no floating-point numbers. The caller frees the C string. */
char *json_dump_canonical(const json_t *value);

/* Parses any JSON value; release it with json_decref. NULL: it is not JSON, or has a key twice or a
 * NUL character; *err begins with "name:line:column: ". */
json_t *json_parse(const char *name, struct span text, struct error *err);
/* The same for a row that others have filled and that is to be shown: in its texts and keys all is
 * made visible that could act on a terminal or begin a line (term_safe). */
json_t *json_parse_shown(const char *name, struct span text, struct error *err);
/* json_parse for a file of at most `max` bytes. */
json_t *json_read_file(const char *path, size_t max, struct error *err);

/* Read a member of an object. *ret is set only on success; texts belong to the object. -EINVAL:
 * it has another type ("'retries' must be a whole number"); -ENOENT: there is none ("'job' is
 * missing"). */
int json_get_str(const json_t *object, const char *key, const char **ret, struct error *err);
int json_get_int(const json_t *object, const char *key, int64_t *ret, struct error *err);
int json_get_bool(const json_t *object, const char *key, bool *ret, struct error *err);
json_t *json_get_object(const json_t *object, const char *key,
                        struct error *err); /* lent; NULL: missing, another type */
json_t *json_get_array(const json_t *object, const char *key, struct error *err);

/* Checks that all keys of an object are in the NULL-ended `allowed`. -EINVAL: one is not; *err
 * names it and suggests another. */
int json_check_keys(const json_t *object, const char *const allowed[], struct error *err);

#endif
