/* json.c - see json.h. */
#include "common/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/suggest.h"
#include "common/term.h"

char *json_dump_canonical(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
    if (!text) /* the value is valid: jansson refuses to build any other */
        mem_die();
    return text;
}

json_t *json_parse(const char *name, struct span text, struct error *err)
{
    json_error_t why;
    const char *bytes = text.n ? (const char *)text.p : "";
    json_t *value = json_loadb(bytes, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &why);
    if (!value && json_error_code(&why) == json_error_out_of_memory)
        mem_die();
    if (!value)
        error_set(err, -EINVAL, "%s:%d:%d: %s", name, why.line, why.column, why.text);
    return value;
}

/* The text made visible; NULL: it was. */
static char *shown(const char *text)
{
    struct buf safe = {0};
    term_safe(&safe, span_str(text));
    char *differs = strcmp(buf_str(&safe), text) != 0 ? mem_strdup(buf_str(&safe)) : NULL;
    buf_free(&safe);
    return differs;
}

static void show_all(json_t *value);

static void show_object(json_t *object)
{
    json_t *whole = json_object(), *member;
    const char *key;
    json_object_foreach (object, key, member) {
        char *safe = shown(key);
        show_all(member);
        json_object_set(whole, safe ? safe : key, member);
        mem_free(&safe);
    }
    json_object_clear(object);
    json_object_update(object, whole);
    json_decref(whole);
}

/* As deep as json_parse lets a value be. */
static void show_all(json_t *value)
{
    json_t *item;
    size_t i;
    if (json_is_object(value))
        show_object(value);
    json_array_foreach (value, i, item)
        show_all(item);
    if (!json_is_string(value))
        return;
    char *safe = shown(json_string_value(value));
    if (safe)
        json_string_set(value, safe);
    mem_free(&safe);
}

json_t *json_parse_shown(const char *name, struct span text, struct error *err)
{
    json_t *value = json_parse(name, text, err);
    show_all(value);
    return value;
}

json_t *json_read_file(const char *path, size_t max, struct error *err)
{
    struct buf text = {0};
    json_t *value = NULL;
    if (file_read(path, max, &text, err) == 0)
        value = json_parse(path, buf_span(&text), err);
    buf_free(&text);
    return value;
}

static json_t *member(const json_t *object, const char *key, json_type type, const char *wanted,
                      struct error *err)
{
    json_t *value = json_object_get(object, key);
    if (!value) {
        error_set(err, -ENOENT, "'%s' is missing", key);
        return NULL;
    }
    if (json_typeof(value) != type && !(type == JSON_TRUE && json_is_false(value))) {
        error_set(err, -EINVAL, "'%s' must be %s", key, wanted);
        return NULL;
    }
    return value;
}

/* The code that member() set, even if the caller wants no sentence. */
static int why_not(const json_t *object, const char *key)
{
    return json_object_get(object, key) ? -EINVAL : -ENOENT;
}

int json_get_str(const json_t *object, const char *key, const char **ret, struct error *err)
{
    const json_t *value = member(object, key, JSON_STRING, "a text", err);
    if (!value)
        return why_not(object, key);
    *ret = json_string_value(value);
    return 0;
}

int json_get_int(const json_t *object, const char *key, int64_t *ret, struct error *err)
{
    const json_t *value = member(object, key, JSON_INTEGER, "a whole number", err);
    if (!value)
        return why_not(object, key);
    *ret = json_integer_value(value);
    return 0;
}

int json_get_bool(const json_t *object, const char *key, bool *ret, struct error *err)
{
    const json_t *value = member(object, key, JSON_TRUE, "true or false", err);
    if (!value)
        return why_not(object, key);
    *ret = json_is_true(value);
    return 0;
}

json_t *json_get_object(const json_t *object, const char *key, struct error *err)
{
    return member(object, key, JSON_OBJECT, "an object", err);
}

json_t *json_get_array(const json_t *object, const char *key, struct error *err)
{
    return member(object, key, JSON_ARRAY, "a list", err);
}

int json_check_keys(const json_t *object, const char *const allowed[], struct error *err)
{
    if (!json_is_object(object))
        return error_set(err, -EINVAL, "an object is expected here");
    const char *key;
    json_t *value;
    json_object_foreach ((json_t *)(uintptr_t)object, key, value) {
        size_t i = 0;
        while (allowed[i] && strcmp(allowed[i], key) != 0)
            i++;
        char hint[SUGGEST_TEXT];
        if (!allowed[i])
            return error_set(err, -EINVAL, "unknown key '%.80s'%s", key,
                             suggest_hint(key, allowed, hint));
    }
    return 0;
}
