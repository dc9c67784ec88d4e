/* shipped.h - files of the spool that the worker needs no longer, and that in separated mode it
 * cannot remove itself. */
#ifndef LB_RUNNER_SHIPPED_H
#define LB_RUNNER_SHIPPED_H

#include "common/buf.h"
#include "common/error.h"

/* Removes <folder>/<name>. -EINVAL: that is no file of a keeper or of the runner, or it is the
 * newest of its kind, which may be written to; a file that is gone is success. */
int shipped_remove(const char *folder, struct span name, struct error *err);

#endif
