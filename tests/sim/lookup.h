/* lookup.h - what the broker's core asks of the history, as broker/shell/lookup.c does: the end of
 * a run that has left its memory, whether a key was ever used, and the call of a run, which is in
 * the journal only.
 *
 * An answer takes its time, so answers come in any order; an answer to a session that is over
 * goes nowhere. A broker that dies takes its questions with it: lookup_free. */
#ifndef LB_TESTS_SIM_LOOKUP_H
#define LB_TESTS_SIM_LOOKUP_H

#include "broker/core/core.h"
#include "tests/sim/disk.h"
#include "tests/sim/gate.h"
#include "tests/sim/laws.h"

struct sim_lookup;

struct lookup_calls {
    void (*say)(void *self, uint64_t peer, struct span message);
    bool (*may_see)(void *self, uint64_t peer, struct span first_record);
    /* Take the message `e->body` again, now that this is known about its key (NULL: the key was
     * never used). */
    void (*known)(void *self, const struct bcore_effect *e, const struct bcore_known *known);
    void (*turn_end)(void *self);
};

struct sim_lookup *lookup_new(struct world *w, struct process *broker, struct laws *l,
                              const struct journal *j, struct sim_gate *g,
                              const struct lookup_calls *calls, void *self);
void lookup_free(struct sim_lookup **l);
void lookup_run(struct sim_lookup *l, const struct bcore_effect *e);
void lookup_key(struct sim_lookup *l, const struct bcore_effect *e, const char *principal);
void lookup_handed(struct sim_lookup *l, const struct bcore_effect *e);
/* The answer goes to gate_filled with this number. */
void lookup_call(struct sim_lookup *l, const struct bcore_effect *e, uint64_t number);

#endif
