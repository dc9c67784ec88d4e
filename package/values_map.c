/* values_map.c - maps of values from what people type. */
#include "package/values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/name.h"
#include "common/suggest.h"
#include "trust/secretdoc.h"

static int refuse_unknown(const struct wire_list *declared, struct span name, struct error *err)
{
    char **names = mem_zalloc(declared->count + 1, sizeof *names), *given = span_dup_str(name),
         hint[SUGGEST_TEXT];
    struct wire_iter it = wire_iter(declared);
    struct span item;
    struct d_parameter p;
    size_t n = 0;
    while (wire_next(&it, &item))
        if (d_parameter_decode(item, &p, NULL) == 0)
            names[n++] = span_dup_str(p.name);
    int rc = error_set(err, -EINVAL, "there is no parameter '%.80s'%s", given,
                       suggest_hint(given, (const char *const *)names, hint));
    for (size_t i = 0; i < n; i++)
        mem_free(&names[i]);
    mem_free(&names);
    mem_free(&given);
    return rc;
}

struct values_pair {
    char *name;
    struct buf value;
};
struct pairs {
    struct values_pair *v;
    size_t n;
};

static void pairs_free(struct pairs *p)
{
    for (size_t i = 0; i < p->n; i++) {
        mem_free(&p->v[i].name);
        buf_free(&p->v[i].value);
    }
    mem_free(&p->v);
    p->n = 0;
}

/* Makes room for the pair; the caller fills its value. */
static int pairs_add(struct pairs *p, struct span name, struct buf **ret_value, struct error *err)
{
    int rc = name_check_identifier("the name of a parameter", name, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < p->n; i++)
        if (span_eq_str(name, p->v[i].name))
            return error_set(err, -EINVAL, "parameter '%s' is given twice", p->v[i].name);
    if (p->n == LIMIT_VALUES)
        return error_set(err, -EMSGSIZE, "more than %d parameters", LIMIT_VALUES);
    p->v = mem_realloc(p->v, p->n + 1, sizeof *p->v);
    p->v[p->n] = (struct values_pair){.name = span_dup_str(name)};
    *ret_value = &p->v[p->n++].value;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct values_pair *)a)->name, ((const struct values_pair *)b)->name);
}

static int pairs_write(struct pairs *p, struct buf *items, struct wire_list *ret, struct error *err)
{
    size_t was = items->n;
    if (p->n)
        qsort(p->v, p->n, sizeof *p->v, by_name);
    for (size_t i = 0; i < p->n; i++) {
        value_add_str(items, span_str(p->v[i].name));
        buf_add(items, p->v[i].value.p, p->v[i].value.n);
    }
    if (items->n - was > LIMIT_PARAMETERS) {
        size_t n = items->n - was;
        items->n = was;
        return error_set(err, -EMSGSIZE, "the parameters take %zu bytes in all; the limit is %d", n,
                         LIMIT_PARAMETERS);
    }
    ret->items = items->n > was ? span_of(items->p + was, items->n - was) : SPAN_NONE;
    ret->count = (uint32_t)p->n;
    return 0;
}

static int judge(const struct d_parameter *p, struct span encoded, struct error *err)
{
    struct value v;
    if (!value_read(&encoded, &v))
        return error_set(err, -EINVAL, "parameter '" SPAN_FMT "' is malformed", SPAN_ARG(p->name));
    int rc = values_judge(p, &v, err);
    return rc < 0 ? rc : d_parameter_fits(p, p->name, &v, err);
}

/* {secret: NAME}, as it stands in a job file or a plan. */
static bool is_secret(struct span text, struct span *ret_name)
{
    static const char word[] = "secret";
    char *s = span_dup_str(text), name[LIMIT_NAME + 2], end[2];
    int n = -1;
    const bool is = sscanf(s, " { secret : %65[a-z0-9_-] %1[}] %n", name, end, &n) == 2 && n > 0 &&
                    !s[n] && name_is_name(span_str(name));
    const char *at = is ? strstr(strstr(s, word) + strlen(word), name) : NULL;
    if (is)
        *ret_name = span_of(text.p + (at - s), strlen(name));
    mem_free(&s);
    return is;
}

static int add_secret(const struct d_parameter *p, const struct wire_list *declared,
                      struct span parameter, struct span name, struct buf *out, struct error *err)
{
    if (declared && !p->sensitive)
        return error_set(err, -EINVAL,
                         "parameter '" SPAN_FMT "' takes no secret, since it is not sensitive: its "
                         "value would be on record",
                         SPAN_ARG(parameter));
    secretdoc_add_use(out, name);
    return 0;
}

