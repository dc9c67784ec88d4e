/* context.h - what a step runs as and within: a d_context, which its proxy has made (proxies.h). */
#ifndef LB_RUNNER_CONTEXT_H
#define LB_RUNNER_CONTEXT_H

#include "proto/messages.h"
#include "runner/runnerpaths.h"

/* The keeper's side: *ret_user: whom the child becomes; *ret_switched false: nobody, it stays ours.
 * -EPERM: separated mode without a user, or user mode with another one than ours; -EBADMSG: numbers
 * that are none. */
int context_take(const struct runner_paths *paths, const struct d_context *c,
                 struct privilege_user *ret_user, bool *ret_switched, struct error *err);

#endif
