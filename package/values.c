/* values.c - one value: conversion, type, declaration. Maps of them are in values_map.c. */
#include "package/values.h"

#include <errno.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/mem.h"
#include "common/utf8.h"

#define X(n, t) t,
const char *const parameter_type_names[] = {PARAMETER_TYPES(X) NULL};
#undef X

enum { SHOWN_MAX = 60 }; /* bytes of a value that a sentence shows */

const char *parameter_type_text(enum parameter_type t)
{
    return (unsigned)t < PARAMETER_TYPE_COUNT ? parameter_type_names[t] : "?";
}

int parameter_type_parse(struct span word)
{
    for (int t = 0; t < PARAMETER_TYPE_COUNT; t++)
        if (span_eq_str(word, parameter_type_names[t]))
            return t;
    return -1;
}

static int shown(struct span s)
{
    return (int)(s.n < SHOWN_MAX ? s.n : SHOWN_MAX);
}

static int expected(const char *what, struct span text, struct error *err)
{
    return error_set(err, -EINVAL, "expected %s, not '%.*s'", what, shown(text),
                     text.p ? (const char *)text.p : "");
}

static int check_text(struct span text, struct error *err)
{
    if (!utf8_is_valid(text, NULL) || (text.n && memchr(text.p, 0, text.n)))
        return error_set(err, -EINVAL, "expected text in UTF-8 without NUL bytes");
    return 0;
}

/* "2026-11-21" and nothing else. */
static bool is_date(struct span s)
{
    char copy[CLOCK_TEXT];
    int64_t ms;
    return s.n == 10 && span_copy_str(s, copy, sizeof copy) && clock_parse(copy, &ms, NULL) == 0;
}

static bool is_datetime(struct span s, int64_t *ret_ms)
{
    char copy[64];
    return s.n > 10 && span_copy_str(s, copy, sizeof copy) && clock_parse(copy, ret_ms, NULL) == 0;
}

static int int_from_text(const char *s, struct span text, struct buf *out, struct error *err)
{
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (!*s || *end || strchr(" \t\n\v\f\r+", *s))
        return expected("an int", text, err);
    if (errno == ERANGE)
        return expected("an int of 64 bits", text, err);
    value_add_int(out, v);
    return 0;
}

static int float_from_text(const char *s, struct span text, struct buf *out, struct error *err)
{
    char *end;
    if (!*s || strspn(s, "0123456789+-.eE") != strlen(s)) /* no hexadecimal, no inf, no nan */
        return expected("a float", text, err);
    double v = strtod(s, &end); /* programs of Longboat stay in the C locale for numbers */
    if (*end)
        return expected("a float", text, err);
    if (!isfinite(v))
        return expected("a float that fits into 64 bits", text, err);
    value_add_float(out, v);
    return 0;
}

static int json_from_text(struct span text, struct buf *out, struct error *err)
{
    json_error_t why;
    json_t *json = json_loadb(text.p ? (const char *)text.p : "", text.n,
                              JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);
    if (!json)
        return error_set(err, -EINVAL, "expected JSON (line %d, column %d: %.200s)", why.line,
                         why.column, why.text);
    int rc = values_from_json(PARAMETER_JSON, json, out, err);
    json_decref(json);
    return rc;
}

int values_from_text(enum parameter_type type, struct span text, struct buf *out, struct error *err)
{
    int rc = check_text(text, err);
    if (rc < 0)
        return rc;
    char number[400] = ""; /* longer than any number that 64 bits can hold, leading zeros aside */
    int64_t ms;
    switch (type) {
    case PARAMETER_STRING:
        break;
    case PARAMETER_INT:
    case PARAMETER_FLOAT:
        if (!span_copy_str(text, number, sizeof number))
            return expected("a number", text, err);
        return type == PARAMETER_INT ? int_from_text(number, text, out, err)
                                     : float_from_text(number, text, out, err);
    case PARAMETER_BOOL:
        if (!span_eq_str(text, "true") && !span_eq_str(text, "false"))
            return expected("true or false", text, err);
        value_add_bool(out, span_eq_str(text, "true"));
        return 0;
    case PARAMETER_DATE:
        if (!is_date(text))
            return expected("a date like 2026-11-21", text, err);
        break;
    case PARAMETER_DATETIME:
        if (!is_datetime(text, &ms))
            return expected("a time with its offset like 2026-11-21T09:13:55Z", text, err);
        break;
    case PARAMETER_JSON:
        return json_from_text(text, out, err);
    case PARAMETER_TYPE_COUNT:
        return error_set(err, -EINVAL, "unknown parameter type");
    }
    value_add_str(out, text);
    return 0;
}

