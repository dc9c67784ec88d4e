/* json.h - the little that jansson leaves to be said about every JSON we read or write. */
#ifndef LB_COMMON_JSON_H
#define LB_COMMON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

/* One spelling for equal values: keys sorted bytewise, no white space, UTF-8 unescaped. What is
 * hashed or signed has no floating-point numbers in it. A C string; yours to free. */
char *json_dump_canonical(const json_t *value);

/* Any JSON value; keys given twice and NUL characters are refused. NULL and "name:line:column: ..."
 * when it is none. Yours: json_decref. */
json_t *json_parse(const char *name, struct span text, struct error *err);
/* The same for a file of at most `max` bytes. */
json_t *json_read_file(const char *path, size_t max, struct error *err);

/* Typed access to a member of an object: 0, or -EINVAL with "'retries' must be a whole number";
 * -ENOENT and "'job' is missing" when it is not there. *ret only on success; texts are lent. */
int json_get_str(const json_t *object, const char *key, const char **ret, struct error *err);
int json_get_int(const json_t *object, const char *key, int64_t *ret, struct error *err);
int json_get_bool(const json_t *object, const char *key, bool *ret, struct error *err);
json_t *json_get_object(const json_t *object, const char *key,
                        struct error *err); /* lent; NULL: missing, another type */
json_t *json_get_array(const json_t *object, const char *key, struct error *err);

/* An object whose keys are all among the NULL-ended `allowed`; else -EINVAL, the key, and what may
 * have been meant. */
int json_check_keys(const json_t *object, const char *const allowed[], struct error *err);

#endif
