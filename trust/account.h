/* account.h - which account of this machine a proxy's steps run as, and may it be?
 *
 * A user is a name or a number; a number needs no account. Refused, unless the proxy's file allows
 * its user by name: root, users of the system (/etc/login.defs, SYS_UID_MAX; nobody), and those of
 * Longboat's own programs. */
#ifndef LB_TRUST_ACCOUNT_H
#define LB_TRUST_ACCOUNT_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/messages.h"

#define ACCOUNT_WORKER   "longboat"
#define ACCOUNT_UNPACKER "longboat-unpack"

struct account_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[LIMIT_GROUPS]; /* supplementary */
    size_t n_groups;
    char name[LIMIT_SHORT + 1]; /* the number, if no account has it */
    char home[LIMIT_PATH + 1];  /* "", if it has none */
};

/* The users of the runner's own parts. */
struct account_own {
    uid_t uids[4];
    unsigned n;
};

/* Asks the system's databases, so it may take as long as they do. -ENOENT: no such user or group;
 * -EPERM: the user is refused, see above; -E2BIG: too many groups. *err says what to do. */
int account_resolve(const struct d_proxy *p, const char *file, const struct account_own *own,
                    struct account_user *ret, struct error *err);
/* For a runner that is user `self` and cannot switch. -EPERM: the proxy names another user, a group
 * or groups. */
int account_unswitched(const struct d_proxy *p, const char *file, uid_t self,
                       struct account_user *ret, struct error *err);
/* The highest number of the system's users, by a login.defs; 999 if it does not say. */
uid_t account_system_max(const char *login_defs);

#endif
