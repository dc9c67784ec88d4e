/* second.h - another worker under a server's name, with a spool of its own: it has nothing, attests
 * nothing and must be given nothing. Only one of the two may be let in at a time. */
#ifndef LB_TESTS_SIM_SECOND_H
#define LB_TESTS_SIM_SECOND_H

#include "tests/sim/laws.h"
#include "tests/sim/network.h"

struct second;
/* `process`: memory for its process, which has to outlive it: see network_connect. */
struct second *second_new(struct world *w, struct network *n, struct laws *l, struct cable *cable,
                          struct process *process, struct clock_sim *clock);
void second_free(struct second **s);

#endif
