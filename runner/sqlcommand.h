/* sqlcommand.h - the command line of sqlite3 or psql for a step, and what it reads first: the
 * step's parameters, as values of the program itself. Pure.
 *
 *     sqlite3 -batch -bail -init /dev/fd/3 PATH <SCRIPT      bound: :name, @name, $name
 *     psql -X -w -q -v ON_ERROR_STOP=1 -f /dev/fd/3 -f SCRIPT -d DATABASE     quoted: :'name'
 *
 * No value is ever part of a statement's text, and none is in the command line. Both stop at the
 * first error. */
#ifndef LB_RUNNER_SQLCOMMAND_H
#define LB_RUNNER_SQLCOMMAND_H

#include "runner/command.h"
#include "trust/subsystem.h"

#define SQLCOMMAND_BINDINGS "/dev/fd/3"

/* A value of ours, beside the step's parameters; `text` may be NULL: there is none. */
struct sqlcommand_own {
    const char *name, *text;
};
struct sqlcommand {
    enum subsystem_parameters engine; /* SQLITE3 or PSQL */
    struct span database;             /* what the program takes for it */
    const char *script;               /* psql: a path, or "-": standard input */
    const struct wire_list *parameters;
    const struct sqlcommand_own *own;
    size_t n_own;
};
/* Appends the arguments behind the program's words. -EINVAL: the database cannot be named so. */
int sqlcommand_arguments(const struct sqlcommand *s, struct command *c, struct error *err);
/* Appends the text of descriptor 3. */
void sqlcommand_bindings(const struct sqlcommand *s, struct buf *out);

#endif
