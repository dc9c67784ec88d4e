/* intact.h - no altered package runs. In user mode any child could alter one; in separated mode
 * only an unpacker that a hostile archive has taken over.
 *
 * The runner reads a package's fingerprint (trust/fingerprint.h) when it first hears of it, and
 * from then on remembers the hash of it, in memory that no child can reach. It goes with each
 * S_LAUNCH. The keeper looks at the files just before the child starts, with a fingerprint of that
 * very hash. So a child that alters a package gains nothing while this runner lives; one that
 * alters the fingerprint, too, can only hope for the next runner. */
#ifndef LB_RUNNER_INTACT_H
#define LB_RUNNER_INTACT_H

#include "proto/messages.h"
#include "runner/installed.h"

struct intact;
struct intact *intact_new(void);
void intact_free(struct intact **t);

/* ---- The runner's side */
/* The hash that the keeper is to go by; zero: an older version installed the package, without a
 * fingerprint. -EPERM: what describes the package was altered; -EBADMSG, -EIO, ...: its fingerprint
 * cannot be read. */
int intact_ask(struct intact *t, const char *packages, const struct installed *i, struct hash *ret,
               struct error *err);
/* The package has been installed, perhaps in place of an altered one. */
void intact_forget(struct intact *t, const struct hash *package);

/* ---- The keeper's side */
/* -EPERM: the step's package, or its fingerprint, was altered. 0 also for a step without one. */
int intact_check(struct intact *t, const char *packages, const struct s_launch *l,
                 struct error *err);

#endif
