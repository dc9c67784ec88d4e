/* jobfile.h - jobs: from YAML, or from a package, to the bytes whose hash is the job's.
 *
 * Compiling is deterministic: the same file with the same packages gives the same bytes on every server.
 */
#ifndef LB_PACKAGE_JOBFILE_H
#define LB_PACKAGE_JOBFILE_H

#include "proto/messages.h"

/* Finds the installed package that a step names ("extract" or "extract@1.2.0"): fills hash and the d_runnable bytes (lent). */
typedef int (*jobfile_find_package)(void *self, const char *name_at_version, struct hash *ret_hash, struct span *ret_runnable, struct error *err);

/* Compiles etc/jobs/NAME.yaml. *out: d_job. Errors name file, line, column. */
int jobfile_compile(const char *path, jobfile_find_package find, void *self, struct buf *out, struct error *err);
/* The one-step job `package:NAME` of a package: step `run`, proxy `default`, every parameter bound to the call's. */
void jobfile_of_package(const struct d_runnable *runnable, struct buf *out);
void jobfile_hash(struct span job, struct hash *ret);

#endif
