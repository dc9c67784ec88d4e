/* deployed.h - the newest deployment of each package and address that this server has taken.
 *
 * Deployments do not expire. Who brings them, a captured worker or broker, could bring an old one
 * again: its version would then count as the one installed last, with which jobs are made that name
 * none. So what has been taken is kept in a file where only the runner writes, and an older
 * deployment of the same package to the same address is refused. */
#ifndef LB_RUNNER_DEPLOYED_H
#define LB_RUNNER_DEPLOYED_H

#include "proto/messages.h"

enum { DEPLOYED_MAX = 4096 /* names and addresses; beyond these the oldest is forgotten */ };

struct deployed;
/* `folder` has the file `deployed`, which is read when it is first needed. */
struct deployed *deployed_new(const char *folder);
void deployed_free(struct deployed **d);
/* Takes one whose signature and grant have been verified; it is in the file when this returns.
 * -ESTALE: a newer one has been taken; -EINVAL: bad names; -EPROTO: the file is damaged; else
 * it cannot be read or written. */
int deployed_take(struct deployed *d, const struct d_deployment *x, struct error *err);

#endif
