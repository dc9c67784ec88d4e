/* runnersocket.h - the socket between a worker and its runner. It keeps the order of each
 * direction and takes its time. It outlives the worker: what a dead worker sent still arrives. */
#ifndef LB_TESTS_SIM_RUNNERSOCKET_H
#define LB_TESTS_SIM_RUNNERSOCKET_H

#include "tests/sim/world.h"

struct runnersocket;
typedef void runnersocket_read(void *self, bool to_worker, struct span message);

struct runnersocket *runnersocket_new(struct world *w, runnersocket_read *read, void *self);
void runnersocket_free(struct runnersocket **s);
void runnersocket_post(struct runnersocket *s, bool to_worker, struct span message);
void runnersocket_drop(struct runnersocket *s, bool to_worker); /* loses everything on its way */

#endif
