/* jobfiles.h - separated mode: the jobs of this server, compiled by the runner for itself.
 *
 * In user mode the worker compiles etc/jobs/NAME.yaml to var/jobs/HASH, and the runner accepts what
 * lies there. Where the worker is another user, that would be its word. So the runner watches
 * etc/jobs and var/packages itself, and has lbparse compile each file of root's. What has been
 * current stays accepted for JOBFILES_GRACE_MS, for calls that are on their way. */
#ifndef LB_RUNNER_JOBFILES_H
#define LB_RUNNER_JOBFILES_H

#include "common/loop.h"
#include "runner/runnerpaths.h"

enum {
    JOBFILES_SETTLE_MS = 200, /* a folder is read when it has been quiet for this long */
    JOBFILES_AT_ONCE = 8,     /* files compiled in one turn: others are served between */
    JOBFILES_WAIT_MS = 3000   /* an lbparse that takes longer is killed */
};
#define JOBFILES_GRACE_MS (7 * 86400000LL)

struct jobfiles;
/* `paths` and `loop` are lent. On success *ret is yours: jobfiles_close. */
int jobfiles_open(const struct runner_paths *paths, struct loop *loop, struct jobfiles **ret,
                  struct error *err);
void jobfiles_close(struct jobfiles **j);
void jobfiles_look(struct jobfiles *j); /* again, soon; NULL is fine */

#endif
