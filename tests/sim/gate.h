/* gate.h - the broker's effects wait here until the record that they rest on is on disk, as in
 * broker/shell/gate.h: the simulator's laws are about what leaves, and when.
 *
 * Each session has a queue, so its effects leave in the order of gate_put. An EXECUTE without its
 * call (BCORE_FX_EXECUTE) waits for the call, too. The newest session comes first, so that a seed
 * always replays. */
#ifndef LB_TESTS_SIM_GATE_H
#define LB_TESTS_SIM_GATE_H

#include "broker/core/core.h"

struct sim_gate;
/* Called for each effect when it may leave; its spans are valid during the call. It may call
 * gate_put and gate_forget. */
typedef void gate_leave(void *self, const struct bcore_effect *e);
/* Called once for each effect that has to be filled, from gate_put. Call gate_filled later, not
 * from here. */
typedef void gate_fetch(void *self, const struct bcore_effect *e, uint64_t number);

struct sim_gate *gate_new(uint64_t committed, gate_leave *leave, gate_fetch *fetch, void *self);
void gate_free(struct sim_gate **g);
void gate_welcome(struct sim_gate *g, uint64_t peer); /* a session has started */
void gate_forget(struct sim_gate *g, uint64_t peer); /* the session is over: its queue is dropped */
bool gate_knows(const struct sim_gate *g, uint64_t peer);

/* Lets an effect leave at once if it may, or else copies it to wait. Drops it if its session is
 * over. */
void gate_put(struct sim_gate *g, const struct bcore_effect *e);
/* Everything up to lsn is on disk. */
void gate_committed(struct sim_gate *g, uint64_t lsn);
/* Is the effect with this number still waiting to be filled? */
bool gate_awaits(const struct sim_gate *g, uint64_t peer, uint64_t number);
/* Fills the effect with this number with its message; it may then leave as a BCORE_FX_SEND.
 * Ignored if nothing waits under this number. */
void gate_filled(struct sim_gate *g, uint64_t peer, uint64_t number, struct span message);

/* Copies a lent effect. Its body and key go into `bytes`, which must have room for both. */
struct bcore_effect gate_copy_effect(const struct bcore_effect *e, uint8_t *bytes);

#endif
