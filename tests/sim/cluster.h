/* cluster.h - one simulated cluster from a seed: its members, its faults, its end.
 *
 * A seed decides everything: the number of servers, slots, callers and monitors, what is called,
 * which plans are driven, which kinds of faults happen and how often. After some minutes the faults
 * stop, everything is mended, most held runs are released, and within HEAL_MINUTES all accepted
 * runs and parents must end and all monitors must hear of it. */
#ifndef LB_TESTS_SIM_CLUSTER_H
#define LB_TESTS_SIM_CLUSTER_H

#include "tests/sim/laws.h"
#include "tests/sim/subset.h"

enum { HEAL_MINUTES = 60 /* virtual; some seeds queue a dozen jobs of two minutes for one slot */ };

struct cluster_result {
    bool passed;
    enum law law; /* the broken one */
    char text[400];
    /* Kept up to date while it runs, for a world that ends its process. */
    uint64_t steps;              /* events taken so far */
    unsigned servers, callers;   /* how many there were */
    struct only calls, troubles; /* the calls and troubles that happened */
    int64_t chaos_ms;            /* until when faults could happen */
    int64_t virtual_us;
    uint64_t trace_hash;
    struct counts counts;
};

struct cluster_order {
    uint64_t seed;
    struct subset subset; /* zero: the whole world of the seed */
    FILE *trace;          /* where the trace goes; NULL: nowhere */
    uint64_t most;        /* stop after this many events; 0: at the end */
    int heal_minutes;     /* 0: HEAL_MINUTES */
    /* An additional law, checked after each event; NULL: none. It complains through law_break. */
    void (*also)(struct world *w, struct laws *l);
};
void cluster_tell(const struct cluster_order *o, struct cluster_result *ret);
/* Prints one line: the broken promise and how it broke, or what ended the process. */
void cluster_say(FILE *out, const struct cluster_result *r);
/* The same for a whole world. */
void cluster_run(uint64_t seed, FILE *trace, uint64_t most, struct cluster_result *ret);

/* The names of the troubles of faults.c; NULL past the last one. */
const char *cluster_trouble(unsigned i);

#endif
