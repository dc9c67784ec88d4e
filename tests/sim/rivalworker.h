/* rivalworker.h - a second worker under a server's name: with a spool of its own, or from a copy of
 * the first one's disk. It has no jobs, attests none, lists no attempt and must be given none. Only
 * one of the two may be connected at a time. */
#ifndef LB_TESTS_SIM_RIVALWORKER_H
#define LB_TESTS_SIM_RIVALWORKER_H

#include "tests/sim/laws.h"
#include "tests/sim/network.h"

struct rivalworker;
/* What its HELLO says. Spool and boot are the first one's if it is a copy. */
struct rivalworker_self {
    struct id spool, boot, incarnation;
    void (*let_in)(void *first, struct span welcome); /* called when it is */
    void *first;
};
/* `process`: memory for its process, which must outlive the rival: see network_connect. */
struct rivalworker *rivalworker_new(struct world *w, struct network *n, struct laws *l,
                                    struct cable *cable, struct process *process,
                                    struct clock_sim *clock, const struct rivalworker_self *self);
void rivalworker_free(struct rivalworker **s);

#endif
