/* pkg.h - lbpkg's verbs, one file each, and what they share. */
#ifndef LB_ADMIN_PKG_H
#define LB_ADMIN_PKG_H

#include <stdbool.h>

#include "admin/verb.h"
#include "common/options.h"
#include "package/archive.h"
#include "trust/builders.h"

int pkg_new(int argc, char **argv);
int pkg_lint(int argc, char **argv);
int pkg_build(int argc, char **argv);
int pkg_keygen(int argc, char **argv);
int pkg_sign(int argc, char **argv);
int pkg_verify(int argc, char **argv);
int pkg_show(int argc, char **argv);
int pkg_run(int argc, char **argv);
int pkg_export(int argc, char **argv);
int pkg_test(int argc, char **argv);

/* verb_begin, and the crypto library is ready. */
int pkg_begin(const struct option_row *rows, size_t n, int argc, char **argv, const char *synopsis,
              const char *examples, int min, int max, struct option_values *values, int *ret_first);
/* Prints "lbpkg verb: sentence" on stderr and returns `code`. */
int pkg_fail(char **argv, int code, const struct error *err);
/* The exit code for an error with a file: 3 if it was refused, 2 if it does not exist, else 1. */
int pkg_code(int rc);

/* A path below the configuration: "<etc>/keys/builder.key". Yours to free. NULL: the reason is on
 * stderr. */
char *pkg_config_path(char **argv, const char *below);

/* The keys that may have signed: of --key FILE, else --signers FILE, else etc/trust/signers, else
 * etc/keys/builder.pub. *ret is yours to free. 0, or the exit code. */
int pkg_trusted(char **argv, const char *key, const char *signers, struct builder **ret,
                size_t *ret_n);

/* Writes to stdout; on failure says why. A pipe whose reader has gone away is not a failure. */
int pkg_print(char **argv, const struct buf *out);

#endif
