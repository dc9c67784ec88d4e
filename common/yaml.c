/* yaml.c - queries a tree; yamlread.c builds it. */
#include "common/yamltree.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/duration.h"
#include "common/mem.h"
#include "common/suggest.h"

void yaml_node_free(struct yaml_node *node)
{
    if (!node)
        return;
    for (size_t i = 0; i < node->count; i++)
        yaml_node_free(node->items[i]); /* as deep as the file, which is at most 64 */
    yaml_node_free(node->key);
    mem_free(&node->items);
    mem_free(&node->sorted);
    mem_free(&node->text);
    mem_free(&node);
}

void yaml_free(struct yaml **y)
{
    if (!*y)
        return;
    yaml_node_free((*y)->root);
    mem_free(&(*y)->name);
    mem_free(y);
}

const struct yaml_node *yaml_root(const struct yaml *y)
{
    return y->root;
}

enum yaml_kind yaml_kind(const struct yaml_node *node)
{
    return node ? node->kind : YAML_KIND_SCALAR;
}

bool yaml_is_map(const struct yaml_node *node)
{
    return yaml_kind(node) == YAML_KIND_MAP;
}

bool yaml_is_seq(const struct yaml_node *node)
{
    return yaml_kind(node) == YAML_KIND_SEQ;
}

bool yaml_is_quoted(const struct yaml_node *node)
{
    return node && node->quoted;
}

struct span yaml_text(const struct yaml_node *node)
{
    return node && node->kind == YAML_KIND_SCALAR ? span_of(node->text, node->n) : span_of("", 0);
}

unsigned yaml_line(const struct yaml_node *node)
{
    return node ? node->line : 0;
}

unsigned yaml_column(const struct yaml_node *node)
{
    return node ? node->column : 0;
}

static const char *skip_digits(const char *s)
{
    while (*s >= '0' && *s <= '9')
        s++;
    return s;
}

/* The number grammar of JSON: no plus, no leading zero, digits on both sides of the point. */
static enum yaml_type number_type(const char *s)
{
    enum yaml_type type = YAML_TYPE_INT;
    s += *s == '-';
    const char *end = *s == '0' ? s + 1 : skip_digits(s);
    if (end == s)
        return YAML_TYPE_STR;
    if (*end == '.') {
        type = YAML_TYPE_FLOAT;
        s = end + 1;
        if ((end = skip_digits(s)) == s)
            return YAML_TYPE_STR;
    }
    if (*end == 'e' || *end == 'E') {
        type = YAML_TYPE_FLOAT;
        s = end + 1;
        s += *s == '-' || *s == '+';
        if ((end = skip_digits(s)) == s)
            return YAML_TYPE_STR;
    }
    return *end ? YAML_TYPE_STR : type;
}

enum yaml_type yaml_type(const struct yaml_node *node)
{
    if (!node)
        return YAML_TYPE_NULL;
    if (node->kind != YAML_KIND_SCALAR || node->quoted || strlen(node->text) != node->n)
        return YAML_TYPE_STR;
    if (node->n == 0 || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0)
        return YAML_TYPE_NULL;
    if (strcmp(node->text, "true") == 0 || strcmp(node->text, "false") == 0)
        return YAML_TYPE_BOOL;
    return number_type(node->text);
}

bool yaml_is_null(const struct yaml_node *node)
{
    return yaml_type(node) == YAML_TYPE_NULL;
}

size_t yaml_count(const struct yaml_node *node)
{
    return node ? node->count : 0;
}

