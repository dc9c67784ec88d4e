/* manifest_json.c - manifest.json: written canonically, read back strictly.
 *
 * Values (default, allowed, min, max) stand in it as the texts that a person would type, so it has
 * no floating-point numbers and one value has one spelling. After reading it is written again;
 * other bytes are refused. */
#include "package/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"
#include "common/mem.h"
#include "common/name.h"
#include "package/manifest_parameter.h"

enum { MANIFEST_FORMAT = 1 };

/* ---- Writing */

static json_t *value_text(enum parameter_type type, struct span encoded)
{
    struct value v;
    struct buf text = {0};
    if (value_read(&encoded, &v))
        values_to_text(type, &v, &text);
    json_t *json = json_stringn(buf_str(&text), text.n);
    buf_free(&text);
    return json;
}

static json_t *parameter_to_json(const struct manifest_parameter *p)
{
    json_t *o = json_object();
    json_object_set_new(o, "type", json_string(parameter_type_text(p->type)));
    if (p->required)
        json_object_set_new(o, "required", json_true());
    if (p->sensitive)
        json_object_set_new(o, "sensitive", json_true());
    if (p->from_file)
        json_object_set_new(o, "from_file", json_true());
    if (p->fallback.n)
        json_object_set_new(o, "default", value_text(p->type, buf_span(&p->fallback)));
    if (*p->pattern)
        json_object_set_new(o, "pattern", json_string(p->pattern));
    if (p->minimum.n)
        json_object_set_new(o, "min", value_text(p->type, buf_span(&p->minimum)));
    if (p->maximum.n)
        json_object_set_new(o, "max", value_text(p->type, buf_span(&p->maximum)));
    if (p->n_allowed) {
        json_t *list = json_array();
        struct wire_list allowed = {buf_span(&p->allowed), p->n_allowed};
        struct wire_iter it = wire_iter(&allowed);
        struct span item;
        while (wire_next(&it, &item))
            json_array_append_new(list, value_text(p->type, item));
        json_object_set_new(o, "allowed", list);
    }
    return o;
}

static json_t *parameters_to_json(const struct manifest_parameter *list, size_t n)
{
    json_t *o = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(o, list[i].name, parameter_to_json(&list[i]));
    return o;
}

static json_t *file_to_json(const struct manifest_file *f)
{
    json_t *o = json_object();
    char hash[PACKAGE_HASH_TEXT];
    json_object_set_new(o, "path", json_string(f->path));
    if (f->link) {
        json_object_set_new(o, "link", json_string(f->link));
        return o;
    }
    json_object_set_new(o, "executable", json_boolean(f->executable));
    json_object_set_new(o, "size", json_integer((json_int_t)f->size));
    json_object_set_new(o, "hash", json_string(package_hash_format(&f->hash, hash)));
    return o;
}

static json_t *limits_to_json(const struct manifest *m)
{
    json_t *o = json_object();
    if (m->timeout_ms)
        json_object_set_new(o, "timeout_ms", json_integer((json_int_t)m->timeout_ms));
    if (m->memory)
        json_object_set_new(o, "memory", json_integer((json_int_t)m->memory));
    if (m->processes)
        json_object_set_new(o, "processes", json_integer((json_int_t)m->processes));
    if (m->output_cap)
        json_object_set_new(o, "output", json_integer((json_int_t)m->output_cap));
    return o;
}

void manifest_to_json(const struct manifest *m, struct buf *out)
{
    json_t *o = json_object(), *needs = json_array(), *exits = json_object(), *files = json_array();
    json_object_set_new(o, "format", json_integer(MANIFEST_FORMAT));
    json_object_set_new(o, "name", json_string(m->name));
    json_object_set_new(o, "version", json_string(m->version));
    json_object_set_new(o, "description", json_string(m->description));
    json_object_set_new(o, "subsystem", json_string(m->subsystem));
    json_object_set_new(o, "entry", json_string(m->entry));
    json_object_set_new(o, "idempotent", json_boolean(m->idempotent));
    json_object_set_new(o, "entry_point", json_boolean(m->entry_point));
    json_object_set_new(o, "parameters", parameters_to_json(m->parameters, m->n_parameters));
    json_object_set_new(o, "outputs", parameters_to_json(m->outputs, m->n_outputs));
    json_object_set_new(o, "limits", limits_to_json(m));
    for (size_t i = 0; i < m->n_needs; i++)
        json_array_append_new(needs, json_string(m->needs[i]));
    json_object_set_new(o, "needs", needs);
    for (size_t i = 0; i < m->n_exits; i++) {
        char code[24];
        snprintf(code, sizeof code, "%llu", (unsigned long long)m->exits[i].code);
        json_object_set_new(exits, code, json_string(package_outcome_text(m->exits[i].outcome)));
    }
    json_object_set_new(o, "exit_codes", exits);
    for (size_t i = 0; i < m->n_files; i++)
        json_array_append_new(files, file_to_json(&m->files[i]));
    json_object_set_new(o, "files", files);
    char *text = json_dump_canonical(o);
    buf_add_str(out, text);
    free(text);
    json_decref(o);
}

