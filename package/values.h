/* values.h - turns what people write (text, JSON, YAML) into values of declared types and back.
 * Pure.
 *
 * On the wire a parameter is a value of wire.h: a string for string, an integer for int, a 64
 * bit float for float, a bool for bool, the string "2026-11-21" for date, a string of RFC 3339
 * with its offset for datetime, any value for json. What a person types becomes a value of the
 * type that the package declares; without a declaration it is a string, as typed. */
#ifndef LB_PACKAGE_VALUES_H
#define LB_PACKAGE_VALUES_H

#include <jansson.h>

#include "common/yaml.h"
#include "proto/messages.h"

#define PARAMETER_TYPES(X) \
    X(STRING, "string") \
    X(INT, "int") \
    X(FLOAT, "float") X(BOOL, "bool") X(DATE, "date") X(DATETIME, "datetime") X(JSON, "json")
#define X(n, t) PARAMETER_##n,
enum parameter_type { PARAMETER_TYPES(X) PARAMETER_TYPE_COUNT };
#undef X
const char *parameter_type_text(enum parameter_type t);
int parameter_type_parse(struct span word);      /* -1: no such type */
extern const char *const parameter_type_names[]; /* NULL-ended, for suggest() */

/* A default may be one of these instead of a value; the runner replaces them. */
#define VALUES_AS_OF  "{{as_of}}"
#define VALUES_SERVER "{{server}}"

/* Reads what a person typed as a value of the type and appends it to *out. -EINVAL: it is not
 * one; *err says what is expected ("expected an int, not '12a'") and nothing is appended. */
int values_from_text(enum parameter_type type, struct span text, struct buf *out,
                     struct error *err);
/* The same from JSON. Null fits only the type json; an int fits float, but no float fits int. */
int values_from_json(enum parameter_type type, const json_t *json, struct buf *out,
                     struct error *err);
/* The same from a node of a YAML file; *err begins with its place. A string takes any scalar except
 * null, as it is spelled. */
int values_from_yaml(enum parameter_type type, const struct yaml_node *node, struct buf *out,
                     struct error *err);
/* Chooses the type by the spelling: 3 is an int, 3.0 a float, true a bool, null null; lists and
 * maps are json; all else is a string. */
int values_guess_from_yaml(const struct yaml_node *node, struct buf *out, struct error *err);
/* The text that values_from_text reads back as this value of this type. */
void values_to_text(enum parameter_type type, const struct value *v, struct buf *out);
/* The value as JSON; release it with json_decref. Bytes, which JSON lacks, become base64 text. */
json_t *values_to_json(const struct value *v);

/* -EINVAL: a value that came from elsewhere does not have the type. */
int values_check_type(enum parameter_type type, const struct value *v, struct error *err);
/* Checks a value against its declaration: type, allowed values, pattern (POSIX extended, the whole
 * string), minimum, maximum. -EINVAL: it does not fit; *err names the parameter and does not show a
 * sensitive value. */
int values_judge(const struct d_parameter *p, const struct value *v, struct error *err);
/* <0, 0, >0 for two values of one ordered type (int, float, date, datetime). */
int values_compare(enum parameter_type type, const struct value *a, const struct value *b);
/* -EINVAL: the pattern cannot be compiled; *err says why. */
int values_pattern_check(const char *pattern, struct error *err);

/* Turns "name=value" texts, as after -p, into a sorted map. *ret points into `items`. `declared`
 * NULL: all values are strings. Otherwise each value is checked; missing required parameters are
 * not an error here, because the server's defaults may follow (values_missing). -EINVAL: a name
 * is unknown or given twice, or a value does not fit; -EMSGSIZE: LIMIT_PARAMETERS is exceeded. */
int values_map_from_texts(const char *const texts[], size_t n, const struct wire_list *declared,
                          struct buf *items, struct wire_list *ret, struct error *err);
/* The same from a JSON object. Without declarations, values keep their JSON type. */
int values_map_from_json(const json_t *object, const struct wire_list *declared, struct buf *items,
                         struct wire_list *ret, struct error *err);
/* -EINVAL: the map lacks required parameters; *err names them all. */
int values_missing(const struct wire_list *map, const struct wire_list *declared,
                   struct error *err);

#endif