static int add_text(struct pairs *pairs, const char *text, const struct wire_list *declared,
                    struct error *err)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        return error_set(err, -EINVAL, "expected name=value, not '%.80s'", text);
    struct span name = span_of(text, (size_t)(equals - text)), value = span_str(equals + 1), secret;
    struct d_parameter p = {.type = span_str("string")};
    struct buf *out;
    int rc = pairs_add(pairs, name, &out, err);
    if (rc < 0)
        return rc;
    if (declared && !d_parameter_find(declared, name, &p))
        return refuse_unknown(declared, name, err);
    if (is_secret(value, &secret))
        return add_secret(&p, declared, name, secret, out, err);
    int type = parameter_type_parse(p.type);
    rc = values_from_text(type < 0 ? PARAMETER_TYPE_COUNT : (enum parameter_type)type, value, out,
                          err);
    if (rc < 0) {
        if (p.sensitive) /* the sentence would show it */
            return error_set(err, -EINVAL, "parameter '" SPAN_FMT "': expected the type " SPAN_FMT,
                             SPAN_ARG(name), SPAN_ARG(p.type));
        return error_prefix(err, "parameter '" SPAN_FMT "'", SPAN_ARG(name));
    }
    return declared ? judge(&p, buf_span(out), err) : 0;
}

int values_map_from_texts(const char *const texts[], size_t n, const struct wire_list *declared,
                          struct buf *items, struct wire_list *ret, struct error *err)
{
    struct pairs pairs = {0};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = add_text(&pairs, texts[i], declared, err);
    if (rc == 0)
        rc = pairs_write(&pairs, items, ret, err);
    pairs_free(&pairs);
    return rc;
}

static int add_json(struct pairs *pairs, const char *key, const json_t *json,
                    const struct wire_list *declared, struct error *err)
{
    struct d_parameter p = {.type = span_str("json")};
    struct buf *out;
    int rc = pairs_add(pairs, span_str(key), &out, err);
    if (rc < 0)
        return rc;
    if (declared && !d_parameter_find(declared, span_str(key), &p))
        return refuse_unknown(declared, span_str(key), err);
    const char *secret =
        json_object_size(json) == 1 ? json_string_value(json_object_get(json, "secret")) : NULL;
    if (secret && name_is_name(span_str(secret)))
        return add_secret(&p, declared, span_str(key), span_str(secret), out, err);
    int type = parameter_type_parse(p.type);
    if (type < 0)
        return error_set(err, -EINVAL, "parameter '%s' has the unknown type '" SPAN_FMT "'", key,
                         SPAN_ARG(p.type));
    rc = values_from_json((enum parameter_type)type, json, out, err);
    if (rc < 0 && p.sensitive)
        return error_set(err, -EINVAL, "parameter '%s': expected the type " SPAN_FMT, key,
                         SPAN_ARG(p.type));
    if (rc < 0)
        return error_prefix(err, "parameter '%s'", key);
    return declared ? judge(&p, buf_span(out), err) : 0;
}

int values_map_from_json(const json_t *object, const struct wire_list *declared, struct buf *items,
                         struct wire_list *ret, struct error *err)
{
    if (!json_is_object(object))
        return error_set(err, -EINVAL, "expected a JSON object of parameters");
    struct pairs pairs = {0};
    const char *key;
    const json_t *value;
    int rc = 0;
    json_object_foreach ((json_t *)object, key, value)
        if (rc == 0)
            rc = add_json(&pairs, key, value, declared, err);
    if (rc == 0)
        rc = pairs_write(&pairs, items, ret, err);
    pairs_free(&pairs);
    return rc;
}

int values_missing(const struct wire_list *map, const struct wire_list *declared, struct error *err)
{
    struct wire_iter it = wire_iter(declared);
    struct span item;
    struct d_parameter p;
    struct buf names = {0};
    unsigned n = 0;
    while (wire_next(&it, &item)) {
        struct value v;
        if (d_parameter_decode(item, &p, NULL) < 0 || !p.required)
            continue;
        char *name = span_dup_str(p.name);
        if (!wire_map_get(map, name, &v))
            buf_printf(&names, "%s'%s'", n++ ? ", " : "", name);
        mem_free(&name);
    }
    int rc = 0;
    if (n)
        rc = error_set(err, -EINVAL, "%s %.400s %s missing; give %s with -p name=value",
                       n == 1 ? "parameter" : "parameters", buf_str(&names), n == 1 ? "is" : "are",
                       n == 1 ? "it" : "them");
    buf_free(&names);
    return rc;
}
