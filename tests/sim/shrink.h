/* shrink.h - looks for a smaller world in which a seed breaks the same law, so that its trace can
 * be read.
 *
 * Only trying shows what a world does without one of its troubles, so this is a search. It leaves
 * out one thing after another: members, kinds of troubles, single troubles and calls in ever
 * smaller groups, time. A world that still breaks the law and is cheaper to read is the next
 * starting point. In between it tries other dice for the small world: the same troubles and calls,
 * other delays.
 *
 * Several worlds are tried at a time, but the first of the better ones is always taken: the same
 * number of processes and tries finds the same world. */
#ifndef LB_TESTS_SIM_SHRINK_H
#define LB_TESTS_SIM_SHRINK_H

#include "tests/sim/cluster.h"

struct shrink_order {
    struct cluster_order world; /* where the search starts; trace and most are not used */
    unsigned processes;         /* worlds tried at a time */
    unsigned tries;             /* at most this many worlds; 0: no limit */
    double seconds;             /* a time limit; 0: none */
};

struct shrunk {
    struct subset subset;
    struct cluster_result whole, small;
    unsigned tries;
    double seconds;
    bool done; /* nothing smaller was found; false: time or tries ran out */
};

/* -ENOENT: the world breaks no law. -ETIME: it does not end, so nothing is tried. */
int shrink(const struct shrink_order *o, struct shrunk *ret, struct error *err);
/* The same, but also prints what was found and the command that shows it. `program`: the
 * simulator as the command names it. */
int shrink_and_say(const struct shrink_order *o, const char *program, struct error *err);

#endif
