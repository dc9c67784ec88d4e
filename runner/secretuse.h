/* secretuse.h - the secrets that a step names: which sealed document of this server counts, and
 * what of it goes to the keeper, which alone can open it.
 *
 * The documents lie where the worker has put them (var/secrets), and nothing of that is trusted:
 * signature, right, address, revocation are judged here, at each use. So that an older document
 * cannot come back, var/runner/secrets remembers when the newest of each name was issued. */
#ifndef LB_RUNNER_SECRETUSE_H
#define LB_RUNNER_SECRETUSE_H

#include "runner/bind.h"
#include "runner/policy.h"

struct secretuse;
struct secretuse *secretuse_new(const struct runner_paths *paths, struct policy *policy); /* lent */
void secretuse_free(struct secretuse **u);

/* Appends the d_secret_uses of a step; nothing if it names no secret. `caller` must have the right
 * to name those that come from the call; what a job names, its author has decided. `now`: wall ms.
 * *ret_code: DENIED, or NO_SECRET: this server cannot open one, and *err says what to do. */
int secretuse_make(struct secretuse *u, const struct bound *b, const struct certificate *caller,
                   struct span address, int64_t now, struct buf *out, enum refusal *ret_code,
                   struct error *err);
/* Makes those of a step anew that was allowed before and has waited: an S_LAUNCH. */
int secretuse_again(struct secretuse *u, struct buf *launch, int64_t now, enum refusal *ret_code,
                    struct error *err);

#endif
