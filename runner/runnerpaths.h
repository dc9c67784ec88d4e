/* runnerpaths.h - where the runner and its keepers find and leave things, found and made once at the
   start. */
#ifndef LB_RUNNER_RUNNERPATHS_H
#define LB_RUNNER_RUNNERPATHS_H

#include <stdbool.h>

#include "common/error.h"
#include "common/id.h"
#include "proto/wire.h"

/* All paths are absolute and without a slash at the end. */
struct runner_paths {
    char *trust;       /* etc/trust: administrators, certificate, signers */
    char *revocations; /* var/revocations: kept by the worker, believed for its signature */
    char *packages;    /* var/packages: <hash hex>/{runnable,files/} */
    /* var/jobs: <hash hex>, one for each job version that this server accepts */
    char *jobs;
    char *spool; /* var/spool: keeper-N.log, runner.log, fence */
    /* var/work: N, the children's working folders; on disk, as a child may fill it */
    char *work;
    char *run; /* run: sockets and locks */
    /* memory-backed: N, the files that a child and its keeper hand each other */
    char *memory;
    /* false: no tmpfs was found, so `memory` is in `run` on a disk, and outcomes say so */
    bool memory_backed;
    char *home, *user; /* of the account that children run as */
};

/* Resolves LONGBOAT_HOME and its kin (common/paths.h), makes the folders that are missing with mode
 * 0700. -EPERM: a folder of memory files under our name belongs to somebody else. */
int runner_paths_open(struct runner_paths *ret, struct error *err);
/* Takes the folder of memory files again, in case its last user removed it; and gives it up, if it
   is empty. */
int runner_paths_claim_memory(const struct runner_paths *h, struct error *err);
void runner_paths_leave_memory(const struct runner_paths *h);
void runner_paths_free(struct runner_paths *h);

/* "<folder>/<64 digits>"; yours to free. */
char *runner_paths_of_hash(const char *folder, const struct hash *h);
/* "<folder>/<name>-<n><suffix>" */
char *runner_paths_of_slot(const char *folder, const char *name, unsigned slot, const char *suffix);

#endif