static int any_from_json(const json_t *json, unsigned depth, struct buf *out, struct error *err)
{
    if (depth >= LIMIT_DEPTH)
        return error_set(err, -EINVAL, "expected at most %d levels of lists and objects",
                         LIMIT_DEPTH);
    struct span text = span_of(json_string_value(json), json_string_length(json));
    size_t i;
    const json_t *item;
    const char *key;
    int rc = 0;
    switch (json_typeof(json)) {
    case JSON_NULL:
        value_add_null(out);
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        value_add_bool(out, json_is_true(json));
        return 0;
    case JSON_INTEGER:
        value_add_int(out, json_integer_value(json));
        return 0;
    case JSON_REAL:
        value_add_float(out, json_real_value(json));
        return 0;
    case JSON_STRING:
        if ((rc = check_text(text, err)) == 0)
            value_add_str(out, text);
        return rc;
    case JSON_ARRAY:
        if (json_array_size(json) > LIMIT_PARAMETERS)
            return error_set(err, -EINVAL, "expected a shorter list");
        value_add_list(out, (uint32_t)json_array_size(json));
        json_array_foreach (json, i, item)
            if (rc == 0)
                rc = any_from_json(item, depth + 1, out, err);
        return rc;
    case JSON_OBJECT:
        value_add_map(out, (uint32_t)json_object_size(json));
        json_object_foreach ((json_t *)json, key, item) {
            if (strlen(key) > LIMIT_NAME || !*key)
                return error_set(err, -EINVAL, "expected keys of 1 to %d bytes, not '%.80s'",
                                 LIMIT_NAME, key);
            value_add_str(out, span_str(key));
            if ((rc = any_from_json(item, depth + 1, out, err)) < 0)
                return rc;
        }
        return 0;
    }
    return error_set(err, -EINVAL, "expected JSON");
}

int values_from_json(enum parameter_type type, const json_t *json, struct buf *out,
                     struct error *err)
{
    if (type == PARAMETER_JSON) {
        size_t was = out->n;
        int rc = any_from_json(json, 0, out, err);
        if (rc == 0)
            rc = value_check(span_of(out->p + was, out->n - was), err);
        if (rc < 0)
            out->n = was;
        return rc;
    }
    char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_COMPACT);
    struct span t = span_str(text);
    int rc = 0;
    if (type == PARAMETER_INT && json_is_integer(json))
        value_add_int(out, json_integer_value(json));
    else if (type == PARAMETER_FLOAT && json_is_number(json))
        value_add_float(out, json_number_value(json));
    else if (type == PARAMETER_BOOL && json_is_boolean(json))
        value_add_bool(out, json_is_true(json));
    else if (json_is_string(json) && type != PARAMETER_INT && type != PARAMETER_FLOAT &&
             type != PARAMETER_BOOL)
        rc = values_from_text(type, span_of(json_string_value(json), json_string_length(json)), out,
                              err);
    else
        rc = error_set(err, -EINVAL, "expected the type %s, not %.*s", parameter_type_text(type),
                       shown(t), text ? text : "");
    free(text);
    return rc;
}

static json_t *list_to_json(const struct value *v)
{
    json_t *list = json_array();
    struct span in = v->items.items;
    struct value item;
    for (uint32_t i = 0; i < v->items.count && value_read(&in, &item); i++)
        json_array_append_new(list, values_to_json(&item));
    return list;
}

static json_t *map_to_json(const struct value *v)
{
    json_t *map = json_object();
    struct wire_iter it = wire_iter(&v->items);
    struct span name;
    struct value item;
    while (wire_next_pair(&it, &name, &item)) {
        char *key = span_dup_str(name);
        json_object_set_new(map, key, values_to_json(&item));
        mem_free(&key);
    }
    return map;
}

json_t *values_to_json(const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL:
        return json_null();
    case VALUE_BOOL:
        return json_boolean(v->boolean);
    case VALUE_INT:
        return json_integer(v->integer);
    case VALUE_FLOAT:
        return json_real(v->real);
    case VALUE_STR:
        return json_stringn((const char *)v->bytes.p, v->bytes.n);
    case VALUE_LIST:
        return list_to_json(v);
    case VALUE_MAP:
        return map_to_json(v);
    case VALUE_BIN:
        break;
    }
    struct buf quoted = {0};
    value_to_json(v, &quoted);
    json_t *text = json_loadb((const char *)quoted.p, quoted.n, JSON_DECODE_ANY, NULL);
    buf_free(&quoted);
    return text;
}

int values_check_type(enum parameter_type type, const struct value *v, struct error *err)
{
    int64_t ms;
    bool good = false;
    switch (type) {
    case PARAMETER_STRING:
        good = v->type == VALUE_STR;
        break;
    case PARAMETER_INT:
        good = v->type == VALUE_INT;
        break;
    case PARAMETER_FLOAT:
        good = v->type == VALUE_FLOAT || v->type == VALUE_INT;
        break;
    case PARAMETER_BOOL:
        good = v->type == VALUE_BOOL;
        break;
    case PARAMETER_DATE:
        good = v->type == VALUE_STR && is_date(v->bytes);
        break;
    case PARAMETER_DATETIME:
        good = v->type == VALUE_STR && is_datetime(v->bytes, &ms);
        break;
    case PARAMETER_JSON:
        good = true;
        break;
    case PARAMETER_TYPE_COUNT:
        break;
    }
    return good ? 0 : error_set(err, -EINVAL, "expected the type %s", parameter_type_text(type));
}

