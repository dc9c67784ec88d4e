/* packagejob.h - the one-step job `package:NAME` that every package provides without a job file.
 * Pure.
 *
 * Callers sign its hash, workers attest it, runners make it again from what is installed and
 * compare: so all must make the same bytes, and they are made only here. It follows from name,
 * version, hash, subsystem, declared parameters and the exit codes that mean success; nothing else
 * of the runnable is in it (who signed the package is each server's own affair).
 *
 *     name package:NAME, version as the package's, no limit of concurrency, one step: name `run`,
 *     proxy `default`, the package's subsystem, each declared parameter bound to the call's of the
 *     same name, one try, next on success, quit-failure on failure, no timeout or cap beyond the
 *     package's own */
#ifndef LB_PROTO_PACKAGEJOB_H
#define LB_PROTO_PACKAGEJOB_H

#include "proto/messages.h"

#define PACKAGEJOB_PREFIX "package:"
#define PACKAGEJOB_STEP   "run"
#define PACKAGEJOB_PROXY  "default"

/* Where a step's parameter comes from: d_binding.from. */
enum binding_from {
    BINDING_LITERAL,
    BINDING_CALL,
    BINDING_AS_OF,
    BINDING_SERVER,
    BINDING_OUTPUT,
    BINDING_SECRET
};

/* Appends the d_job. -EINVAL: a declared parameter is malformed, so there is no such job. */
int packagejob_compile(const struct d_runnable *runnable, struct buf *out, struct error *err);

#endif
