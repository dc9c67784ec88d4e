/* clusterinside.h - what cluster.c and faults.c share. */
#ifndef LB_TESTS_SIM_CLUSTERINSIDE_H
#define LB_TESTS_SIM_CLUSTERINSIDE_H

#include "tests/sim/brokernode.h"
#include "tests/sim/callernode.h"
#include "tests/sim/cluster.h"
#include "tests/sim/workernode.h"

enum { CLUSTER_SERVERS = 4, CLUSTER_CALLERS = 3, CLUSTER_CABLES = CLUSTER_SERVERS + CLUSTER_CALLERS + 1 };

/* What a seed is about; the rest happens, too. */
enum theme {
    THEME_MIXED,
    THEME_EXILE,  /* servers with work out of reach for about lost_after, and back */
    THEME_MEMORY, /* a broker that remembers next to no ends, a slow disk, callers that ask again */
    THEME_RUSH    /* many short calls at once, and callers that do not listen */
};

struct cluster {
    struct world w;
    struct catalog catalog;
    struct laws *laws;
    struct network *network;
    struct brokernode *broker;
    struct workernode *servers[CLUSTER_SERVERS];
    struct callernode *callers[CLUSTER_CALLERS], *chief;
    const struct less *less;
    unsigned n_servers, n_callers, calls, calls_left;
    unsigned of_servers, of_callers; /* so many the seed has; where each of them is, or who stands for it */
    unsigned server_at[CLUSTER_SERVERS], caller_at[CLUSTER_CALLERS];
    unsigned turns_of_calls, called, faults, troubled; /* so far: what is left out counts, too */
    struct cluster_result *ret;                        /* kept up to date: a core may end the process */
    unsigned jobs_at_first[CLUSTER_SERVERS];
    int64_t chaos_us, call_every, healed_at, heal_us, lost_after_us;
    bool over;
    enum theme theme;
    bool small_steps; /* wall clocks differ by less than CLOCK_SKEW_MS: what forgotten keys rest on */
    struct event call, fault, look, disk_well, broker_back;
    struct event decide, late_crash; /* of the theme of exile */
    unsigned late;                   /* the server of late_crash */
    int64_t late_for_us;
    struct event mend[CLUSTER_CABLES];
    uint64_t kinds; /* bits: which troubles of faults.c happen in this seed */
    int64_t every_us;
    unsigned steps_of_walls;
};

/* ---- faults.c: from now until chaos_us faults happen, then cluster_heal is called */
void faults_begin(struct cluster *c);
void cluster_heal(struct cluster *c);
void cluster_release(struct cluster *c, unsigned per_mille); /* each held run with this chance */

#endif
