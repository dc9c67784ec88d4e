/* verb.h - programs that are a list of verbs (lbctl, lbpkg): one table, one way to find a verb and
 * to say what is wrong. */
#ifndef LB_ADMIN_VERB_H
#define LB_ADMIN_VERB_H

/* Exit codes of all programs (DESIGN 17). */
enum { EXIT_DONE = 0, EXIT_RAN_AND_FAILED = 1, EXIT_ASKED_WRONGLY = 2, EXIT_REFUSED = 3 };

struct command {
    const char *name;
    const char *what;                  /* a line for --help */
    int (*run)(int argc, char **argv); /* argv[0] is "program verb"; returns the exit code */
};

/* Runs the verb that argv[1] names. `--help` and no verb at all list them, with `examples`: whole
   lines. */
int verb_main(const char *program, const char *purpose, const char *examples,
              const struct command *verbs, unsigned n, int argc, char **argv);

#endif
