/* runnerpaths.h - where the runner and its keepers find and leave things. Resolved, and the folders
 * made, once at the start. */
#ifndef LB_RUNNER_RUNNERPATHS_H
#define LB_RUNNER_RUNNERPATHS_H

#include <stdbool.h>

#include "common/error.h"
#include "common/id.h"
#include "proto/wire.h"

/* All paths are absolute and without a slash at the end. */
struct runner_paths {
    char *trust;       /* etc/trust: administrators, certificate, signers */
    char *proxies;     /* etc/proxies.d */
    char *subsystems;  /* etc/subsystems.d */
    char *revocations; /* var/revocations: written by the worker, trusted for its signature */
    char *packages;    /* var/packages: <hash hex>/{runnable,files/} */
    char *jobs;        /* var/jobs: <hash hex>, each job version that this server accepts */
    char *spool;       /* var/spool: keeper-N.log, runner.log, fence */
    char *own;         /* var/runner: what the runner alone knows: replay */
    char *work;   /* var/work: N, the children's working folders; on disk: a child may fill it */
    char *run;    /* run: sockets and locks */
    char *memory; /* in memory: N, the files that a child and its keeper exchange */
    /* false: there is no tmpfs, so `memory` lies on a disk below `run`, and outcomes say so */
    bool memory_backed;
    char *user; /* that children run as: its name, or its number, which needs no account */
    char *home; /* of its account; NULL: it has none */
    /* true: the runner is root, and each child runs as its proxy's user; false: all of this server
     * is one user, and so are the children */
    bool separated;
};

/* Resolves the folders (common/paths.h) and makes those that are missing, with mode 0700. On
 * success *ret is yours: runner_paths_free. -EPERM: the folder in memory belongs to another
 * user. */
int runner_paths_open(struct runner_paths *ret, struct error *err);
/* Makes the folder in memory again, in case its last user has removed it. */
int runner_paths_claim_memory(const struct runner_paths *h, struct error *err);
/* Removes the folder in memory if it is empty. */
void runner_paths_leave_memory(const struct runner_paths *h);
void runner_paths_free(struct runner_paths *h);

/* "<folder>/<64 hex digits>"; yours to free. */
char *runner_paths_of_hash(const char *folder, const struct hash *h);
/* "<folder>/<name>-<slot><suffix>"; yours to free. */
char *runner_paths_of_slot(const char *folder, const char *name, unsigned slot, const char *suffix);

#endif
