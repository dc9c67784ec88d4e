/* manifest_yaml.c - package.yaml to a checked struct, reporting all of its errors at once. */
#include "package/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/suggest.h"
#include "package/manifest_keys.h"
#include "package/manifest_parameter.h"

static const char *const top_keys[] = {MANIFEST_TOP_KEYS(MANIFEST_KEY_TEXT) NULL};
static const char *const limit_keys[] = {MANIFEST_LIMIT_KEYS(MANIFEST_KEY_TEXT) NULL};
static const char *const need_keys[] = {MANIFEST_NEED_KEYS(MANIFEST_KEY_TEXT) NULL};
static const char *const disk_keys[] = {MANIFEST_DISK_KEYS(MANIFEST_KEY_TEXT) NULL};
static const char *const known_subsystems[] = {"exec", "shell",  "python", "sql",
                                               "ssis", "parent", NULL};

/* Records the sentence that a reader left, if it failed. */
static bool note(struct problems *ps, int rc, const struct error *err)
{
    if (rc < 0)
        problems_add_error(ps, err);
    return rc >= 0;
}

void manifest_note_unknown_keys(const struct yaml_node *map, const char *const allowed[],
                                struct problems *ps)
{
    for (size_t i = 0; i < yaml_count(map); i++) {
        const struct yaml_node *key = yaml_key(map, i);
        const char *text = (const char *)yaml_text(key).p;
        bool known = false;
        for (size_t k = 0; allowed[k] && !known; k++)
            known = span_eq_str(yaml_text(key), allowed[k]);
        char hint[SUGGEST_TEXT];
        struct error err;
        if (!known)
            note(ps,
                 yaml_error(key, &err, "unknown key '%.80s'%s", text ? text : "",
                            suggest_hint(text ? text : "", allowed, hint)),
                 &err);
    }
}

/* The text of a key that may be missing ("" then) or must not. */
static char *take_text(const struct yaml_node *map, const char *key, bool required, size_t most,
                       struct problems *ps)
{
    struct error err;
    const char *text = "";
    const struct yaml_node *node = required ? yaml_require(map, key, &err) : yaml_get(map, key);
    if (!node) {
        if (required)
            problems_add_error(ps, &err);
        return mem_strdup("");
    }
    if (note(ps, yaml_str(node, &text, &err), &err) && strlen(text) > most) {
        note(
            ps,
            yaml_error(node, &err, "'%s' has %zu bytes; the limit is %zu", key, strlen(text), most),
            &err);
        text = "";
    } else if (required && !*text) {
        note(ps, yaml_error(node, &err, "'%s' is empty", key), &err);
    }
    return mem_strdup(text);
}

/* Puts the node's place before a rule's sentence. */
static void judge(const struct yaml_node *node, int rc, struct error *err, struct problems *ps)
{
    if (rc < 0) {
        yaml_place(node, err);
        problems_add_error(ps, err);
    }
}

static void read_identity(const struct yaml_node *root, struct manifest *m, struct problems *ps)
{
    struct error err;
    char hint[SUGGEST_TEXT];
    m->name = take_text(root, "name", true, LIMIT_NAME, ps);
    if (*m->name)
        judge(yaml_get(root, "name"),
              name_check_name("the name of a package", span_str(m->name), &err), &err, ps);
    m->version = take_text(root, "version", true, LIMIT_SHORT, ps);
    if (*m->version)
        judge(yaml_get(root, "version"), manifest_version_check(span_str(m->version), &err), &err,
              ps);
    m->description = take_text(root, "description", false, LIMIT_TEXT, ps);
    m->subsystem = take_text(root, "subsystem", true, LIMIT_NAME, ps);
    const struct yaml_node *subsystem = yaml_get(root, "subsystem");
    if (*m->subsystem)
        judge(subsystem, name_check_name("the name of a subsystem", span_str(m->subsystem), &err),
              &err, ps);
    if (*m->subsystem && suggest(m->subsystem, known_subsystems)) {
        /* close to one of ours, but not it */
        bool ours = false;
        for (size_t i = 0; known_subsystems[i]; i++)
            ours = ours || strcmp(known_subsystems[i], m->subsystem) == 0;
        if (!ours) {
            yaml_error(subsystem, &err, "unknown subsystem '%s'%s", m->subsystem,
                       suggest_hint(m->subsystem, known_subsystems, hint));
            problems_add(ps, true, "%s", err.text);
        }
    }
    m->entry = take_text(root, "entry", true, LIMIT_PATH, ps);
    const struct yaml_node *entry = yaml_get(root, "entry");
    if (*m->entry)
        judge(entry, manifest_path_check(span_str(m->entry), &err), &err, ps);
    m->entry_line = entry ? yaml_line(entry) : 0;
    m->entry_column = entry ? yaml_column(entry) : 0;
    m->entry_point = strcmp(m->subsystem, "parent") == 0;
    if (yaml_get(root, "entry_point"))
        note(ps, yaml_bool(yaml_get(root, "entry_point"), &m->entry_point, &err), &err);
    if (yaml_get(root, "idempotent"))
        note(ps, yaml_bool(yaml_get(root, "idempotent"), &m->idempotent, &err), &err);
}

