/* testrig.h - a cluster of one server in a folder, for the tests of this room: keys, certificates,
 * a package, a job, and requests as a worker would send them. */
#ifndef LB_RUNNER_TESTRIG_H
#define LB_RUNNER_TESTRIG_H

#include "common/testing.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "proto/outcome.h"
#include "proto/packagejob.h"
#include "runner/runnerpaths.h"
#include "trust/call.h"
#include "trust/minisign.h"
#include "trust/revocation.h"

#define RIG_DAY 86400000LL

struct testrig {
    char *home;
    struct runner_paths paths;
    struct key admin, server, caller;
    struct minisign_public builder;
    struct minisign_secret builder_secret;
    struct buf caller_certificate, revocations;
    struct hash package;
    struct buf runnable, job; /* of the package */
    struct revocations list;
};

/* What a test may change before a request is made. */
struct rig_call {
    const char *cluster, *caller, *key, *job, *address;
    bool pin_latest;
    struct hash job_hash; /* zero: the rig's job */
    const struct buf *parameters;
    uint32_t n_parameters;
    int64_t expires;
    uint64_t on_lost, lost_after_ms;
    const char *as_of, *task;
};

struct rig_parameter {
    const char *name, *type;
    bool required, sensitive;
    const char *fallback; /* a string */
    const char *pattern;
};

/* Makes the folder, sets LONGBOAT_HOME to it, and fills it: keys, certificates, an empty
 * revocation list, one trusted builder. The tests' processes have one rig at a time. */
void rig_open(struct testrig *r, const char *folder);
void rig_close(struct testrig *r); /* the folder stays */

/* Writes a file; its path is below the rig's folder. */
void rig_path_write(struct testrig *r, const char *path, struct span bytes, mode_t mode);
/* Appends a certificate that the rig's administrator signs. not_after 0: a day from now. */
void rig_certificate(struct testrig *r, const char *name, enum role role, uint64_t serial,
                     const struct key *key, const char *grant, int64_t not_after, struct buf *out);
/* Installs a package of the subsystem with one file, its entry. Codes 0 and 3 mean succeeded and
 * cancelled. */
void rig_package(struct testrig *r, const char *name, const char *subsystem, const char *script,
                 const struct rig_parameter *p, size_t n, const struct rig_parameter *outputs,
                 size_t n_outputs);
/* Leaves the fingerprint of the rig's package, as the unpacker does. */
void rig_fingerprint(struct testrig *r);
void rig_signers(struct testrig *r);                 /* etc/trust/signers: the rig's builder */
void rig_revoke(struct testrig *r, uint64_t serial); /* the next list, with this serial in it */

struct rig_call rig_call(void); /* for the rig's caller and job, valid for a day */
/* Appends the d_signed of the call. */
void rig_sign(struct testrig *r, const struct rig_call *c, struct buf *out);
/* The request of a worker for step `run`; bytes of the call are in *call. */
struct s_step rig_step(struct testrig *r, const struct rig_call *c, struct id run,
                       struct buf *call);
struct id rig_run(uint8_t n); /* the id of run n */

#endif
