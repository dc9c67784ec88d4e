/* drive.h - one parent in its driver's process. Between drivernode.c and drive.c. */
#ifndef LB_TESTS_SIM_DRIVE_H
#define LB_TESTS_SIM_DRIVE_H

#include "parent/core/core.h"
#include "tests/sim/drivernode.h"
#include "tests/sim/peerline.h"

struct drivernode {
    struct world *w;
    struct laws *laws;
    char name[32];
    struct clock_sim clock;
    struct process process;
    struct cable cable;
    struct peerline *line;
    struct event come_back;
    struct drive **drives;
    unsigned n_drives;
};

enum drive_state {
    DRIVE_BEGINS, /* PARENT_BEGIN has no answer yet */
    DRIVE_WAITS,  /* for the lease, before its first step */
    DRIVE_GOES,
    DRIVE_ENDS, /* there is a verdict, not yet recorded */
    DRIVE_OVER
};

enum flight_state { FLIGHT_NONE, FLIGHT_ASKED, FLIGHT_ACCEPTED, FLIGHT_ENDED };

struct flight { /* a child */
    enum flight_state state;
    struct buf body, signed_call;
    struct id run;
    bool cancel;
};

struct drive {
    struct drivernode *node;
    struct sim_plan *plan;
    enum drive_state state;
    struct id run;
    uint64_t epoch;
    struct pcore *core;
    struct pcore_out out;
    struct flight flights[PLAN_TASKS][PLAN_COUNT];
    bool resolving[PLAN_TASKS];
    enum status verdict;
    struct event later;
    struct buf scratch;
};

struct drive *drive_new(struct drivernode *node, struct sim_plan *plan);
void drive_free(struct drive **d);
void drive_stop(struct drive *d);    /* its process has died */
void drive_session(struct drive *d); /* sends again what has no answer yet */
void drive_hear(struct drive *d, uint64_t kind, struct span message);
void drive_cancel(struct drive *d);
bool drive_is_going(const struct drive *d);
bool drive_is_over(const struct drive *d);

#endif
