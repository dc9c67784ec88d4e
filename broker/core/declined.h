/* declined.h - runs that a server has refused by its own fault: where they go on, and where not. */
#ifndef LB_BROKER_CORE_DECLINED_H
#define LB_BROKER_CORE_DECLINED_H

#include "broker/core/inside.h"

bool declined_has(const struct text *declined, const struct text *server);
/* Its live attempt was refused with this code: may another server have it, so that this is not its
 * end? */
bool declined_goes_on(const struct bcore *c, const struct run *r, uint64_t code);
/* Sends it on. `o`: the server's RESULT. */
void declined_go(struct bcore *c, struct run *r, const struct d_outcome *o);
/* to the durable state: frees its attempt */
void declined_apply(struct bcore *c, struct run *r);
void declined_due(struct bcore *c, struct server *s);

#endif
