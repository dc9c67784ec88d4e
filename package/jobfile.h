/* jobfile.h - jobs: from YAML, or from a package, to the bytes whose hash is the job's.
 *
 * Compiling is deterministic: the same file with the same packages gives the same bytes on every
 * server.
 *
 *     job: nightly-extract        # the file's name without .yaml
 *     version: "3"                # for people
 *     concurrency: 4              # runs at a time on one server; default: its slots
 *     parameters:                 # as in a package, and a description; then there are no others
 *       table: {type: string, required: true, description: which table}
 *     steps:
 *       - name: extract
 *         package: extract        # or extract@1.2.0; or subsystem: NAME and run: TEXT
 *         proxy: default
 *         parameters:
 *           table: "{{table}}"
 *           day: "{{as_of}}"
 *           host: "{{server}}"
 *           rows: "{{step.count.outputs.rows}}"
 *           mode: fast
 *         retry: {attempts: 3, interval: 30s, backoff: 2, exit_codes: [75]}   # 3 tries in all
 *         timeout: 2h
 *         success_exit_codes: [0, 2]   # in place of the package's
 *         on_success: next             # next | quit-success | quit-failure | goto STEP
 *         on_failure: quit-failure     # the same words
 *       - {name: clean, always: true, subsystem: shell, run: rm -rf "$LB_WORK/partial"}
 *
 * `{{...}}` must be a parameter's whole value. A text is never changed: shell reads $LB_PARAM_name,
 * SQL has its parameters bound. */
#ifndef LB_PACKAGE_JOBFILE_H
#define LB_PACKAGE_JOBFILE_H

#include "package/manifest.h"

enum { JOBFILE_PROBLEMS_MAX = 20 };

/* Finds the installed package that a step names ("extract" or "extract@1.2.0"): fills hash and the
 * d_runnable bytes (lent). */
typedef int (*jobfile_find_package)(void *self, const char *name_at_version, struct hash *ret_hash,
                                    struct span *ret_runnable, struct error *err);

/* Compiles etc/jobs/NAME.yaml and appends the d_job to *out. Negative: `problems`, which was empty,
 * has all that is wrong, each with file, line and column, but no more than JOBFILE_PROBLEMS_MAX and
 * how many others there are. -EINVAL: the job is wrong; else as file_read. */
int jobfile_compile(const char *path, jobfile_find_package find, void *self, struct buf *out,
                    struct problems *problems);
/* Compiles bytes. Errors say `name` instead of a path; the job's name need not agree with it. */
int jobfile_compile_bytes(const char *name, struct span text, jobfile_find_package find, void *self,
                          struct buf *out, struct problems *problems);
/* The one-step job `package:NAME` of a package: step `run`, proxy `default`, every parameter bound
 * to the call's. Appends nothing when a declaration is malformed; packagejob_compile says why. */
void jobfile_of_package(const struct d_runnable *runnable, struct buf *out);
void jobfile_hash(struct span job, struct hash *ret);

#endif
