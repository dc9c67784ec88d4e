/* manifest_parameter.c - parameters and outputs of a package.yaml. */
#include "package/manifest_parameter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/name.h"
#include "common/suggest.h"
#include "package/manifest_keys.h"

static const char *const parameter_keys[] = {MANIFEST_PARAMETER_KEYS(MANIFEST_KEY_TEXT) NULL};
static const char *const job_keys[] = {"description",
                                       MANIFEST_PARAMETER_KEYS(MANIFEST_KEY_TEXT) NULL};
static const char *const output_keys[] = {MANIFEST_OUTPUT_KEYS(MANIFEST_KEY_TEXT) NULL};

/* Does the text stand for something that the runner fills in, and can the type hold it? */
static bool is_template(enum parameter_type type, struct span text)
{
    if (span_eq_str(text, VALUES_AS_OF))
        return type == PARAMETER_DATE || type == PARAMETER_DATETIME || type == PARAMETER_STRING;
    return type == PARAMETER_STRING && span_eq_str(text, VALUES_SERVER);
}

int manifest_fallback_from_text(enum parameter_type type, struct span text, struct buf *out,
                                struct error *err)
{
    if (is_template(type, text)) {
        value_add_str(out, text);
        return 0;
    }
    if (text.n >= 2 && type != PARAMETER_JSON && memmem(text.p, text.n, "{{", 2))
        return error_set(err, -EINVAL,
                         "'%.*s' cannot be a default: as the whole value, " VALUES_AS_OF
                         " stands for a date, datetime or string, " VALUES_SERVER " for a string",
                         (int)(text.n < 60 ? text.n : 60), (const char *)text.p);
    return values_from_text(type, text, out, err);
}

static bool has_template(const struct manifest_parameter *p)
{
    struct span in = buf_span(&p->fallback);
    struct value v;
    return value_read(&in, &v) && v.type == VALUE_STR && is_template(p->type, v.bytes);
}

static bool is_ordered(enum parameter_type t)
{
    return t == PARAMETER_INT || t == PARAMETER_FLOAT || t == PARAMETER_DATE ||
           t == PARAMETER_DATETIME;
}

static int check_pattern(const struct manifest_parameter *p, struct error *err)
{
    if (*p->pattern && p->type != PARAMETER_STRING)
        return error_set(err, -EINVAL, "only strings have a pattern; this is of type %s",
                         parameter_type_text(p->type));
    if (strlen(p->pattern) > LIMIT_TEXT)
        return error_set(err, -EINVAL, "a pattern has at most %d bytes", LIMIT_TEXT);
    return *p->pattern ? values_pattern_check(p->pattern, err) : 0;
}

static int check_ordered(const struct manifest_parameter *p, const struct buf *bound,
                         struct error *err)
{
    if (!bound->n || is_ordered(p->type))
        return 0;
    return error_set(err, -EINVAL,
                     "only int, float, date and datetime have min and max; this is of type %s",
                     parameter_type_text(p->type));
}

static int check_min(const struct manifest_parameter *p, struct error *err)
{
    struct span low = buf_span(&p->minimum), high = buf_span(&p->maximum);
    struct value least, most;
    if (check_ordered(p, &p->minimum, err) < 0)
        return -EINVAL;
    if (is_ordered(p->type) && value_read(&low, &least) && value_read(&high, &most) &&
        values_compare(p->type, &least, &most) > 0)
        return error_set(err, -EINVAL, "min is greater than max");
    return 0;
}

static int check_max(const struct manifest_parameter *p, struct error *err)
{
    return check_ordered(p, &p->maximum, err);
}

/* May it have a default at all? */
static int check_default(const struct manifest_parameter *p, struct error *err)
{
    if (p->fallback.n && p->sensitive)
        return error_set(
            err, -EINVAL,
            "a sensitive parameter cannot have a default: anyone who has the package could read "
            "it");
    if (p->fallback.n && p->required)
        return error_set(err, -EINVAL,
                         "a required parameter cannot have a default: it would never be used");
    return 0;
}

