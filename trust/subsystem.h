/* subsystem.h - the ways to run a step that every server has, as the same documents to which files
 * of subsystems.d are compiled (package/subsystemfile.h). Pure.
 *
 *     name     command              then             a step's own text
 *     exec     (none)               the entry        no
 *     shell    /bin/sh              the entry        /bin/sh -eu -c TEXT
 *     python   /usr/bin/python3 -u  the entry        /usr/bin/python3 -u -c TEXT
 *     sql      sqlite3 or psql      see sqlcommand.h is SQL
 *     ssis     dtexec               see dtexec.h     is a path in the SSIS catalogue
 *     parent   lbsubmit drive       the plan         no
 *
 * A file subsystems.d/NAME.yaml takes the place of each of them but exec and shell. A first word
 * without a slash is looked up in the PATH of the step. */
#ifndef LB_TRUST_SUBSYSTEM_H
#define LB_TRUST_SUBSYSTEM_H

#include "proto/messages.h"

#define SUBSYSTEM_FOLDER "subsystems.d"

/* How a step's parameters reach its program: d_subsystem.parameters. All of them are in files and
 * variables anyway; those that are not `environment` are for programs that read neither. SQL: its
 * database decides between sqlite3 and psql. */
#define SUBSYSTEM_PARAMETERS(X) \
    X(ENVIRONMENT, "environment") \
    X(SQL, "sql") X(SQLITE3, "sqlite3") X(PSQL, "psql") X(DTEXEC, "dtexec")
#define X(n, t) SUBSYSTEM_##n,
enum subsystem_parameters { SUBSYSTEM_PARAMETERS(X) SUBSYSTEM_PARAMETERS_COUNT };
#undef X
extern const char *const subsystem_parameter_words[]; /* NULL-ended, for suggest() */
/* Empty: ENVIRONMENT. -1: there is no such way. */
int subsystem_parameters_parse(struct span word);

enum { SUBSYSTEM_BUILTINS = 6 };
/* Their names; NULL after the last. */
const char *subsystem_builtin_name(unsigned i);
/* Its index; -1: there is no such subsystem without a file. */
int subsystem_builtin_find(struct span name);
/* A file may take its place. */
bool subsystem_is_replaceable(unsigned i);
/* Appends its d_subsystem. */
void subsystem_builtin(unsigned i, struct buf *out);

/* ---- sql. A database is named as "sqlite:PATH", "postgresql://..." or in libpq's other form,
 * "host=db1 dbname=wh" or "service=wh". */
/* SQLITE3 or PSQL, and *ret: what the program takes for it. -1: the text has none of the forms. */
int subsystem_sql_engine(struct span database, struct span *ret);
/* The need of that program; "" if the text has none of the forms, or is not yet known. */
const char *subsystem_sql_need(struct span database);
/* The parameter that names the database, and the variable of proxy or subsystem that does so where
 * no parameter does. */
#define SUBSYSTEM_SQL_PARAMETER "database"
#define SUBSYSTEM_SQL_VARIABLE  "SQL_DATABASE"

#endif