int yaml_key_cmp(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (!yaml_is_map(map))
        return NULL;
    size_t low = 0, high = map->count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = yaml_key_cmp(span_str(key), yaml_text(map->sorted[mid]->key));
        if (c == 0)
            return map->sorted[mid];
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const struct yaml_node *yaml_key(const struct yaml_node *map, size_t i)
{
    return yaml_is_map(map) && i < map->count ? map->items[i]->key : NULL;
}

const struct yaml_node *yaml_value(const struct yaml_node *map, size_t i)
{
    return yaml_is_map(map) && i < map->count ? map->items[i] : NULL;
}

const struct yaml_node *yaml_item(const struct yaml_node *seq, size_t i)
{
    return yaml_is_seq(seq) && i < seq->count ? seq->items[i] : NULL;
}

int yaml_place(const struct yaml_node *node, struct error *err)
{
    if (!node)
        return err ? err->code : -EINVAL;
    return error_prefix(err, "%s:%u:%u", node->tree->name, node->line, node->column);
}

int yaml_error(const struct yaml_node *node, struct error *err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    error_vset(err, -EINVAL, fmt, ap);
    va_end(ap);
    yaml_place(node, err);
    return -EINVAL;
}

/* What a sentence calls the node: "'retries'", "item 2 of 'args'", "the document". */
static const char *label(const struct yaml_node *node, char out[120])
{
    if (node && node->key)
        snprintf(out, 120, "'%.60s'", node->key->text);
    else if (node && node->parent && node->parent->key)
        snprintf(out, 120, "item %zu of '%.60s'", node->index + 1, node->parent->key->text);
    else if (node && node->parent)
        snprintf(out, 120, "item %zu", node->index + 1);
    else
        snprintf(out, 120, "%s", node ? "the document" : "the value");
    return out;
}

static int refuse(const struct yaml_node *node, const char *wanted, struct error *err)
{
    char name[120];
    label(node, name);
    if (yaml_is_map(node))
        return yaml_error(node, err, "%s must be %s, not a mapping", name, wanted);
    if (yaml_is_seq(node))
        return yaml_error(node, err, "%s must be %s, not a list", name, wanted);
    if (yaml_is_null(node))
        return yaml_error(node, err, "%s must be %s, not empty", name, wanted);
    return yaml_error(node, err, "%s must be %s, not %s'%.80s'", name, wanted,
                      node->quoted ? "the text " : "", node->text);
}

int yaml_str(const struct yaml_node *node, const char **ret, struct error *err)
{
    if (yaml_kind(node) != YAML_KIND_SCALAR || yaml_is_null(node))
        return refuse(node, "a text", err);
    if (strlen(node->text) != node->n)
        return refuse(node, "a text without NUL characters", err);
    *ret = node->text;
    return 0;
}

int yaml_int(const struct yaml_node *node, int64_t *ret, struct error *err)
{
    if (yaml_type(node) != YAML_TYPE_INT)
        return refuse(node, "a whole number", err);
    errno = 0;
    long long v = strtoll(node->text, NULL, 10);
    if (errno == ERANGE)
        return refuse(node, "a whole number of at most 63 bits", err);
    *ret = v;
    return 0;
}

int yaml_float(const struct yaml_node *node, double *ret, struct error *err)
{
    enum yaml_type type = yaml_type(node);
    if (type != YAML_TYPE_INT && type != YAML_TYPE_FLOAT)
        return refuse(node, "a number", err);
    /* YAML's decimal sign is a point in every locale */
    locale_t c = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (!c)
        mem_die();
    double v = strtod_l(node->text, NULL, c);
    freelocale(c);
    if (v - v != 0)
        return refuse(node, "a number that a double can hold", err);
    *ret = v;
    return 0;
}

int yaml_bool(const struct yaml_node *node, bool *ret, struct error *err)
{
    if (yaml_type(node) != YAML_TYPE_BOOL)
        return refuse(node, "true or false", err);
    *ret = node->text[0] == 't';
    return 0;
}

static int by_parser(const struct yaml_node *node, const char *wanted,
                     int (*parse)(const char *, int64_t *, struct error *), int64_t *ret,
                     struct error *err)
{
    const char *text = NULL;
    struct error why = {0};
    char name[120];
    if (yaml_kind(node) != YAML_KIND_SCALAR || yaml_is_null(node))
        return refuse(node, wanted, err);
    int rc = yaml_str(node, &text, err);
    if (rc == 0 && parse(text, ret, &why) < 0)
        rc = yaml_error(node, err, "%s: %s", label(node, name), why.text);
    return rc;
}

int yaml_duration(const struct yaml_node *node, int64_t *ret_ms, struct error *err)
{
    return by_parser(node, "a duration", duration_parse, ret_ms, err);
}

int yaml_size(const struct yaml_node *node, int64_t *ret_bytes, struct error *err)
{
    return by_parser(node, "a size", size_parse, ret_bytes, err);
}

int yaml_expect_map(const struct yaml_node *node, struct error *err)
{
    return yaml_is_map(node) ? 0 : refuse(node, "a mapping", err);
}

int yaml_expect_seq(const struct yaml_node *node, struct error *err)
{
    return yaml_is_seq(node) ? 0 : refuse(node, "a list", err);
}

int yaml_check_keys(const struct yaml_node *map, const char *const allowed[], struct error *err)
{
    int rc = yaml_expect_map(map, err);
    for (size_t i = 0; rc == 0 && i < map->count; i++) {
        const struct yaml_node *key = map->items[i]->key;
        size_t k = 0;
        while (allowed[k] && !span_eq_str(yaml_text(key), allowed[k]))
            k++;
        char hint[SUGGEST_TEXT];
        if (!allowed[k])
            rc = yaml_error(key, err, "unknown key '%.80s'%s", key->text,
                            suggest_hint(key->text, allowed, hint));
    }
    return rc;
}

const struct yaml_node *yaml_require(const struct yaml_node *map, const char *key,
                                     struct error *err)
{
    if (yaml_expect_map(map, err) < 0)
        return NULL;
    const struct yaml_node *value = yaml_get(map, key);
    if (!value)
        yaml_error(map, err, "'%s' is missing", key);
    return value;
}
