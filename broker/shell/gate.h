/* gate.h - effects wait here until the record that they rest on is on disk. Pure.
 *
 * Each peer has a queue, so its effects leave in the order in which they were put: one that rests
 * on nothing does not overtake one that waits. Peers do not wait for each other.
 *
 * An EXECUTE without its call (BCORE_FX_EXECUTE) also waits for the call's bytes. They are fetched
 * at once, while the record is being committed, and all fetches of a peer run at the same time. */
#ifndef LB_BROKER_SHELL_GATE_H
#define LB_BROKER_SHELL_GATE_H

#include "broker/core/core.h"

struct gate;
/* Called for each effect once it may leave; its spans are lent for the call. It may call gate_put
   and gate_forget. */
typedef void gate_leave(void *self, const struct bcore_effect *e);
/* Called once for each effect that must be filled, when it is put. Fetches the record e->called_lsn
 * and calls gate_filled later, never from within. */
typedef void gate_fetch(void *self, const struct bcore_effect *e, uint64_t number);

struct gate *gate_new(gate_leave *leave, gate_fetch *fetch, void *self);
void gate_free(struct gate **g);
/* The effect leaves at once if it may; otherwise it is copied and waits. */
void gate_put(struct gate *g, const struct bcore_effect *e);
/* Everything up to lsn is on disk. */
void gate_committed(struct gate *g, uint64_t lsn);
/* Turns the effect of this number into a BCORE_FX_SEND of this message; an empty message drops it.
 * A number that is unknown, because its peer is gone, is ignored. */
void gate_filled(struct gate *g, uint64_t peer, uint64_t number, struct span message);
/* Drops the queue of a peer that is gone. */
void gate_forget(struct gate *g, uint64_t peer);
uint64_t gate_waiting(const struct gate *g); /* effects that wait */

#endif
