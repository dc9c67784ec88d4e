/* dtexec.c - see dtexec.h. */
#include "runner/dtexec.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"

bool dtexec_is_file(const char *entry)
{
    static const char ending[] = ".dtsx";
    const size_t n = strlen(entry);
    return n >= sizeof ending - 1 && strcasecmp(entry + n - (sizeof ending - 1), ending) == 0;
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trimmed(struct span s)
{
    while (s.n && is_space(s.p[0]))
        s = span_of(s.p + 1, s.n - 1);
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

static int add_catalogue(const struct dtexec *d, struct command *c, struct error *err)
{
    static const char head[] = "\\SSISDB\\";
    const struct span path = trimmed(d->catalogue);
    if (path.n < sizeof head || strncasecmp((const char *)path.p, head, sizeof head - 1) != 0 ||
        memchr(path.p, '\n', path.n) || memchr(path.p, 0, path.n))
        return error_set(err, -EINVAL,
                         "expected one path of the SSIS catalogue, "
                         "\\SSISDB\\FOLDER\\PROJECT\\PACKAGE.dtsx, not '%.*s'",
                         (int)(path.n < 80 ? path.n : 80), path.p ? (const char *)path.p : "");
    command_add(c, mem_strdup("/ISServer"));
    command_add(c, span_dup_str(path));
    if (d->server.n) {
        command_add(c, mem_strdup("/Server"));
        command_add(c, span_dup_str(d->server));
    }
    command_add(c, mem_strdup("/Par"));
    command_add(c, mem_strdup("$ServerOption::SYNCHRONIZED(Boolean);True"));
    return 0;
}

static const char *type_of(const struct dtexec *d, struct span name, const struct value *v)
{
    struct d_parameter p;
    switch (v->type) {
    case VALUE_BOOL:
        return "Boolean";
    case VALUE_INT:
        return v->integer >= INT32_MIN && v->integer <= INT32_MAX ? "Int32" : "Int64";
    case VALUE_FLOAT:
        return "Double";
    default:
        return d->declared && d_parameter_find(d->declared, name, &p) &&
                       (span_eq_str(p.type, "date") || span_eq_str(p.type, "datetime"))
                   ? "DateTime"
                   : "String";
    }
}

static int add_parameter(const struct dtexec *d, struct span name, const struct value *v,
                         struct command *c, struct error *err)
{
    char bare[LIMIT_NAME + 1];
    struct buf text = {0};
    if (span_copy_str(name, bare, sizeof bare) && wire_list_has(d->sensitive, bare))
        return error_set(err, -EINVAL,
                         "parameter '%s' is sensitive, and dtexec takes parameters in its command "
                         "line, which everybody on the server can read; keep the value in the SSIS "
                         "catalogue's environment or in the package's configuration",
                         bare);
    if (v->type == VALUE_BOOL)
        buf_add_str(&text, v->boolean ? "True" : "False");
    else
        value_to_text(v, &text);
    command_add(c, mem_strdup("/Par"));
    command_add(c, mem_printf("$Package::" SPAN_FMT "(%s);%s", SPAN_ARG(name), type_of(d, name, v),
                              buf_str(&text)));
    buf_free(&text);
    return 0;
}

int dtexec_arguments(const struct dtexec *d, struct command *c, struct error *err)
{
    struct wire_iter it = wire_iter(d->parameters);
    struct span name;
    struct value v;
    int rc = 0;
    if (!d->file)
        rc = add_catalogue(d, c, err);
    else {
        command_add(c, mem_strdup("/File"));
        command_add(c, mem_strdup(d->file));
    }
    while (rc == 0 && wire_next_pair(&it, &name, &v))
        if (v.type != VALUE_NULL)
            rc = add_parameter(d, name, &v, c, err);
    return rc;
}
