/* keepers.h - a server's runner and keepers with their children: what outlives the worker.
 *
 * A model of runner/: the runner takes steps and gives them to keepers, one for each slot. A
 * keeper starts the next child by itself, ends it at halt, deadline and (rerun) fence, and
 * writes LAUNCHED and ENDED into its file of the spool. A runner that dies takes nothing with
 * it. A keeper that is killed takes its child with it and records nothing. All processes of a
 * server share its machine's clock. */
#ifndef LB_TESTS_SIM_KEEPERS_H
#define LB_TESTS_SIM_KEEPERS_H

#include "tests/sim/catalog.h"
#include "tests/sim/disk.h"
#include "tests/sim/laws.h"

enum { KEEPERS_MAX = SPOOL_FILES - SPOOL_KEEPERS };

struct keepers;

/* What reaches the worker; only while one is attached. */
struct keepers_calls {
    void (*told)(void *self, struct span message); /* KEPT, KEPT_END */
    void (*link_down)(void *self);
    void (*bell)(void *self); /* something was written to the spool; this call may get lost */
};

struct keepers_house { /* lent for the keepers' life */
    const char *server;
    struct clock_sim *clock;
    struct spool_sim *spool;
    const struct id *spool_id;
    const int64_t *fence; /* boot ms of the last renewal; 0: none since the machine's start */
    const struct catalog *catalog;
    unsigned slots, ahead;
};

struct keepers *keepers_new(struct world *w, struct laws *l, const struct keepers_house *h,
                            const struct keepers_calls *calls, void *self);
void keepers_free(struct keepers **k);

/* ---- The worker's end of the link */
bool keepers_attach(struct keepers *k); /* false: the runner is down. Then KEPT ... KEPT_END come */
void keepers_detach(struct keepers *k); /* the worker has died; what it sent still arrives */
void keepers_say(struct keepers *k, struct span message);

/* ---- Faults */
void keepers_runner_crash(struct keepers *k);
void keepers_runner_start(struct keepers *k);
bool keepers_runner_is_up(const struct keepers *k);
bool keepers_kill_one(struct keepers *k);  /* kills a keeper that has work; false: none has */
void keepers_power_off(struct keepers *k); /* all of them die at once */
unsigned keepers_children(const struct keepers *k);

#endif
