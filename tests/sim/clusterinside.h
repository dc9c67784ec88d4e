/* clusterinside.h - what cluster.c, clients.c and faults.c share. */
#ifndef LB_TESTS_SIM_CLUSTERINSIDE_H
#define LB_TESTS_SIM_CLUSTERINSIDE_H

#include "tests/sim/brokernode.h"
#include "tests/sim/callernode.h"
#include "tests/sim/cluster.h"
#include "tests/sim/drivernode.h"
#include "tests/sim/hostilecaller.h"
#include "tests/sim/monitornode.h"
#include "tests/sim/workernode.h"

enum {
    CLUSTER_SERVERS = 4,
    CLUSTER_CALLERS = 3,
    CLUSTER_DRIVERS = 2, /* processes of one principal */
    CLUSTER_MONITORS = 2,
    CLUSTER_PLANS = 6,
    CLUSTER_CABLES = CLUSTER_SERVERS + CLUSTER_CALLERS + 1 + CLUSTER_DRIVERS + CLUSTER_MONITORS
};

/* What a seed concentrates on; the rest happens, too. */
enum theme {
    THEME_MIXED,
    THEME_EXILE,  /* servers with work out of reach for about lost_after, then back */
    THEME_MEMORY, /* a broker that remembers few ends, a slow disk, callers that ask again */
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
    struct drivernode *drivers[CLUSTER_DRIVERS]; /* both or none */
    struct monitornode *monitors[CLUSTER_MONITORS];
    struct hostilecaller *hostile; /* NULL: nobody is */
    unsigned tricks;
    int64_t trick_every;
    struct sim_plan *plans[CLUSTER_PLANS];
    struct plan_mood plan_mood;
    unsigned n_drivers, n_monitors, n_plans, plans_wanted;
    const struct subset *subset;
    unsigned n_servers, n_callers, calls, calls_left;
    /* as many as the seed has; where each of them is, or who replaces it */
    unsigned of_servers, of_callers;
    unsigned server_at[CLUSTER_SERVERS], caller_at[CLUSTER_CALLERS];
    unsigned turns_of_calls, called, faults, troubled; /* so far; what is left out counts, too */
    /* kept up to date: a core may end the process */
    struct cluster_result *ret;
    unsigned jobs_at_first[CLUSTER_SERVERS];
    int64_t chaos_us, call_every, healed_at, heal_us, lost_after_us;
    bool over;
    enum theme theme;
    /* wall clocks differ by less than CLOCK_SKEW_MS, as forgotten keys require */
    bool small_steps;
    struct event trick, call, plan, fault, look, disk_well, broker_back;
    struct event decide, late_crash; /* of the theme of exile */
    unsigned late;                   /* the server of late_crash */
    int64_t late_for_us;
    struct event mend[CLUSTER_CABLES];
    uint64_t kinds; /* bits: which troubles of faults.c happen in this seed */
    int64_t every_us;
    unsigned steps_of_walls;
};

/* ---- clients.c: parents' drivers and monitors */
void clients_make(struct cluster *c, const char *const *servers);
/* Someone hostile, and a broker with little room: its pools are in reach. Called first. */
void clients_choose_room(struct cluster *c, struct broker_mood *mood);
void clients_start(struct cluster *c);
void clients_free(struct cluster *c);
struct cable *clients_cable(struct cluster *c, unsigned i); /* of n_drivers + n_monitors */
void clients_heal(struct cluster *c);
/* The law about what one of them still waits for; LAW_COUNT: nothing is missing. */
enum law clients_missing(struct cluster *c, char *text, size_t size);
void clients_driver_crash(struct cluster *c, int64_t for_us);
void clients_driver_pause(struct cluster *c, int64_t for_us);
/* Moves what one process drives to the other; the first is stopped past its lease, cut off, or
 * neither. Returns the cable to cut (as in clients_cable), or -1. */
int clients_driver_replace(struct cluster *c, int64_t for_us);
void clients_cancel(struct cluster *c);
void clients_monitor_crash(struct cluster *c, int64_t for_us);
void clients_monitor_pause(struct cluster *c, int64_t for_us);

/* ---- faults.c: from now until chaos_us faults happen, then cluster_heal is called */
void faults_begin(struct cluster *c);
void cluster_heal(struct cluster *c);
void cluster_release(struct cluster *c, unsigned per_mille); /* each held run with this chance */

#endif
