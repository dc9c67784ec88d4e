/* values_yaml.c - values from YAML nodes. */
#include "package/values.h"

#include <errno.h>
#include <string.h>

void values_to_text(enum parameter_type type, const struct value *v, struct buf *out)
{
    if (type == PARAMETER_JSON)
        value_to_json(v, out);
    else
        value_to_text(v, out);
}

int values_from_yaml(enum parameter_type type, const struct yaml_node *node, struct buf *out,
                     struct error *err)
{
    int64_t integer;
    double real;
    bool boolean;
    const char *text;
    int rc;
    switch (type) {
    case PARAMETER_INT:
        if ((rc = yaml_int(node, &integer, err)) == 0)
            value_add_int(out, integer);
        return rc;
    case PARAMETER_FLOAT:
        if ((rc = yaml_float(node, &real, err)) == 0)
            value_add_float(out, real);
        return rc;
    case PARAMETER_BOOL:
        if ((rc = yaml_bool(node, &boolean, err)) == 0)
            value_add_bool(out, boolean);
        return rc;
    case PARAMETER_JSON:
        return values_guess_from_yaml(node, out, err);
    default:
        if ((rc = yaml_str(node, &text, err)) == 0 &&
            values_from_text(type, span_str(text), out, err) < 0)
            rc = yaml_place(node, err);
        return rc;
    }
}

static int guess_scalar(const struct yaml_node *node, struct buf *out, struct error *err)
{
    enum parameter_type type;
    switch (yaml_type(node)) {
    case YAML_TYPE_NULL:
        value_add_null(out);
        return 0;
    case YAML_TYPE_BOOL:
        type = PARAMETER_BOOL;
        break;
    case YAML_TYPE_INT:
        type = PARAMETER_INT;
        break;
    case YAML_TYPE_FLOAT:
        type = PARAMETER_FLOAT;
        break;
    default:
        type = PARAMETER_STRING;
        break;
    }
    return values_from_yaml(type, node, out, err);
}

static int guess(const struct yaml_node *node, unsigned depth, struct buf *out, struct error *err)
{
    if (depth >= LIMIT_DEPTH)
        return yaml_error(node, err, "a value may have at most %d levels of lists and maps",
                          LIMIT_DEPTH);
    if (yaml_kind(node) == YAML_KIND_SCALAR)
        return guess_scalar(node, out, err);
    bool map = yaml_is_map(node);
    int rc = 0;
    if (yaml_count(node) > LIMIT_PARAMETERS)
        return yaml_error(node, err, "this value has too many items");
    if (map)
        value_add_map(out, (uint32_t)yaml_count(node));
    else
        value_add_list(out, (uint32_t)yaml_count(node));
    for (size_t i = 0; rc == 0 && i < yaml_count(node); i++) {
        if (map) {
            struct span key = yaml_text(yaml_key(node, i));
            if (!key.n || key.n > LIMIT_NAME || memchr(key.p, 0, key.n))
                return yaml_error(yaml_key(node, i), err, "a key of a value has 1 to %d bytes",
                                  LIMIT_NAME);
            value_add_str(out, key);
        }
        rc = guess(map ? yaml_value(node, i) : yaml_item(node, i), depth + 1, out, err);
    }
    return rc;
}

int values_guess_from_yaml(const struct yaml_node *node, struct buf *out, struct error *err)
{
    size_t was = out->n;
    int rc = guess(node, 0, out, err);
    if (rc == 0 && value_check(span_of(out->p + was, out->n - was), err) < 0)
        rc = yaml_place(node, err);
    if (rc < 0)
        out->n = was;
    return rc;
}
