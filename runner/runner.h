/* runner.h - what lbrunner does for its worker: one at a time, over run/runner.sock; the newest is
 * the worker.
 *
 * First message both ways S_ATTACH; then S_KEPT for every step that runs or waits here, S_KEPT_END.
 * From the worker come S_STEP, S_HALT, S_INSTALL; to it go S_INSTALLED, and S_KEPT with state 3
 * when a keeper has died. What becomes of a step is in the spool: of a keeper's in keeper-N.log, of
 * a refused or dropped one in runner.log. */
#ifndef LB_RUNNER_RUNNER_H
#define LB_RUNNER_RUNNER_H

#include "common/loop.h"
#include "runner/runnerpaths.h"

enum { RUNNER_PROTOCOL = 1 };

struct runner;
/* Hears first what the keepers of an earlier runner hold, then listens. */
int runner_new(const struct runner_paths *paths, struct loop *loop, struct runner **ret,
               struct error *err);
void runner_free(struct runner **s); /* keepers go on */
void runner_reap(struct runner *s);  /* on SIGCHLD */

#endif
