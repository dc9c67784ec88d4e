/* yaml.h - YAML for people's files: a strict tree in which every node knows its line and column.
 *
 * Of YAML: mappings, sequences and scalars in all their spellings. Refused, with "file:line:column:
 * ...": keys given twice, keys that are not scalars, anchors, aliases, tags, a second document,
 * more than 64 levels, more than 16 MiB, bad UTF-8. Only a plain true or false is a boolean, only a
 * plain null, ~ or nothing is null, numbers are JSON's; all else is text: `on`, `no`, `012`, `1e`
 * mean what they say.
 *
 * A tree is immutable; its nodes and texts are lent and live as long as it. */
#ifndef LB_COMMON_YAML_H
#define LB_COMMON_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/error.h"

enum { YAML_DEPTH_MAX = 64, YAML_BYTES_MAX = 16 << 20 };

struct yaml;
struct yaml_node;
enum yaml_kind { YAML_KIND_MAP, YAML_KIND_SEQ, YAML_KIND_SCALAR };
enum yaml_type { YAML_TYPE_NULL, YAML_TYPE_BOOL, YAML_TYPE_INT, YAML_TYPE_FLOAT, YAML_TYPE_STR };

/* Reads a file; release *ret with yaml_free. -EINVAL: not such YAML; else as file_read. */
int yaml_read_file(const char *path, struct yaml **ret, struct error *err);
/* Reads bytes. Errors say `name` instead of a path; it is copied. The bytes may be freed
 * afterwards. */
int yaml_read_bytes(const char *name, struct span bytes, struct yaml **ret, struct error *err);

/* libyaml exports a yaml_free of its own; ours must not replace it when programs are linked. */
#define yaml_free yaml_tree_free
void yaml_free(struct yaml **y); /* sets *y to NULL; NULL is fine */

/* Never NULL: an empty document is a null scalar. */
const struct yaml_node *yaml_root(const struct yaml *y);

/* These take NULL (a missing key) and treat it as a null scalar. */
enum yaml_kind yaml_kind(const struct yaml_node *node);
/* Of a scalar; STR for maps and sequences: call yaml_kind first. */
enum yaml_type yaml_type(const struct yaml_node *node);
bool yaml_is_null(const struct yaml_node *node);
bool yaml_is_map(const struct yaml_node *node);
bool yaml_is_seq(const struct yaml_node *node);
bool yaml_is_quoted(const struct yaml_node *node); /* a scalar in quotes or a | or > block */
/* a scalar's text as given; also NUL-terminated */
struct span yaml_text(const struct yaml_node *node);
unsigned yaml_line(const struct yaml_node *node); /* counted from 1 */
unsigned yaml_column(const struct yaml_node *node);

/* entries or items; 0 for scalars */
size_t yaml_count(const struct yaml_node *node);
/* NULL: there is no such key, or the node is not a map. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* in the order of the file */
const struct yaml_node *yaml_key(const struct yaml_node *map, size_t i);
const struct yaml_node *yaml_value(const struct yaml_node *map, size_t i);
const struct yaml_node *yaml_item(const struct yaml_node *seq, size_t i);

/* Typed: 0, or -EINVAL with "nightly.yaml:3:10: 'retries' must be a whole number, not 'abc'"; *ret
 * only on success. yaml_str takes any scalar but null (`version: 1.10` is the text "1.10"), without
 * NUL bytes; the others want the plain spelling, except durations and sizes, which may be
 * quoted. */
int yaml_str(const struct yaml_node *node, const char **ret, struct error *err);
int yaml_int(const struct yaml_node *node, int64_t *ret, struct error *err);
/* whole numbers too */
int yaml_float(const struct yaml_node *node, double *ret, struct error *err);
int yaml_bool(const struct yaml_node *node, bool *ret, struct error *err);
int yaml_duration(const struct yaml_node *node, int64_t *ret_ms, struct error *err);
int yaml_size(const struct yaml_node *node, int64_t *ret_bytes, struct error *err);
int yaml_expect_map(const struct yaml_node *node, struct error *err);
int yaml_expect_seq(const struct yaml_node *node, struct error *err);

/* Sets the given sentence after the node's "file:line:column: ". Returns -EINVAL. A NULL node adds
 * no place. */
int yaml_error(const struct yaml_node *node, struct error *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Puts the node's place before the sentence in *err. Returns the unchanged code. */
int yaml_place(const struct yaml_node *node, struct error *err);

/* Checks that all keys of a map are in the NULL-ended `allowed`. -EINVAL: one is not; *err names
 * it and suggests another. */
int yaml_check_keys(const struct yaml_node *map, const char *const allowed[], struct error *err);
/* The value of a required key. NULL: *err says "'job' is missing" with the map's place. */
const struct yaml_node *yaml_require(const struct yaml_node *map, const char *key,
                                     struct error *err);

#endif