/* Does the default fit the rest? Only where the rest is right itself. */
static int check_fallback(const struct manifest_parameter *p, struct error *err)
{
    struct d_parameter d = {.name = span_str(p->name),
                            .type = span_str(parameter_type_text(p->type)),
                            .allowed = {buf_span(&p->allowed), p->n_allowed},
                            .pattern = span_str(p->pattern),
                            .minimum = buf_span(&p->minimum),
                            .maximum = buf_span(&p->maximum)};
    struct span in = buf_span(&p->fallback);
    struct value v;
    if (!p->fallback.n || check_pattern(p, NULL) < 0 || check_min(p, NULL) < 0 ||
        check_max(p, NULL) < 0 || check_default(p, NULL) < 0)
        return 0;
    if (!value_read(&in, &v))
        return error_set(err, -EINVAL, "the default is not a value");
    return has_template(p) ? 0 : values_judge(&d, &v, err);
}

static const struct {
    const char *key; /* that the sentence is about */
    int (*check)(const struct manifest_parameter *p, struct error *err);
} parameter_rules[] = {{"pattern", check_pattern},
                       {"min", check_min},
                       {"max", check_max},
                       {"default", check_default},
                       {"default", check_fallback}};
enum { PARAMETER_RULES = sizeof parameter_rules / sizeof *parameter_rules };

int manifest_parameter_check(const struct manifest_parameter *p, struct error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < PARAMETER_RULES; i++)
        rc = parameter_rules[i].check(p, err);
    return rc;
}

/* ---- From YAML */

static bool note(struct problems *ps, int rc, const struct error *err)
{
    if (rc < 0)
        problems_add_error(ps, err);
    return rc >= 0;
}

static int read_type(const struct yaml_node *map, enum parameter_type *ret, struct problems *ps)
{
    struct error err;
    char hint[SUGGEST_TEXT];
    const char *word;
    const struct yaml_node *node = yaml_require(map, "type", &err);
    if (!note(ps, node ? yaml_str(node, &word, &err) : -EINVAL, &err))
        return -EINVAL;
    int type = parameter_type_parse(span_str(word));
    if (type < 0) {
        note(ps,
             yaml_error(
                 node, &err,
                 "unknown type '%.60s'%s; types are string, int, float, bool, date, datetime, json",
                 word, suggest_hint(word, parameter_type_names, hint)),
             &err);
        return -EINVAL;
    }
    *ret = (enum parameter_type)type;
    return 0;
}

static void read_value(const struct yaml_node *map, const char *key, enum parameter_type type,
                       struct buf *out, struct problems *ps)
{
    struct error err;
    const struct yaml_node *node = yaml_get(map, key);
    if (node)
        note(ps, values_from_yaml(type, node, out, &err), &err);
}

static void read_fallback(const struct yaml_node *map, struct manifest_parameter *p,
                          struct problems *ps)
{
    struct error err;
    const struct yaml_node *node = yaml_get(map, "default");
    if (!node)
        return;
    int rc;
    if (yaml_kind(node) == YAML_KIND_SCALAR && yaml_type(node) == YAML_TYPE_STR &&
        p->type != PARAMETER_JSON) {
        rc = manifest_fallback_from_text(p->type, yaml_text(node), &p->fallback, &err);
        if (rc < 0)
            yaml_place(node, &err);
    } else {
        rc = values_from_yaml(p->type, node, &p->fallback, &err);
    }
    note(ps, rc, &err);
}

static void read_allowed(const struct yaml_node *map, struct manifest_parameter *p,
                         struct problems *ps)
{
    struct error err;
    const struct yaml_node *seq = yaml_get(map, "allowed");
    if (!seq || !note(ps, yaml_expect_seq(seq, &err), &err))
        return;
    if (yaml_count(seq) == 0 || yaml_count(seq) > LIMIT_VALUES) {
        note(ps, yaml_error(seq, &err, "'allowed' has 1 to %d values", LIMIT_VALUES), &err);
        return;
    }
    for (size_t i = 0; i < yaml_count(seq); i++) {
        struct buf one = {0};
        if (note(ps, values_from_yaml(p->type, yaml_item(seq, i), &one, &err), &err)) {
            wire_add_bin(&p->allowed, buf_span(&one));
            p->n_allowed++;
        }
        buf_free(&one);
    }
}

static void read_flag(const struct yaml_node *map, const char *key, bool *ret, struct problems *ps)
{
    struct error err;
    if (yaml_get(map, key))
        note(ps, yaml_bool(yaml_get(map, key), ret, &err), &err);
}

