/* sqlcommand.c - see sqlcommand.h. */
#include "runner/sqlcommand.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "common/mem.h"

int sqlcommand_arguments(const struct sqlcommand *s, struct command *c, struct error *err)
{
    static const char *const
        sqlite3[] = {"-batch", "-bail", "-init", SQLCOMMAND_BINDINGS},
        *const psql[] = {"-X", "-w", "-q", "-v", "ON_ERROR_STOP=1", "-f", SQLCOMMAND_BINDINGS,
                         "-f"};
    if (!s->database.n || memchr(s->database.p, 0, s->database.n))
        return error_set(err, -EINVAL, "the name of the database is empty or contains a NUL byte");
    if (s->engine == SUBSYSTEM_SQLITE3) {
        for (size_t i = 0; i < sizeof sqlite3 / sizeof *sqlite3; i++)
            command_add(c, mem_strdup(sqlite3[i]));
        /* a name that begins so would be an option */
        command_add(c, mem_printf("%s" SPAN_FMT, s->database.p[0] == '-' ? "./" : "",
                                  SPAN_ARG(s->database)));
        return 0;
    }
    for (size_t i = 0; i < sizeof psql / sizeof *psql; i++)
        command_add(c, mem_strdup(psql[i]));
    command_add(c, mem_strdup(s->script));
    command_add(c, mem_strdup("-d"));
    command_add(c, span_dup_str(s->database));
    return 0;
}

/* ---- sqlite3: the table in which its shell keeps the values that it binds */

static void add_hex(struct buf *out, struct span bytes)
{
    buf_add_str(out, "X'");
    for (size_t i = 0; i < bytes.n; i++)
        buf_printf(out, "%02x", bytes.p[i]);
    buf_add_str(out, "'");
}

static void add_text_literal(struct buf *out, struct span text)
{
    buf_add_str(out, "CAST(");
    add_hex(out, text);
    buf_add_str(out, " AS TEXT)");
}

static void add_sqlite_value(struct buf *out, const struct value *v)
{
    struct buf text = {0};
    value_to_text(v, &text);
    switch (v->type) {
    case VALUE_NULL:
        buf_add_str(out, "NULL");
        break;
    case VALUE_BOOL:
        buf_add_str(out, v->boolean ? "1" : "0");
        break;
    case VALUE_INT:
        /* the least of all has no literal of its own */
        buf_printf(out, "CAST('%s' AS INTEGER)", buf_str(&text));
        break;
    case VALUE_FLOAT:
        buf_printf(out, "CAST('%s' AS REAL)", buf_str(&text));
        break;
    case VALUE_BIN:
        add_hex(out, v->bytes);
        break;
    default:
        add_text_literal(out, buf_span(&text));
    }
    explicit_bzero(text.p, text.p ? text.cap : 0);
    buf_free(&text);
}

static void bind_sqlite(struct buf *out, struct span name, const struct value *v)
{
    buf_add_str(out, "INSERT OR REPLACE INTO temp.sqlite_parameters(key, value) SELECT p.column1 "
                     "|| ");
    add_text_literal(out, name);
    buf_add_str(out, ", v.column1 FROM (VALUES(':'), ('@'), ('$')) AS p, (VALUES(");
    add_sqlite_value(out, v);
    buf_add_str(out, ")) AS v;\n");
}

/* ---- psql: its variables */

static bool is_plain(uint8_t c)
{
    return c >= 0x80 || isalnum(c) || c == ' ' || c == '_' || c == '-' || c == '.' || c == '/' ||
           c == ',';
}

static void bind_psql(struct buf *out, struct span name, const struct value *v)
{
    struct buf text = {0};
    value_to_text(v, &text);
    buf_printf(out, "\\set " SPAN_FMT " '", SPAN_ARG(name));
    for (size_t i = 0; i < text.n; i++)
        if (is_plain(text.p[i]))
            buf_add(out, &text.p[i], 1);
        else
            buf_printf(out, "\\%03o", text.p[i]);
    buf_add_str(out, "'\n");
    explicit_bzero(text.p, text.p ? text.cap : 0);
    buf_free(&text);
}

/* ---- */

static void bind(const struct sqlcommand *s, struct buf *out, struct span name,
                 const struct value *v)
{
    if (s->engine == SUBSYSTEM_PSQL)
        bind_psql(out, name, v);
    else
        bind_sqlite(out, name, v);
}

void sqlcommand_bindings(const struct sqlcommand *s, struct buf *out)
{
    struct wire_iter it = wire_iter(s->parameters);
    struct span name;
    struct value v;
    if (s->engine == SUBSYSTEM_SQLITE3)
        buf_add_str(out, ".parameter init\n");
    while (wire_next_pair(&it, &name, &v))
        bind(s, out, name, &v);
    for (size_t i = 0; i < s->n_own; i++)
        if (s->own[i].text) {
            v = (struct value){.type = VALUE_STR, .bytes = span_str(s->own[i].text)};
            bind(s, out, span_str(s->own[i].name), &v);
        }
}
