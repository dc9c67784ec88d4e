/* subsystem.c - see subsystem.h. */
#include "trust/subsystem.h"

#include <string.h>

#include "proto/outcome.h"

#define X(n, t) t,
const char *const subsystem_parameter_words[] = {SUBSYSTEM_PARAMETERS(X) NULL};
#undef X

enum { WORDS = 6, MEANINGS = 8 };

struct subsystem_meaning {
    unsigned code;
    enum package_outcome is;
    const char *means;
};

static const struct subsystem_row {
    const char *name, *description;
    const char *argv[WORDS], *text_argv[WORDS], *needs[2];
    enum subsystem_parameters parameters;
    bool fixed; /* no file takes its place */
    struct subsystem_meaning codes[MEANINGS];
} rows[SUBSYSTEM_BUILTINS] = {
    {.name = "exec", .description = "the entry itself, which is executable", .fixed = true},
    {.name = "shell",
     .description = "a script or a text of the shell",
     .argv = {"/bin/sh"},
     .text_argv = {"/bin/sh", "-eu", "-c"},
     .fixed = true},
    {.name = "python",
     .description = "a script or a text of Python 3, whose output is not held back",
     .argv = {"/usr/bin/python3", "-u"},
     .text_argv = {"/usr/bin/python3", "-u", "-c"},
     .needs = {"command:python3"}},
    {.name = "sql",
     .description = "SQL for SQLite (sqlite3) or PostgreSQL (psql), up to the first error",
     .argv = {"sql"},
     .text_argv = {"sql"},
     .parameters = SUBSYSTEM_SQL,
     .codes = {{1, PACKAGE_FAILED, "it stopped at the first error"},
               {2, PACKAGE_FAILED, "no connection to the database"},
               {3, PACKAGE_FAILED, "the script stopped at its first error"}}},
    {.name = "ssis",
     .description = "a package of SQL Server Integration Services (dtexec)",
     .argv = {"dtexec"},
     .text_argv = {"dtexec"},
     .needs = {"command:dtexec"},
     .parameters = SUBSYSTEM_DTEXEC,
     .codes = {{1, PACKAGE_FAILED, "the SSIS package failed"},
               {3, PACKAGE_CANCELLED, "the SSIS package was cancelled by its user"},
               {4, PACKAGE_FAILED, "dtexec could not find the SSIS package"},
               {5, PACKAGE_FAILED, "dtexec could not load the SSIS package"},
               {6, PACKAGE_FAILED, "dtexec could not read its command line"}}},
    {.name = "parent",
     .description = "a plan, driven on this server (lbsubmit drive)",
     .argv = {"lbsubmit", "drive"},
     .codes = {{1, PACKAGE_FAILED, "the plan ran and failed"},
               {2, PACKAGE_FAILED, "this server's lbsubmit does not drive this plan"},
               {3, PACKAGE_FAILED, "the broker refused it or was not reachable"}}},
};

int subsystem_parameters_parse(struct span word)
{
    if (!word.n)
        return SUBSYSTEM_ENVIRONMENT;
    for (int i = 0; i < SUBSYSTEM_PARAMETERS_COUNT; i++)
        if (span_eq_str(word, subsystem_parameter_words[i]))
            return i;
    return -1;
}

const char *subsystem_builtin_name(unsigned i)
{
    return i < SUBSYSTEM_BUILTINS ? rows[i].name : NULL;
}

int subsystem_builtin_find(struct span name)
{
    for (int i = 0; i < SUBSYSTEM_BUILTINS; i++)
        if (span_eq_str(name, rows[i].name))
            return i;
    return -1;
}

bool subsystem_is_replaceable(unsigned i)
{
    return i < SUBSYSTEM_BUILTINS && !rows[i].fixed;
}

static struct wire_list list_of(const char *const words[], size_t most, struct buf *items)
{
    uint32_t n = 0;
    for (; n < most && words[n]; n++)
        wire_add_str(items, span_str(words[n]));
    return wire_list_from(items, n);
}

static struct wire_list codes_of(const struct subsystem_row *r, struct buf *items)
{
    struct buf one = {0};
    uint32_t n = 0;
    for (; n < MEANINGS && r->codes[n].means; n++) {
        const struct subsystem_meaning *m = &r->codes[n];
        buf_clear(&one);
        d_exit_code_encode(
            &(struct d_exit_code){.code = m->code, .package = m->is, .means = span_str(m->means)},
            &one);
        wire_add_bin(items, buf_span(&one));
    }
    buf_free(&one);
    return wire_list_from(items, n);
}

void subsystem_builtin(unsigned i, struct buf *out)
{
    const struct subsystem_row *r = &rows[i];
    struct buf items[4] = {{0}};
    const struct d_subsystem d = {.name = span_str(r->name),
                                  .description = span_str(r->description),
                                  .argv = list_of(r->argv, WORDS, &items[0]),
                                  .text_argv = list_of(r->text_argv, WORDS, &items[1]),
                                  .needs = list_of(r->needs, 2, &items[2]),
                                  .exit_codes = codes_of(r, &items[3]),
                                  .parameters = span_str(subsystem_parameter_words[r->parameters])};
    d_subsystem_encode(&d, out);
    for (size_t k = 0; k < sizeof items / sizeof *items; k++)
        buf_free(&items[k]);
}

/* ---- sql */

static bool begins(struct span text, const char *with)
{
    const size_t n = strlen(with);
    return text.n >= n && memcmp(text.p, with, n) == 0;
}

int subsystem_sql_engine(struct span database, struct span *ret)
{
    static const char sqlite[] = "sqlite:";
    *ret = database;
    if (begins(database, sqlite)) {
        *ret = span_of(database.p + sizeof sqlite - 1, database.n - (sizeof sqlite - 1));
        return ret->n ? SUBSYSTEM_SQLITE3 : -1;
    }
    if (begins(database, "postgresql://") || begins(database, "postgres://") ||
        (database.n && memchr(database.p, '=', database.n)))
        return SUBSYSTEM_PSQL;
    return -1;
}

const char *subsystem_sql_need(struct span database)
{
    struct span ignored;
    const int engine = subsystem_sql_engine(database, &ignored);
    return engine == SUBSYSTEM_SQLITE3 ? "command:sqlite3"
           : engine == SUBSYSTEM_PSQL  ? "command:psql"
                                       : "";
}
