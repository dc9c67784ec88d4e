/* lint.h - what works where it was written and is likely to fail on a server, or with the next
 * caller's values: the warnings of `lbpkg lint` beyond manifest and archive. */
#ifndef LB_PACKAGE_LINT_H
#define LB_PACKAGE_LINT_H

#include "package/manifest.h"

enum { LINT_FILE_BYTES_MAX = 1 << 20 }; /* larger files are data, and not read */

/* Adds a warning for each: names that other systems refuse, scripts that may not be executed,
 * interpreters and programs that no need names, lines that end with CR LF, and variables of shell
 * scripts outside of quotes. `m` is examined (archive_examine). */
void lint_folder(const char *folder, const struct manifest *m, struct problems *problems);

/* One shell script: variables outside of quotes, with line and column, and programs that only some
 * servers have and that are not among m->needs. This reads no grammar: what it does not understand
 * it passes over. Pure. */
void lint_shell(const char *path, struct span text, const struct manifest *m,
                struct problems *problems);

#endif