/* ---- Reading. What is only misspelt (a missing key with a default, an odd order) shows when it is
   written again. */

static const char *const top_keys[] = {"format",     "name",    "version",    "description",
                                       "subsystem",  "entry",   "idempotent", "entry_point",
                                       "parameters", "outputs", "limits",     "exit_codes",
                                       "needs",      "files",   NULL};
static const char *const parameter_keys[] = {"type",    "required", "sensitive", "from_file",
                                             "default", "pattern",  "min",       "max",
                                             "allowed", NULL};
static const char *const file_keys[] = {"path", "link", "executable", "size", "hash", NULL};
static const char *const limit_keys[] = {"timeout_ms", "memory", "processes", "output", NULL};

static int take_text(const json_t *o, const char *key, char **ret, struct error *err)
{
    const char *text;
    int rc = json_get_str(o, key, &text, err);
    if (rc == 0)
        *ret = mem_strdup(text);
    return rc;
}

static int take_count(const json_t *o, const char *key, uint64_t *ret, struct error *err)
{
    int64_t v;
    int rc = json_get_int(o, key, &v, err);
    if (rc == 0 && v < 0)
        return error_set(err, -EINVAL, "'%s' must not be negative", key);
    if (rc == 0)
        *ret = (uint64_t)v;
    return rc;
}

static int take_optional_count(const json_t *o, const char *key, uint64_t *ret, struct error *err)
{
    return json_object_get(o, key) ? take_count(o, key, ret, err) : 0;
}

static int take_value(const json_t *o, const char *key, enum parameter_type type, struct buf *out,
                      struct error *err)
{
    const char *text;
    if (!json_object_get(o, key))
        return 0;
    int rc = json_get_str(o, key, &text, err);
    return rc < 0 ? rc : values_from_text(type, span_str(text), out, err);
}

static int take_allowed(const json_t *o, struct manifest_parameter *p, struct error *err)
{
    if (!json_object_get(o, "allowed"))
        return 0;
    const json_t *list = json_get_array(o, "allowed", err), *item;
    size_t i;
    if (!list)
        return -EINVAL;
    if (json_array_size(list) > LIMIT_VALUES)
        return error_set(err, -EINVAL, "'allowed' has more than %d values", LIMIT_VALUES);
    json_array_foreach (list, i, item) {
        struct buf one = {0};
        int rc = json_is_string(item)
                     ? values_from_text(p->type, span_str(json_string_value(item)), &one, err)
                     : error_set(err, -EINVAL, "'allowed' must be a list of texts");
        if (rc == 0)
            wire_add_bin(&p->allowed, buf_span(&one));
        buf_free(&one);
        if (rc < 0)
            return rc;
        p->n_allowed++;
    }
    return 0;
}

static int parameter_from_json(const json_t *o, struct manifest_parameter *p, struct error *err)
{
    const char *word, *text;
    int rc = json_check_keys(o, parameter_keys, err);
    if (rc < 0 || (rc = json_get_str(o, "type", &word, err)) < 0)
        return rc;
    int type = parameter_type_parse(span_str(word));
    if (type < 0)
        return error_set(err, -EINVAL, "unknown type '%.60s'", word);
    p->type = (enum parameter_type)type;
    if (json_object_get(o, "required") &&
        (rc = json_get_bool(o, "required", &p->required, err)) < 0)
        return rc;
    if (json_object_get(o, "sensitive") &&
        (rc = json_get_bool(o, "sensitive", &p->sensitive, err)) < 0)
        return rc;
    if (json_object_get(o, "from_file") &&
        (rc = json_get_bool(o, "from_file", &p->from_file, err)) < 0)
        return rc;
    if (json_object_get(o, "pattern")) {
        if ((rc = json_get_str(o, "pattern", &text, err)) < 0)
            return rc;
        mem_free(&p->pattern);
        p->pattern = mem_strdup(text);
    }
    if ((rc = take_value(o, "min", p->type, &p->minimum, err)) < 0 ||
        (rc = take_value(o, "max", p->type, &p->maximum, err)) < 0 ||
        (rc = take_allowed(o, p, err)) < 0)
        return rc;
    if (json_object_get(o, "default")) {
        if ((rc = json_get_str(o, "default", &text, err)) < 0 ||
            (rc = manifest_fallback_from_text(p->type, span_str(text), &p->fallback, err)) < 0)
            return rc;
    }
    return manifest_parameter_check(p, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct manifest_parameter *)a)->name,
                  ((const struct manifest_parameter *)b)->name);
}

