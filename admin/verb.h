/* verb.h - programs that consist of verbs (lbctl, lbpkg): one table, one way to find a verb and to
 * report errors. */
#ifndef LB_ADMIN_VERB_H
#define LB_ADMIN_VERB_H

#include "common/options.h"

/* Exit codes of all programs (DESIGN 17). */
enum { EXIT_DONE = 0, EXIT_RAN_AND_FAILED = 1, EXIT_ASKED_WRONGLY = 2, EXIT_REFUSED = 3 };

struct verb_command {
    const char *name;
    const char *what;                  /* a line for --help */
    int (*run)(int argc, char **argv); /* argv[0] is "program verb"; returns the exit code */
};

/* Runs the verb that argv[1] names. `--help` and no verb at all list them, with `examples`: whole
 * lines. `help VERB` is `VERB --help`. What could not be written to stdout makes the exit code 1,
 * with the reason on stderr; a reader that has gone away does not. */
int verb_main(const char *program, const char *purpose, const char *examples,
              const struct verb_command *verbs, unsigned n, int argc, char **argv);

/* What every verb does first: parses its options, answers --help and --version. Returns -1 to go
 * on, else the exit code, having printed the answer or the error. *ret_first: the index of the
 * first positional argument, of which there must be `min` to `max`. */
int verb_begin(const struct option_row *rows, size_t n, int argc, char **argv, const char *synopsis,
               const char *examples, int min, int max, struct option_values *values,
               int *ret_first);

/* Prints "program verb: sentence" on stderr and returns `code`. */
int verb_fail(char **argv, int code, const struct error *err);

#endif