static void take_positive(const struct yaml_node *node, int rc, int64_t v, uint64_t *ret,
                          struct error *err, struct problems *ps)
{
    if (rc == 0 && v <= 0)
        rc = yaml_error(node, err, "a limit must be more than 0; leave it out for none");
    if (note(ps, rc, err))
        *ret = (uint64_t)v;
}

static void read_limits(const struct yaml_node *root, struct manifest *m, struct problems *ps)
{
    const struct yaml_node *map = yaml_get(root, "limits"), *node;
    struct error err;
    int64_t v = 0;
    int rc;
    if (map && note(ps, yaml_expect_map(map, &err), &err)) {
        manifest_note_unknown_keys(map, limit_keys, ps);
        if ((node = yaml_get(map, "timeout"))) {
            rc = yaml_duration(node, &v, &err);
            take_positive(node, rc, v, &m->timeout_ms, &err, ps);
        }
        if ((node = yaml_get(map, "memory"))) {
            rc = yaml_size(node, &v, &err);
            take_positive(node, rc, v, &m->memory, &err, ps);
        }
        if ((node = yaml_get(map, "processes"))) {
            rc = yaml_int(node, &v, &err);
            take_positive(node, rc, v, &m->processes, &err, ps);
        }
        if ((node = yaml_get(map, "output"))) {
            rc = yaml_size(node, &v, &err);
            take_positive(node, rc, v, &m->output_cap, &err, ps);
        }
    }
    if (!m->timeout_ms) {
        yaml_error(map ? map : root, &err,
                   "no limits.timeout: a child that hangs keeps its slot until someone cancels it");
        problems_add(ps, true, "%s", err.text);
    }
}

