/* values.h - parameters between people and the wire: texts, JSON, YAML and declared types. Pure.
 *
 * On the wire a parameter is a value of wire.h. A string is a string; int an integer; float a 64
 * bit float; bool a bool; date the string "2026-11-21"; datetime a string of RFC 3339 with its
 * offset; json any value. What a person types becomes a value by the type that the package
 * declares; without a declaration it is a string, as typed. */
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

/* A default may be one of these instead of a value; the runner puts in what they stand for. */
#define VALUES_AS_OF  "{{as_of}}"
#define VALUES_SERVER "{{server}}"

/* Appends the value that `text`, typed by a person, is under the type. -EINVAL with a sentence that
 * begins with what is expected ("expected an int, not '12a'"); nothing is appended then. */
int values_from_text(enum parameter_type type, struct span text, struct buf *out,
                     struct error *err);
/* The same from JSON; json null only where the type is json. An int is taken as a float, never the
   other way. */
int values_from_json(enum parameter_type type, const json_t *json, struct buf *out,
                     struct error *err);
/* The same from a node of a YAML file; the sentence begins with its place. Strings take any scalar
 * but null, as spelt. */
int values_from_yaml(enum parameter_type type, const struct yaml_node *node, struct buf *out,
                     struct error *err);
/* By its spelling: 3 is an int, 3.0 a float, true a bool, null null, lists and maps what they are,
 * all else a string. */
int values_guess_from_yaml(const struct yaml_node *node, struct buf *out, struct error *err);
/* The text that values_from_text reads back as this value of this type. */
void values_to_text(enum parameter_type type, const struct value *v, struct buf *out);
/* Back to JSON: yours (json_decref). Bytes, which JSON has not got, become base64 text. */
json_t *values_to_json(const struct value *v);

/* Does an encoded value have the type? For what came from elsewhere. */
int values_check_type(enum parameter_type type, const struct value *v, struct error *err);
/* Does it fit the declaration: type, allowed values, pattern (POSIX extended, the whole string),
 * minimum, maximum? The sentence names the parameter; a sensitive value is not shown. -EINVAL */
int values_judge(const struct d_parameter *p, const struct value *v, struct error *err);
/* <0, 0, >0 for two values of one ordered type (int, float, date, datetime). */
int values_compare(enum parameter_type type, const struct value *a, const struct value *b);
int values_pattern_check(const char *pattern, struct error *err); /* can the pattern be compiled? */

/* "name=value" texts, as after -p, into a map: sorted, no name twice. `declared` NULL: all strings.
 * Otherwise unknown names are refused (with did-you-mean) and each value is judged; whether
 * required ones are missing is not: defaults of the server may follow (values_missing). *ret points
 * into `items`. -EINVAL, -EMSGSIZE. */
int values_map_from_texts(const char *const texts[], size_t n, const struct wire_list *declared,
                          struct buf *items, struct wire_list *ret, struct error *err);
/* The same from a JSON object; without declarations values keep their JSON type. */
int values_map_from_json(const json_t *object, const struct wire_list *declared, struct buf *items,
                         struct wire_list *ret, struct error *err);
/* -EINVAL with the names of all required parameters that the map has not got. */
int values_missing(const struct wire_list *map, const struct wire_list *declared,
                   struct error *err);

#endif