static void read_declaration(const struct yaml_node *map, const char *const keys[],
                             struct manifest_parameter *p, struct problems *ps)
{
    struct error err;
    const char *text = "";
    if (!note(ps, yaml_expect_map(map, &err), &err))
        return;
    manifest_note_unknown_keys(map, keys, ps);
    read_flag(map, "required", &p->required, ps);
    read_flag(map, "sensitive", &p->sensitive, ps);
    read_flag(map, "from_file", &p->from_file, ps);
    if (read_type(map, &p->type, ps) < 0)
        return; /* what the others may be depends on it */
    if (yaml_get(map, "pattern") &&
        note(ps, yaml_str(yaml_get(map, "pattern"), &text, &err), &err)) {
        mem_free(&p->pattern);
        p->pattern = mem_strdup(text);
    }
    read_value(map, "min", p->type, &p->minimum, ps);
    read_value(map, "max", p->type, &p->maximum, ps);
    read_allowed(map, p, ps);
    read_fallback(map, p, ps);
    for (size_t i = 0; i < PARAMETER_RULES; i++)
        if (parameter_rules[i].check(p, &err) < 0) {
            const struct yaml_node *place = yaml_get(map, parameter_rules[i].key);
            yaml_place(place ? place : map, &err);
            problems_add_error(ps, &err);
        }
}

static void read_parameter(const struct yaml_node *map, struct manifest_parameter *p,
                           struct problems *ps)
{
    read_declaration(map, parameter_keys, p, ps);
}

static void read_job_parameter(const struct yaml_node *map, struct manifest_parameter *p,
                               struct problems *ps)
{
    struct error err;
    const char *text;
    const struct yaml_node *node = yaml_get(map, "description");
    read_declaration(map, job_keys, p, ps);
    if (!node || !note(ps, yaml_str(node, &text, &err), &err))
        return;
    if (strlen(text) > LIMIT_TEXT)
        note(ps, yaml_error(node, &err, "a description has at most %d bytes", (int)LIMIT_TEXT),
             &err);
    else
        p->description = mem_strdup(text);
}

static void read_output(const struct yaml_node *map, struct manifest_parameter *p,
                        struct problems *ps)
{
    struct error err;
    if (!note(ps, yaml_expect_map(map, &err), &err))
        return;
    manifest_note_unknown_keys(map, output_keys, ps);
    read_type(map, &p->type, ps);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct manifest_parameter *)a)->name,
                  ((const struct manifest_parameter *)b)->name);
}

static void read_all(const struct yaml_node *map, const char *what, struct manifest_parameter **ret,
                     size_t *ret_n,
                     void (*read_one)(const struct yaml_node *, struct manifest_parameter *,
                                      struct problems *),
                     struct problems *ps)
{
    struct error err;
    if (!map || !note(ps, yaml_expect_map(map, &err), &err))
        return;
    size_t n = yaml_count(map);
    if (n > LIMIT_VALUES) {
        note(ps, yaml_error(map, &err, "%zu entries; the limit is %d", n, LIMIT_VALUES), &err);
        return;
    }
    struct manifest_parameter *list = mem_zalloc(n, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        const struct yaml_node *key = yaml_key(map, i);
        list[i].name = span_dup_str(yaml_text(key));
        list[i].pattern = mem_strdup("");
        if (name_check_identifier(what, yaml_text(key), &err) < 0) {
            yaml_place(key, &err);
            problems_add_error(ps, &err);
        }
        read_one(yaml_value(map, i), &list[i], ps);
    }
    qsort(list, n, sizeof *list, by_name);
    *ret = list;
    *ret_n = n;
}

void manifest_read_parameters(const struct yaml_node *node, struct manifest *m, struct problems *ps)
{
    read_all(node, "the name of a parameter", &m->parameters, &m->n_parameters, read_parameter, ps);
}

void manifest_read_job_parameters(const struct yaml_node *node, struct manifest *m,
                                  struct problems *ps)
{
    read_all(node, "the name of a parameter", &m->parameters, &m->n_parameters, read_job_parameter,
             ps);
}

void manifest_read_outputs(const struct yaml_node *node, struct manifest *m, struct problems *ps)
{
    read_all(node, "the name of an output", &m->outputs, &m->n_outputs, read_output, ps);
}
