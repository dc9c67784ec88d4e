/* secretopen.h - in the keeper: the sealed values of a step become ordinary parameters, in this
 * process alone. */
#ifndef LB_RUNNER_SECRETOPEN_H
#define LB_RUNNER_SECRETOPEN_H

#include "proto/messages.h"

/* Opens all secrets of the step with the seal key at this path, and makes each the type that its
 * parameter declares. l->parameters then lists them too, and points into *ret, which the caller
 * wipes and frees after the step; empty if the step has no secrets. -EBADMSG: one cannot be opened;
 * -EINVAL: it does not fit its parameter. No sentence shows a value. */
int secretopen_all(const char *seal_key_path, struct s_launch *l, struct buf *ret,
                   struct error *err);

#endif
