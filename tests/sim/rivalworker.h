/* rivalworker.h - a second worker under a server's name, with its own spool. It has no jobs,
 * attests none and must be given none. Only one of the two may be connected at a time. */
#ifndef LB_TESTS_SIM_RIVALWORKER_H
#define LB_TESTS_SIM_RIVALWORKER_H

#include "tests/sim/laws.h"
#include "tests/sim/network.h"

struct rivalworker;
/* `process`: memory for its process, which must outlive the rival: see network_connect. */
struct rivalworker *rivalworker_new(struct world *w, struct network *n, struct laws *l,
                                    struct cable *cable, struct process *process,
                                    struct clock_sim *clock);
void rivalworker_free(struct rivalworker **s);

#endif
