/* brokernode.h - the broker's process: the real core in a shell that keeps the order of DESIGN 4:
 * take, decide, write, tell.
 *
 * The records of a turn are one transaction of the journal; an effect waits until the record that
 * it rests on is known to be on disk, and effects for one peer leave in order (gate.h). The history
 * answers the core's questions later (lookup.h). A start replays the journal, whole or folded, and
 * compares digests with a shadow, which is fed records only (shadow.h). The real feed serves
 * monitors (seeing.h). */
#ifndef LB_TESTS_SIM_BROKERNODE_H
#define LB_TESTS_SIM_BROKERNODE_H

#include "broker/core/view.h"
#include "tests/sim/catalog.h"
#include "tests/sim/laws.h"
#include "tests/sim/network.h"
#include "tests/sim/seeing.h"

struct brokernode;

struct broker_mood {
    int64_t lost_after_ms;
    uint64_t kept_max, bodies_budget; /* 0: the core's own */
    uint64_t max_runs, memory_budget; /* 0: plenty */
    struct seeing_mood seeing;
};

struct brokernode *brokernode_new(struct world *w, struct network *n, struct laws *l,
                                  const struct broker_mood *mood);
void brokernode_free(struct brokernode **b);
void brokernode_start(struct brokernode *b);
void brokernode_crash(struct brokernode *b);
void brokernode_pause(struct brokernode *b, int64_t for_us);
void brokernode_disk(struct brokernode *b, bool full, bool slow);
void brokernode_wall_step(struct brokernode *b, int64_t ms);

bool brokernode_is_up(const struct brokernode *b);
const struct bcore *brokernode_core(const struct brokernode *b); /* NULL while it is down */
/* Adds a certificate of this name. Whatever dials from a cable of that name holds it. */
void brokernode_know(struct brokernode *b, const char *name, const char *role, unsigned pools);

#endif
