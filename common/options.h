/* options.h - one row per option serves the command line, the configuration file, the default, the
 * range and --help.
 *
 *     static const struct option_row rows[] = {
 *         {"listen", 'l', OPTION_LIST, "tcp://[::]:7411", 0, 0, true, "ENDPOINT",
 *          "accept sessions here; may be repeated"},
 *         {"lost-after", 0, OPTION_DURATION, "5m", 1000, 86400000, true, "TIME", "..."},
 *         {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
 *     };
 *     struct option_values values = {0};
 *     int first;
 *     if (options_parse(rows, COUNT_OF(rows), argc, argv, &values, &first, &err) < 0) ... exit 2
 *     if (options_answered(&values, "lbbroker", "[check]", NULL)) ... exit 0
 *     options_config_file(&values, path, NULL, NULL, &err)
 *     for (int i = first; i < argc; i++) ... the arguments that are not options
 *
 * The command line wins over the configuration file, which wins over the default. --help (-h,
 * unless a row uses the letter) and --version work in every table without a row. In the file a name
 * has _ for -: `lost_after: 5m`. */
#ifndef LB_COMMON_OPTIONS_H
#define LB_COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"
#include "common/yaml.h"

enum option_type {
    /* --json; in the file true or false; --no-NAME overrides the file, if the file may set it */
    OPTION_FLAG,
    OPTION_STR,      /* max: the most bytes; 0: any number */
    OPTION_INT,      /* min and max: of the number */
    OPTION_DURATION, /* of milliseconds */
    OPTION_SIZE,     /* of bytes */
    /* texts: repeated on the command line, a list (or one text) in the file; the command line
     * replaces the list of the file as a whole */
    OPTION_LIST
};

struct option_row {
    const char *name; /* without the dashes */
    char letter;      /* 0: none */
    enum option_type type;
    const char *def;      /* as a user writes it; NULL: none (0, NULL, no items) */
    int64_t min, max;     /* of numbers; both 0: no range; max INT64_MAX: no upper bound */
    bool in_config;       /* may be set in the configuration file */
    const char *argument; /* "FILE" in --help; NULL for flags */
    const char *help;     /* one sentence; NULL keeps the row out of --help */
};

/* All zero is empty; options_free returns it to that. Texts are lent by argv or owned here: either
 * way they live as long as both. */
struct option_value;
struct option_values {
    const struct option_row *table;
    size_t n;
    struct option_value *v; /* n of the table, then help and version */
};

/* Reads the command line; options and positional arguments may be mixed, "--" ends the options.
 * *ret_first_positional, unless NULL, is the index from which argv, reordered, holds the positional
 * ones. -EINVAL: wrong usage; the sentence names the option and what may have been meant. `values`
 * must be empty; on failure it is. */
int options_parse(const struct option_row *table, size_t n, int argc, char **argv,
                  struct option_values *values, int *ret_first_positional, struct error *err);
/* The same, but the first positional argument ends the options: for options before a verb. */
int options_parse_leading(const struct option_row *table, size_t n, int argc, char **argv,
                          struct option_values *values, int *ret_first_positional,
                          struct error *err);
void options_free(struct option_values *values);

/* Fills in what the command line did not give from a mapping. Keys that are neither rows with
 * in_config nor among the NULL-ended `others` (NULL: none), which the program reads itself, are
 * refused. A null root (an empty file) is fine. */
int options_config(struct option_values *values, const struct yaml_node *map,
                   const char *const others[], struct error *err);
/* The same for a file; -ENOENT when there is none. The tree goes to *ret_tree (the caller frees
 * it), unless that is NULL. */
int options_config_file(struct option_values *values, const char *path, const char *const others[],
                        struct yaml **ret_tree, struct error *err);

/* Was --help or --version given? If so, prints the answer to stdout, fitted to the terminal; the
 * program then exits with 0. `synopsis` is what follows the program's name: "[options] PLAN".
 * `examples` is printed as it is, below a title of that name if its first line is an example (it is
 * indented); NULL: none. */
bool options_answered(const struct option_values *values, const char *program, const char *synopsis,
                      const char *examples);
void options_help(FILE *out, const char *program, const char *synopsis,
                  const struct option_row *table, size_t n, const char *examples);

/* The values. A name that is not in the table, or of another type, is our bug and ends the
   program. */
/* NULL: not given and no default */
const char *opt_str(const struct option_values *values, const char *name);
/* number, milliseconds, bytes */
int64_t opt_int(const struct option_values *values, const char *name);
/* also "help" and "version" */
bool opt_flag(const struct option_values *values, const char *name);
/* NULL-ended */
const char *const *opt_list(const struct option_values *values, const char *name, size_t *ret_n);
/* on the command line or in the file */
bool opt_given(const struct option_values *values, const char *name);

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

#endif
