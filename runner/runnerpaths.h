/* runnerpaths.h - where the runner and its keepers find and leave things, and to whom it belongs.
 * Resolved, and the folders made, once at the start.
 *
 * In user mode, worker, runner, keepers and children are one user, and all is that user's. In
 * separated mode, where the runner is root, each has a user of its own:
 *
 *     etc/, etc/jobs     root
 *     etc/trust          root and the worker's group, sticky: the worker renews its certificate,
 *                        and only root changes whom this server trusts
 *     etc/keys           the same; what belongs to root in it only the runner reads
 *     var/               the same
 *     var/spool          the worker's: worker.log and so on; nothing in it is trusted
 *     var/keepers        root, readable for the worker's group: keeper-N.log, runner.log
 *     var/packages       the unpacker's user, who alone writes there; anybody reads
 *     var/jobs           root: compiled by the runner (jobfiles.h)
 *     var/incoming       the worker's, readable for the unpacker's group
 *     var/runner         root: what only the runner knows
 *     var/work           root; N in it belongs to the user of the slot's last child
 *     run/runner.sock    root, and the worker's group, whose uid is asked of the kernel
 *     run/worker         the worker's: bell and fence, readable for root's group
 *     run/keepers        root: sockets and locks of keepers
 *     run/memory         as var/work */
#ifndef LB_RUNNER_RUNNERPATHS_H
#define LB_RUNNER_RUNNERPATHS_H

#include <stdbool.h>

#include "common/error.h"
#include "common/id.h"
#include "proto/wire.h"
#include "runner/privilege.h"

/* All paths are absolute and without a slash at the end. */
struct runner_paths {
    char *trust;       /* etc/trust: administrators, certificate, signers */
    char *proxies;     /* etc/proxies.d */
    char *subsystems;  /* etc/subsystems.d */
    char *secrets;     /* var/secrets: written by the worker, trusted for their signatures */
    char *seal;        /* etc/keys/seal.key: only keepers read it */
    char *revocations; /* var/revocations: written by the worker, trusted for its signature */
    char *packages;    /* var/packages: <hash hex>/{runnable,files/} */
    char *jobs;        /* var/jobs: <hash hex>, each job version that this server accepts */
    char *jobfiles;    /* etc/jobs */
    char *spool;       /* keeper-N.log, runner.log: var/spool; separated: var/keepers */
    char *own;         /* var/runner: what the runner alone knows: replay */
    char *work;    /* var/work: N, the children's working folders; on disk: a child may fill it */
    char *run;     /* run: runner.sock, runner.lock */
    char *keepers; /* sockets and locks of keepers: run; separated: run/keepers */
    char *bell;    /* the folder of the worker's bell: run; separated: run/worker */
    char *fence;   /* var/spool/fence; separated: run/worker/fence */
    char *memory;  /* in memory: N, the files that a child and its keeper exchange */
    /* false: there is no tmpfs, so `memory` lies on a disk below `run`, and outcomes say so */
    bool memory_backed;
    char *cgroup;     /* the delegated one, which has one for each slot (cgroup.h); NULL: none */
    bool private_tmp; /* a step may have a /tmp of its own (owntmp.h) */
    char *user;       /* that children run as: its name, or its number, which needs no account */
    char *home;       /* of its account; NULL: it has none */
    /* true: the runner is root, and each child runs as its proxy's user; false: all of this server
     * is one user, and so are the children */
    bool separated;
    struct privilege_user worker, unpack; /* in user mode both are we */
    gid_t by_hand_group;                  /* who may run by hand (byhanddoor.h); 0: only root */
    /* Of a runner that runs one job by hand (byhand.h): "local:USER", whose steps alone it takes,
     * and which no other runner takes; NULL: an ordinary runner */
    char *principal;
    bool undeployed; /* by hand: a package that nobody has signed, on a machine that is no server */
};

/* As lbrunner's options name them. */
struct runner_users {
    const char *worker, *unpack;
    const char *by_hand; /* a group; NULL: none */
};

/* Resolves the folders (common/paths.h) and makes those that are missing. `users` NULL: user mode,
 * with mode 0700; else separated mode: each folder is given to whom it belongs, and at the very
 * first start also the files that `lbworker join` has left. On success *ret is yours:
 * runner_paths_free. -EPERM: others can write where all of it lies; -EINVAL: there is no such
 * user. */
int runner_paths_open(struct runner_paths *ret, const struct runner_users *users,
                      struct error *err);
/* Parameters and results stay off the disks: run/memory if `run` is in memory, else a folder of our
 * own in /dev/shm; yours to free. *ret_backed false: there is neither, and it lies on a disk. */
char *runner_paths_name_memory(const char *run, bool *ret_backed);
/* Sets h->memory for h->run, and makes it. */
int runner_paths_find_memory(struct runner_paths *h, struct error *err);
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
