/* cluster.h - one simulated cluster from a seed: its members, its faults, its end.
 *
 * A seed decides everything: how many servers, slots and callers there are, what is called, which kinds of faults
 * happen and how often. After some minutes faults stop, everything is mended, held runs are released (most of them),
 * and all accepted runs must end within HEAL_MINUTES.
 */
#ifndef LB_TESTS_SIM_CLUSTER_H
#define LB_TESTS_SIM_CLUSTER_H

#include "tests/sim/laws.h"

enum { HEAL_MINUTES = 60 /* virtual; some seeds queue a dozen jobs of two minutes for one slot */ };

struct cluster_result {
    bool passed;
    enum law law; /* the broken one */
    char text[400];
    uint64_t steps; /* events taken */
    int64_t virtual_us;
    uint64_t trace_hash;
    struct counts counts;
};

/* `trace`: where the story goes, NULL: nowhere. `most`: stop after so many events (0: at the end); for looking at the
 * beginning of a long trace. */
void cluster_run(uint64_t seed, FILE *trace, uint64_t most, struct cluster_result *ret);

#endif
