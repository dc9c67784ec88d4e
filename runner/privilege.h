/* privilege.h - whose rights a process of the runner has: users and capabilities.
 *
 * Only where the runner was started as root. Each process keeps the capabilities that it needs,
 * named below with their reasons, and loses the others for ever: they leave the bounding set, too.
 * None has CAP_DAC_OVERRIDE: what a child owns is opened, made and removed as that child's user
 * (privilege_files_as), so a keeper can be led to no file that the child could not reach itself. */
#ifndef LB_RUNNER_PRIVILEGE_H
#define LB_RUNNER_PRIVILEGE_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"
#include "proto/limits.h"

/* X(capability, why); a keeper has those of PRIVILEGES_OF_KEEPERS, a guard only KILL. */
#define PRIVILEGES_OF_KEEPERS(X) \
    X(SETUID, "a child starts as its proxy's user") \
    X(SETGID, "and with its groups") \
    X(SETPCAP, "and can never get a capability") \
    X(CHOWN, "the folders of a slot go from one child's user to the next") \
    X(KILL, "a child and all that it has started is ended")
#define PRIVILEGES_OF_RUNNER(X) \
    PRIVILEGES_OF_KEEPERS(X) \
    X(SYS_RESOURCE, "where memory runs out, a child dies before its keeper")

enum privilege_of { PRIVILEGE_RUNNER, PRIVILEGE_KEEPER, PRIVILEGE_GUARD };

/* Gives up, for this process and all that it starts, every capability but those of `who`, and all
 * supplementary groups. -EPERM: one is missing. */
int privilege_keep(enum privilege_of who, struct error *err);

/* ---- A user without privileges */
struct privilege_user {
    uid_t uid;
    gid_t gid;
    unsigned n_groups;
    gid_t groups[LIMIT_GROUPS]; /* supplementary */
};

/* From now on files are opened, made and removed as this user, who owns what is made; NULL: as
 * ourselves again. */
int privilege_files_as(const struct privilege_user *u, struct error *err);

/* In a child between clone and execve, which shares our memory: becomes the user for good, without
 * any capability and unable to get one, and reads all of it back. 0, or -1 with errno. */
int privilege_become(const struct privilege_user *u);

/* "NAME" or a number, which needs no account; its group is the account's, else the same number.
 * -EINVAL: there is no such account. */
int privilege_find_user(const char *name, struct privilege_user *ret, struct error *err);
/* The same for a group. */
int privilege_find_group(const char *name, gid_t *ret, struct error *err);

#endif
