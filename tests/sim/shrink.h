/* shrink.h - looks for a smaller world in which a seed breaks the same law, so that its trace can
 * be read.
 *
 * What a world does without one of its troubles cannot be known but by trying, so this is a search:
 * one thing after the other is left out - members, kinds of troubles, single troubles and calls in
 * ever smaller groups, time - and what still breaks the law, and costs the reader less, is where it
 * goes on. Between that it tries other dice for the small world: the same troubles and calls, other
 * delays.
 *
 * Several worlds are tried at a time, but of those that are better always the first one is taken:
 * given the same number of processes and of tries, the same world is found. */
#ifndef LB_TESTS_SIM_SHRINK_H
#define LB_TESTS_SIM_SHRINK_H

#include "tests/sim/cluster.h"

struct shrink_order {
    struct cluster_order world; /* where it begins; trace and most are not used */
    unsigned processes;         /* worlds tried at a time */
    unsigned tries;             /* no more than these; 0: no bound */
    double seconds;             /* the search ends after so long; 0: no bound */
};

struct shrunk {
    struct subset subset;
    struct cluster_result whole, small;
    unsigned tries;
    double seconds;
    bool done; /* nothing more was found; false: time or tries were over */
};

/* -ENOENT: the world breaks no law. -ETIME: it does not end, so nothing is tried. */
int shrink(const struct shrink_order *o, struct shrunk *ret, struct error *err);
/* The same, and says on stdout what was found and the command that shows it. `program` runs the
   simulator. */
int shrink_and_say(const struct shrink_order *o, const char *program, struct error *err);

#endif