static int compare_numbers(const struct value *a, const struct value *b)
{
    if (a->type == VALUE_INT && b->type == VALUE_INT)
        return a->integer < b->integer ? -1 : a->integer > b->integer;
    double x = a->type == VALUE_INT ? (double)a->integer : a->real,
           y = b->type == VALUE_INT ? (double)b->integer : b->real;
    return x < y ? -1 : x > y;
}

int values_compare(enum parameter_type type, const struct value *a, const struct value *b)
{
    if (type == PARAMETER_INT || type == PARAMETER_FLOAT)
        return compare_numbers(a, b);
    int64_t x = 0, y = 0;
    if (type == PARAMETER_DATETIME && is_datetime(a->bytes, &x) && is_datetime(b->bytes, &y))
        return x < y ? -1 : x > y;
    size_t n = a->bytes.n < b->bytes.n ? a->bytes.n : b->bytes.n;
    int c = n ? memcmp(a->bytes.p, b->bytes.p, n) : 0;
    return c ? c : (a->bytes.n > b->bytes.n) - (a->bytes.n < b->bytes.n);
}

static int compile(const char *pattern, regex_t *re, struct error *err)
{
    char *whole = mem_printf("^(%s)$", pattern), why[200];
    int code = regcomp(re, whole, REG_EXTENDED | REG_NOSUB);
    mem_free(&whole);
    if (code == 0)
        return 0;
    regerror(code, re, why, sizeof why);
    return error_set(err, -EINVAL, "'%.100s' is not a POSIX extended regular expression: %s",
                     pattern, why);
}

int values_pattern_check(const char *pattern, struct error *err)
{
    regex_t re;
    int rc = compile(pattern, &re, err);
    if (rc == 0)
        regfree(&re);
    return rc;
}

static int judge_pattern(const struct d_parameter *p, const struct value *v, struct error *err)
{
    if (!p->pattern.n || v->type != VALUE_STR)
        return 0;
    char *pattern = span_dup_str(p->pattern), *text = span_dup_str(v->bytes);
    regex_t re;
    int rc = compile(pattern, &re, err);
    if (rc == 0) {
        if (regexec(&re, text, 0, NULL, 0) != 0)
            rc = error_set(err, -EINVAL, "must match the pattern %.200s", pattern);
        regfree(&re);
    }
    mem_free(&pattern);
    mem_free(&text);
    return rc;
}

static int judge_range(const struct d_parameter *p, enum parameter_type type, const struct value *v,
                       struct error *err)
{
    struct span least = p->minimum, most = p->maximum;
    struct value edge;
    struct buf text = {0};
    int rc = 0;
    if (value_read(&least, &edge) && values_compare(type, v, &edge) < 0) {
        value_to_text(&edge, &text);
        rc = error_set(err, -EINVAL, "must be at least %s", buf_str(&text));
    } else if (value_read(&most, &edge) && values_compare(type, v, &edge) > 0) {
        value_to_text(&edge, &text);
        rc = error_set(err, -EINVAL, "must be at most %s", buf_str(&text));
    }
    buf_free(&text);
    return rc;
}

static int judge_allowed(const struct d_parameter *p, const struct value *v, struct error *err)
{
    if (!p->allowed.count)
        return 0;
    struct buf all = {0};
    struct wire_iter it = wire_iter(&p->allowed);
    struct span item;
    while (wire_next(&it, &item)) {
        struct span in = item;
        struct value one;
        if (span_eq(item, v->raw)) {
            buf_free(&all);
            return 0;
        }
        if (value_read(&in, &one) && all.n < 300) {
            buf_add_str(&all, all.n ? ", " : "");
            value_to_text(&one, &all);
        }
    }
    int rc = error_set(err, -EINVAL, "must be one of %.300s", buf_str(&all));
    buf_free(&all);
    return rc;
}

int values_judge(const struct d_parameter *p, const struct value *v, struct error *err)
{
    int type = parameter_type_parse(p->type), rc;
    if (type < 0)
        return error_set(err, -EINVAL,
                         "parameter '" SPAN_FMT "' has the unknown type '" SPAN_FMT "'",
                         SPAN_ARG(p->name), SPAN_ARG(p->type));
    rc = values_check_type((enum parameter_type)type, v, err);
    if (rc == 0)
        rc = judge_allowed(p, v, err);
    if (rc == 0)
        rc = judge_pattern(p, v, err);
    if (rc == 0)
        rc = judge_range(p, (enum parameter_type)type, v, err);
    if (rc == 0)
        return 0;
    struct buf text = {0};
    if (!p->sensitive)
        value_to_text(v, &text);
    char *value = buf_str(&text)[0] ? mem_printf(" = '%.60s'", buf_str(&text)) : mem_strdup("");
    error_prefix(err, "parameter '" SPAN_FMT "'%s", SPAN_ARG(p->name), value);
    mem_free(&value);
    buf_free(&text);
    return rc;
}
