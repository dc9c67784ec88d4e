/* runner.h - the runner, assembled: what lbrunner does for its worker. It serves one worker at a
 * time, over run/runner.sock; a new connection replaces the old one.
 *
 * Both sides begin with S_ATTACH. Then the runner sends an S_KEPT for every step that runs or
 * waits here, and S_KEPT_END. The worker sends S_STEP, S_HALT, S_INSTALL and S_SHIPPED; the runner
 * sends S_INSTALLED, and S_KEPT with KEPT_GONE when a keeper has died. How a step ends is in the
 * spool: in keeper-N.log if a keeper had it, in runner.log if it was refused or dropped. */
#ifndef LB_RUNNER_RUNNER_H
#define LB_RUNNER_RUNNER_H

#include "common/loop.h"
#include "runner/runnerpaths.h"

enum { RUNNER_PROTOCOL = 1 };

struct runner;
/* Asks the keepers of an earlier runner what they hold, then listens. `paths` and `loop` are lent.
 * On success *ret is yours: runner_free. */
int runner_new(const struct runner_paths *paths, struct loop *loop, struct runner **ret,
               struct error *err);
void runner_free(struct runner **s); /* keepers go on */
void runner_reap(struct runner *s);  /* on SIGCHLD */

#endif
