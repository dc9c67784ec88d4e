/* manifest.c - the struct, its rules, and the part that the runner gets. */
#include "package/manifest.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/id.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/suggest.h"

static void parameters_free(struct manifest_parameter **list, size_t *n)
{
    for (size_t i = 0; i < *n; i++) {
        struct manifest_parameter *p = &(*list)[i];
        mem_free(&p->name);
        mem_free(&p->pattern);
        mem_free(&p->description);
        buf_free(&p->fallback);
        buf_free(&p->allowed);
        buf_free(&p->minimum);
        buf_free(&p->maximum);
    }
    mem_free(list);
    *n = 0;
}

void manifest_free(struct manifest *m)
{
    mem_free(&m->name);
    mem_free(&m->version);
    mem_free(&m->description);
    mem_free(&m->subsystem);
    mem_free(&m->entry);
    parameters_free(&m->parameters, &m->n_parameters);
    parameters_free(&m->outputs, &m->n_outputs);
    for (size_t i = 0; i < m->n_needs; i++)
        mem_free(&m->needs[i]);
    mem_free(&m->needs);
    mem_free(&m->exits);
    for (size_t i = 0; i < m->n_files; i++) {
        mem_free(&m->files[i].path);
        mem_free(&m->files[i].link);
    }
    mem_free(&m->files);
    *m = (struct manifest){0};
}

void problems_add(struct problems *p, bool warning, const char *fmt, ...)
{
    struct error err;
    va_list ap;
    va_start(ap, fmt);
    error_vset(&err, -EINVAL, fmt, ap);
    va_end(ap);
    p->v = mem_realloc(p->v, p->n + 1, sizeof *p->v);
    p->v[p->n++] = (struct problem){.text = mem_strdup(err.text), .warning = warning};
    p->errors += !warning;
}

void problems_add_error(struct problems *p, const struct error *err)
{
    problems_add(p, false, "%s", err->text);
}

void problems_cut(struct problems *p, size_t most)
{
    if (p->n <= most + 1)
        return;
    const size_t more = p->n - most;
    while (p->n > most)
        mem_free(&p->v[--p->n].text);
    problems_add(p, false, "%zu more errors are not shown", more);
}

void problems_free(struct problems *p)
{
    for (size_t i = 0; i < p->n; i++)
        mem_free(&p->v[i].text);
    mem_free(&p->v);
    *p = (struct problems){0};
}

char *package_hash_format(const struct hash *h, char out[PACKAGE_HASH_TEXT])
{
    memcpy(out, PACKAGE_HASH_PREFIX, 8);
    hex_format(h->b, sizeof h->b, out + 8);
    return out;
}

int package_hash_parse(const char *text, struct hash *ret, struct error *err)
{
    const char *digits = strncmp(text, PACKAGE_HASH_PREFIX, 8) == 0 ? text + 8 : text;
    if (hex_parse(digits, ret->b, sizeof ret->b) < 0)
        return error_set(
            err, -EINVAL,
            "'%.80s' is not the hash of a package; expected blake2b: and 64 hexadecimal digits",
            text);
    return 0;
}

int manifest_version_check(struct span version, struct error *err)
{
    bool good = version.n > 0 && version.n <= 100 && isdigit(version.p[0]);
    for (size_t i = 0; good && i < version.n; i++)
        good = isalnum(version.p[i]) || strchr(".-+", version.p[i]);
    if (good)
        return 0;
    return error_set(
        err, -EINVAL, "'%.*s' is not a version; expected something like 1.2.0 or 2026.11-rc1",
        (int)(version.n < 60 ? version.n : 60), version.p ? (const char *)version.p : "");
}

/* One run of digits or of other bytes; moves both on. */
static int compare_run(const char **a, const char **b)
{
    if (isdigit((unsigned char)**a) && isdigit((unsigned char)**b)) {
        *a += strspn(*a, "0");
        *b += strspn(*b, "0");
        size_t an = strspn(*a, "0123456789"), bn = strspn(*b, "0123456789");
        int c = an != bn ? (an < bn ? -1 : 1) : strncmp(*a, *b, an);
        *a += an;
        *b += bn;
        return c;
    }
    int c = (unsigned char)**a - (unsigned char)**b;
    ++*a;
    ++*b;
    return c;
}

/* How a version ranks at a byte: -rc1 comes before the end, the end before .1 and letters. */
static int rank(char c)
{
    return c == '-' ? 0 : c == 0 || c == '+' ? 1 : 2;
}

int manifest_version_compare(const char *a, const char *b)
{
    for (;;) {
        int ra = rank(*a), rb = rank(*b);
        if (ra != rb)
            return ra < rb ? -1 : 1;
        if (ra == 1)
            return 0;
        int c = compare_run(&a, &b);
        if (c)
            return c < 0 ? -1 : 1;
    }
}

static const char *const need_kinds[] = {"path", "command", "tcp", "env", "disk_free", NULL};

static bool is_port(const char *s)
{
    char *end;
    unsigned long port = strtoul(s, &end, 10);
    return isdigit((unsigned char)*s) && !*end && port > 0 && port < 65536;
}

