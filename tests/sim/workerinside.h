/* workerinside.h - what workernode.c and workerfaults.c share. */
#ifndef LB_TESTS_SIM_WORKERINSIDE_H
#define LB_TESTS_SIM_WORKERINSIDE_H

#include "tests/sim/peerline.h"
#include "tests/sim/rivalworker.h"
#include "tests/sim/serverjobs.h"
#include "tests/sim/workernode.h"
#include "worker/core/core.h"

struct workernode {
    struct world *w;
    struct laws *laws;
    struct workernode_options options; /* its jobs: the first ones, see serverjobs.h */
    char name[32];
    struct clock_sim clock;
    struct process process;
    struct cable cable;
    struct peerline *line;
    struct wcore *core;
    struct wcore_out out;
    struct spool_sim spool;
    struct keepers *keepers;
    struct serverjobs *jobs;
    struct id spool_id, nonce; /* nonce: HELLO's incarnation, of this spool in this boot */
    uint64_t epoch;            /* of the broker that welcomed it last */
    struct id boot;         /* as HELLO says it: another one once the spool may have lost entries */
    bool rebooted, gap;     /* since the worker last began */
    int64_t fence, renewed; /* renewed: what the WELCOME renewed, which the fence does not count */
    bool die_in_step, linked;
    struct event tick, poll, bell, come_back, runner_back, link;
    struct rivalworker *rival; /* another worker under the name */
    struct process rival_process;
    struct event rival_end, attest;
};

/* whole: no step was cut short, so the state can be judged */
void workernode_die(struct workernode *s, bool whole);
/* it starts then, unless something has started it before */
void workernode_back_at(struct workernode *s, int64_t at);
/* attests what it has, in its session if there is one */
void workernode_say_attest(struct workernode *s);

#endif
