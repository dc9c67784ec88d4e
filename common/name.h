/* name.h - the rules for names: one alphabet that needs no quoting in a shell, a path, YAML or SQL.
 * Pure. */
#ifndef LB_COMMON_NAME_H
#define LB_COMMON_NAME_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/error.h"

/* bytes; fits a file name with prefix and suffix, and a column of a table */
enum { NAME_LENGTH_MAX = 64 };

/* [a-z][a-z0-9_]*: what expressions can name (parameters, outputs, tasks, variables). */
bool name_is_identifier(struct span s);
/* [a-z][a-z0-9_-]*: jobs, packages, servers, pools. Every identifier is also a name. */
bool name_is_name(struct span s);

/* The same as an error. -EINVAL: *err begins with `what`, such as "the name of a job". */
int name_check_identifier(const char *what, struct span s, struct error *err);
int name_check_name(const char *what, struct span s, struct error *err);

#endif