static int parameters_from_json(const json_t *top, const char *key, struct manifest_parameter **ret,
                                size_t *ret_n, struct error *err)
{
    const json_t *map = json_get_object(top, key, err), *one;
    const char *name;
    int rc = 0;
    if (!map)
        return -EINVAL;
    if (json_object_size(map) > LIMIT_VALUES)
        return error_set(err, -EINVAL, "'%s' has more than %d entries", key, LIMIT_VALUES);
    *ret = mem_zalloc(json_object_size(map), sizeof **ret);
    json_object_foreach ((json_t *)map, name, one) {
        struct manifest_parameter *p = &(*ret)[(*ret_n)++];
        p->name = mem_strdup(name);
        p->pattern = mem_strdup("");
        rc = name_check_identifier("the name of a parameter or output", span_str(name), err);
        if (rc == 0 && !json_is_object(one))
            rc = error_set(err, -EINVAL, "must be an object");
        if (rc == 0)
            rc = parameter_from_json(one, p, err);
        if (rc < 0)
            return error_prefix(err, "%s.%s", key, name);
    }
    qsort(*ret, *ret_n, sizeof **ret, by_name);
    return 0;
}

static int file_from_json(const json_t *o, struct manifest_file *f, struct error *err)
{
    const char *text;
    int rc = json_is_object(o) ? json_check_keys(o, file_keys, err)
                               : error_set(err, -EINVAL, "must be an object");
    if (rc < 0 || (rc = take_text(o, "path", &f->path, err)) < 0)
        return rc;
    if (json_object_get(o, "link"))
        return take_text(o, "link", &f->link, err);
    if ((rc = json_get_bool(o, "executable", &f->executable, err)) < 0 ||
        (rc = take_count(o, "size", &f->size, err)) < 0 ||
        (rc = json_get_str(o, "hash", &text, err)) < 0)
        return rc;
    return package_hash_parse(text, &f->hash, err);
}

static int files_from_json(const json_t *top, struct manifest *m, struct error *err)
{
    const json_t *list = json_get_array(top, "files", err), *one;
    size_t i;
    if (!list)
        return -EINVAL;
    if (json_array_size(list) > PACKAGE_FILES_MAX)
        return error_set(err, -EFBIG, "the package has %zu files; the limit is %d",
                         json_array_size(list), PACKAGE_FILES_MAX);
    m->files = mem_zalloc(json_array_size(list), sizeof *m->files);
    json_array_foreach (list, i, one) {
        m->n_files++;
        int rc = file_from_json(one, &m->files[i], err);
        if (rc == 0 && m->files[i].link && json_object_size(one) != 2)
            rc = error_set(err, -EINVAL, "a link has a path and a target and nothing else");
        if (rc < 0)
            return error_prefix(err, "files[%zu]", i);
    }
    return manifest_check_files(m, err);
}

static int needs_from_json(const json_t *top, struct manifest *m, struct error *err)
{
    const json_t *list = json_get_array(top, "needs", err), *one;
    size_t i;
    if (!list)
        return -EINVAL;
    if (json_array_size(list) > LIMIT_NEEDS)
        return error_set(err, -EINVAL, "the package has more than %d needs", LIMIT_NEEDS);
    m->needs = mem_zalloc(json_array_size(list), sizeof *m->needs);
    json_array_foreach (list, i, one) {
        if (!json_is_string(one))
            return error_set(err, -EINVAL, "a need is a text");
        m->needs[m->n_needs++] = mem_strdup(json_string_value(one));
        if (manifest_need_check(m->needs[i], err) < 0)
            return -EINVAL;
        if (i && strcmp(m->needs[i - 1], m->needs[i]) >= 0)
            return error_set(err, -EINVAL, "the needs are not sorted");
    }
    return 0;
}

