/* context.h - what a step runs as and within (d_context). */
#ifndef LB_RUNNER_CONTEXT_H
#define LB_RUNNER_CONTEXT_H

#include "proto/messages.h"
#include "runner/runnerpaths.h"

/* The runner's side: appends the context of a step for which nobody names a user; nothing in user
 * mode. -EPERM: in separated mode there is none unless lbrunner was told one. */
int context_make(const struct runner_paths *paths, struct buf *out, struct error *err);

/* The keeper's side. *ret_user: whom the child becomes; `false` in *ret_switched: nobody, it stays
 * ours. -EPERM: separated mode without a user, or user mode with another one than ours; -EBADMSG:
 * malformed. */
int context_take(const struct runner_paths *paths, struct span bytes, struct d_context *ret,
                 struct privilege_user *ret_user, bool *ret_switched, struct error *err);

#endif