int manifest_read_need(const struct yaml_node *item, char **ret, struct problems *ps)
{
    struct error err;
    const char *text;
    int64_t bytes;
    size_t before = ps->errors;
    if (!note(ps, yaml_expect_map(item, &err), &err))
        return -EINVAL;
    manifest_note_unknown_keys(item, need_keys, ps);
    if (ps->errors == before && yaml_count(item) != 1)
        note(ps,
             yaml_error(item, &err, "each entry is one need: path, command, tcp, env or disk_free"),
             &err);
    if (ps->errors != before)
        return -EINVAL;
    const struct yaml_node *value = yaml_value(item, 0);
    const char *kind = (const char *)yaml_text(yaml_key(item, 0)).p;
    if (strcmp(kind, "disk_free") == 0) {
        if (!note(ps, yaml_expect_map(value, &err), &err))
            return -EINVAL;
        manifest_note_unknown_keys(value, disk_keys, ps);
        const struct yaml_node *path = yaml_require(value, "path", &err);
        if (!note(ps, path ? yaml_str(path, &text, &err) : -EINVAL, &err))
            return -EINVAL;
        const struct yaml_node *least = yaml_require(value, "at_least", &err);
        if (!note(ps, least ? yaml_size(least, &bytes, &err) : -EINVAL, &err))
            return -EINVAL;
        *ret = mem_printf("disk_free:%lld:%s", (long long)bytes, text);
    } else {
        if (!note(ps, yaml_str(value, &text, &err), &err))
            return -EINVAL;
        *ret = mem_printf("%s:%s", kind, text);
    }
    int rc = manifest_need_check(*ret, &err);
    judge(value, rc, &err, ps);
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void read_needs(const struct yaml_node *root, struct manifest *m, struct problems *ps)
{
    const struct yaml_node *seq = yaml_get(root, "needs");
    struct error err;
    if (!seq || !note(ps, yaml_expect_seq(seq, &err), &err))
        return;
    size_t n = yaml_count(seq);
    if (n > LIMIT_NEEDS) {
        note(ps, yaml_error(seq, &err, "%zu needs; the limit is %d", n, LIMIT_NEEDS), &err);
        return;
    }
    m->needs = mem_zalloc(n, sizeof *m->needs);
    for (size_t i = 0; i < n; i++)
        if (manifest_read_need(yaml_item(seq, i), &m->needs[m->n_needs], ps) == 0)
            m->n_needs++;
    qsort(m->needs, m->n_needs, sizeof *m->needs, by_text);
    size_t kept = 0;
    for (size_t i = 0; i < m->n_needs; i++)
        if (kept && strcmp(m->needs[kept - 1], m->needs[i]) == 0)
            mem_free(&m->needs[i]); /* a repeated need counts once */
        else
            m->needs[kept++] = m->needs[i];
    m->n_needs = kept;
}

static int by_code(const void *a, const void *b)
{
    const struct manifest_exit *x = a, *y = b;
    return x->code < y->code ? -1 : x->code > y->code;
}

bool manifest_read_exit_code(const struct yaml_node *key, const struct yaml_node *value,
                             struct manifest_exit *ret, struct problems *ps)
{
    static const char *const words[] = {"succeeded", "failed", "cancelled", NULL};
    static const enum package_outcome outcomes[] = {PACKAGE_SUCCEEDED, PACKAGE_FAILED,
                                                    PACKAGE_CANCELLED};
    struct error err;
    const char *text, *digits = (const char *)yaml_text(key).p;
    char hint[SUGGEST_TEXT], *end;
    unsigned long code = strtoul(digits ? digits : "", &end, 10);
    if (!digits || strspn(digits, "0123456789") != strlen(digits) || !*digits || code > 255 ||
        strlen(digits) > 3 || (digits[0] == '0' && digits[1]))
        return note(ps, yaml_error(key, &err, "an exit code is a number from 0 to 255"), &err);
    if (!note(ps, yaml_str(value, &text, &err), &err))
        return false;
    for (size_t i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0) {
            *ret = (struct manifest_exit){code, outcomes[i]};
            return true;
        }
    return note(ps,
                yaml_error(value, &err,
                           "an exit code means succeeded, failed or cancelled, not '%.60s'%s", text,
                           suggest_hint(text, words, hint)),
                &err);
}

/* Unless the file says otherwise, 0 means success. */
void manifest_read_exit_codes(const struct yaml_node *root, struct manifest *m, struct problems *ps)
{
    const struct yaml_node *map = yaml_get(root, "exit_codes");
    struct error err;
    size_t n = map && note(ps, yaml_expect_map(map, &err), &err) ? yaml_count(map) : 0;
    m->exits = mem_zalloc(n + 1, sizeof *m->exits);
    for (size_t i = 0; i < n; i++)
        m->n_exits += manifest_read_exit_code(yaml_key(map, i), yaml_value(map, i),
                                              &m->exits[m->n_exits], ps);
    bool zero = false;
    for (size_t i = 0; i < m->n_exits; i++)
        zero = zero || m->exits[i].code == 0;
    if (!zero)
        m->exits[m->n_exits++] = (struct manifest_exit){0, PACKAGE_SUCCEEDED};
    qsort(m->exits, m->n_exits, sizeof *m->exits, by_code);
}

int manifest_parse_yaml(const char *name, struct span text, struct manifest *ret,
                        struct problems *problems)
{
    struct error err;
    struct yaml *yaml = NULL;
    size_t before = problems->errors;
    if (!note(problems, yaml_read_bytes(name, text, &yaml, &err), &err))
        return -EINVAL;
    const struct yaml_node *root = yaml_root(yaml);
    struct manifest m = {0};
    if (note(problems, yaml_expect_map(root, &err), &err)) {
        manifest_note_unknown_keys(root, top_keys, problems);
        read_identity(root, &m, problems);
        manifest_read_parameters(yaml_get(root, "parameters"), &m, problems);
        manifest_read_outputs(yaml_get(root, "outputs"), &m, problems);
        read_needs(root, &m, problems);
        read_limits(root, &m, problems);
        manifest_read_exit_codes(root, &m, problems);
    }
    yaml_free(&yaml);
    if (problems->errors > before) {
        manifest_free(&m);
        return -EINVAL;
    }
    *ret = m;
    return 0;
}

int manifest_read_yaml(const char *path, struct manifest *ret, struct problems *problems)
{
    struct buf text = {0};
    struct error err;
    int rc = file_read(path, YAML_BYTES_MAX, &text, &err);
    if (note(problems, rc, &err))
        rc = manifest_parse_yaml(path, buf_span(&text), ret, problems);
    buf_free(&text);
    return rc < 0 ? -EINVAL : 0;
}