int manifest_need_check(const char *need, struct error *err)
{
    const char *colon = strchr(need, ':');
    size_t kind = 0;
    if (strlen(need) > LIMIT_SHORT)
        return error_set(err, -EINVAL, "the need '%.40s...' is longer than %d bytes", need,
                         LIMIT_SHORT);
    for (const char *p = need; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 127)
            return error_set(err, -EINVAL, "a need contains control characters");
    while (colon && need_kinds[kind] &&
           (strlen(need_kinds[kind]) != (size_t)(colon - need) ||
            strncmp(need, need_kinds[kind], (size_t)(colon - need)) != 0))
        kind++;
    if (!colon || !need_kinds[kind])
        return error_set(err, -EINVAL,
                         "unknown need '%.80s'; needs are path, command, tcp, env, disk_free",
                         need);
    const char *what = colon + 1, *last = strrchr(what, ':');
    switch (kind) {
    case 0:
        return *what == '/' ? 0 : error_set(err, -EINVAL, "path: '%.100s' must be absolute", what);
    case 1:
        if (*what == '/' || (*what && !strpbrk(what, "/ \t")))
            return 0;
        return error_set(err, -EINVAL,
                         "command: '%.100s' must be an absolute path, or the name of a program in "
                         "PATH",
                         what);
    case 2:
        return last && last > what && is_port(last + 1)
                   ? 0
                   : error_set(err, -EINVAL, "tcp: '%.100s' must be host:port", what);
    case 3:
        if (*what && !strpbrk(what, "= \t"))
            return 0;
        return error_set(err, -EINVAL, "env: '%.100s' must be the name of a variable", what);
    default:
        if (isdigit((unsigned char)*what) && what[strspn(what, "0123456789")] == ':' &&
            what[strspn(what, "0123456789") + 1] == '/')
            return 0;
        return error_set(err, -EINVAL, "disk_free: '%.100s' must be BYTES:/PATH", what);
    }
}

const struct manifest_file *manifest_find_file(const struct manifest *m, const char *path)
{
    size_t low = 0, high = m->n_files;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = strcmp(path, m->files[mid].path);
        if (c == 0)
            return &m->files[mid];
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

int manifest_check_entry(const struct manifest *m, struct error *err)
{
    const struct manifest_file *f = manifest_find_file(m, m->entry);
    char hint[SUGGEST_TEXT];
    if (!f) {
        const char **paths = mem_zalloc(m->n_files + 1, sizeof *paths);
        for (size_t i = 0; i < m->n_files; i++)
            paths[i] = m->files[i].path;
        error_set(err, -EINVAL, "entry: the package has no file '%.200s'%s", m->entry,
                  suggest_hint(m->entry, paths, hint));
        mem_free(&paths);
        return -EINVAL;
    }
    if (f->link || strcmp(m->subsystem, "exec") != 0 || f->executable)
        return 0;
    return error_set(err, -EINVAL, "entry: '%.200s' is not executable; run: chmod +x %.200s",
                     m->entry, m->entry);
}

struct wire_list manifest_encode_parameters(const struct manifest_parameter *list, size_t n,
                                            struct buf *items)
{
    struct buf one = {0};
    for (size_t i = 0; i < n; i++) {
        const struct manifest_parameter *p = &list[i];
        struct d_parameter d = {.name = span_str(p->name),
                                .type = span_str(parameter_type_text(p->type)),
                                .required = p->required,
                                .sensitive = p->sensitive,
                                .read_from = span_str(p->from_file ? PARAMETER_FROM_FILE : ""),
                                .fallback = buf_span(&p->fallback),
                                .allowed = {buf_span(&p->allowed), p->n_allowed},
                                .pattern = span_str(p->pattern),
                                .minimum = buf_span(&p->minimum),
                                .maximum = buf_span(&p->maximum),
                                .description = span_str(p->description)};
        buf_clear(&one);
        d_parameter_encode(&d, &one);
        wire_add_bin(items, buf_span(&one));
    }
    buf_free(&one);
    return wire_list_from(items, (uint32_t)n);
}

void manifest_to_runnable(const struct manifest *m, const struct hash *package,
                          const struct hash *signer_key, struct buf *out)
{
    struct buf parameters = {0}, outputs = {0}, exits = {0}, needs = {0}, one = {0};
    for (size_t i = 0; i < m->n_exits; i++) {
        buf_clear(&one);
        d_exit_code_encode(
            &(struct d_exit_code){.code = m->exits[i].code, .package = m->exits[i].outcome}, &one);
        wire_add_bin(&exits, buf_span(&one));
    }
    for (size_t i = 0; i < m->n_needs; i++)
        wire_add_str(&needs, span_str(m->needs[i]));
    struct d_runnable r = {
        .name = span_str(m->name),
        .version = span_str(m->version),
        .package = *package,
        .subsystem = span_str(m->subsystem),
        .entry = span_str(m->entry),
        .parameters = manifest_encode_parameters(m->parameters, m->n_parameters, &parameters),
        .outputs = manifest_encode_parameters(m->outputs, m->n_outputs, &outputs),
        .exit_codes = wire_list_from(&exits, (uint32_t)m->n_exits),
        .timeout_ms = m->timeout_ms,
        .output_cap = m->output_cap,
        .memory = m->memory,
        .processes = m->processes,
        .idempotent = m->idempotent,
        .entry_point = m->entry_point,
        .signer_key = *signer_key,
        .needs = wire_list_from(&needs, (uint32_t)m->n_needs)};
    d_runnable_encode(&r, out);
    buf_free(&parameters);
    buf_free(&outputs);
    buf_free(&exits);
    buf_free(&needs);
    buf_free(&one);
}