static int exits_from_json(const json_t *top, struct manifest *m, struct error *err)
{
    const json_t *map = json_get_object(top, "exit_codes", err);
    if (!map)
        return -EINVAL;
    m->exits = mem_zalloc(256, sizeof *m->exits);
    size_t known = 0;
    for (unsigned code = 0; code < 256; code++) {
        char key[8];
        snprintf(key, sizeof key, "%u", code);
        const json_t *word = json_object_get(map, key);
        if (!word)
            continue;
        for (unsigned o = PACKAGE_SUCCEEDED; o <= PACKAGE_CANCELLED; o++)
            if (json_is_string(word) &&
                strcmp(json_string_value(word), package_outcome_text(o)) == 0) {
                m->exits[m->n_exits++] = (struct manifest_exit){code, (enum package_outcome)o};
                known++;
            }
    }
    if (known != json_object_size(map) || !json_object_get(map, "0"))
        return error_set(
            err, -EINVAL,
            "'exit_codes' must map codes from 0 to 255, including 0, to what each means");
    return 0;
}

static int limits_from_json(const json_t *top, struct manifest *m, struct error *err)
{
    const json_t *o = json_get_object(top, "limits", err);
    if (!o)
        return -EINVAL;
    int rc = json_check_keys(o, limit_keys, err);
    if (rc == 0)
        rc = take_optional_count(o, "timeout_ms", &m->timeout_ms, err);
    if (rc == 0)
        rc = take_optional_count(o, "memory", &m->memory, err);
    if (rc == 0)
        rc = take_optional_count(o, "processes", &m->processes, err);
    if (rc == 0)
        rc = take_optional_count(o, "output", &m->output_cap, err);
    return rc;
}

static int identity_from_json(const json_t *o, struct manifest *m, struct error *err)
{
    int rc;
    if ((rc = take_text(o, "name", &m->name, err)) < 0 ||
        (rc = take_text(o, "version", &m->version, err)) < 0 ||
        (rc = take_text(o, "description", &m->description, err)) < 0 ||
        (rc = take_text(o, "subsystem", &m->subsystem, err)) < 0 ||
        (rc = take_text(o, "entry", &m->entry, err)) < 0 ||
        (rc = json_get_bool(o, "idempotent", &m->idempotent, err)) < 0 ||
        (rc = json_get_bool(o, "entry_point", &m->entry_point, err)) < 0)
        return rc;
    if (strlen(m->description) > LIMIT_TEXT)
        return error_set(err, -EINVAL, "the description has more than %d bytes", LIMIT_TEXT);
    if ((rc = name_check_name("the name of a package", span_str(m->name), err)) < 0 ||
        (rc = manifest_version_check(span_str(m->version), err)) < 0 ||
        (rc = name_check_name("the name of a subsystem", span_str(m->subsystem), err)) < 0)
        return rc;
    return manifest_path_check(span_str(m->entry), err);
}

static int read_all(const json_t *o, struct manifest *m, struct error *err)
{
    int64_t format = 0;
    if (!json_is_object(o))
        return error_set(err, -EINVAL, "must be an object");
    int rc = json_get_int(o, "format", &format, err);
    if (rc == 0 && format != MANIFEST_FORMAT)
        return error_set(err, -EINVAL, "has format %lld; this program reads format %d",
                         (long long)format, MANIFEST_FORMAT);
    if (rc < 0 || (rc = json_check_keys(o, top_keys, err)) < 0 ||
        (rc = identity_from_json(o, m, err)) < 0 ||
        (rc = parameters_from_json(o, "parameters", &m->parameters, &m->n_parameters, err)) < 0 ||
        (rc = parameters_from_json(o, "outputs", &m->outputs, &m->n_outputs, err)) < 0 ||
        (rc = limits_from_json(o, m, err)) < 0 || (rc = exits_from_json(o, m, err)) < 0 ||
        (rc = needs_from_json(o, m, err)) < 0 || (rc = files_from_json(o, m, err)) < 0)
        return rc;
    return m->n_files ? manifest_check_entry(m, err) : 0;
}

int manifest_from_json(struct span json, struct manifest *ret, struct error *err)
{
    if (json.n > LIMIT_MANIFEST)
        return error_set(err, -EINVAL, PACKAGE_MANIFEST " has %zu bytes; the limit is %d", json.n,
                         LIMIT_MANIFEST);
    json_t *o = json_parse(PACKAGE_MANIFEST, json, err);
    if (!o)
        return -EINVAL;
    struct manifest m = {0};
    int rc = read_all(o, &m, err);
    if (rc < 0)
        error_prefix(err, PACKAGE_MANIFEST);
    json_decref(o);
    if (rc == 0) {
        struct buf again = {0};
        manifest_to_json(&m, &again);
        if (!span_eq(buf_span(&again), json))
            rc = error_set(err, -EINVAL,
                           PACKAGE_MANIFEST
                           " is not in its canonical form; build the package again");
        buf_free(&again);
    }
    if (rc < 0) {
        manifest_free(&m);
        return rc == -EFBIG ? rc : -EINVAL;
    }
    *ret = m;
    return 0;
}
