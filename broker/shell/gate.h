/* gate.h - effects wait here until the record that they rest on is on disk. Pure.
 *
 * Each peer has a queue, so its effects leave in the order in which they were put; one that rests
 * on nothing does not overtake one that waits. Peers do not wait for each other.
 *
 * An EXECUTE without its call (BCORE_FX_EXECUTE) waits for that, too: it is fetched at once, beside
 * the commit, and all that a peer waits for are fetched side by side. */
#ifndef LB_BROKER_SHELL_GATE_H
#define LB_BROKER_SHELL_GATE_H

#include "broker/core/core.h"

struct gate;
/* Called for each effect when it may leave; its spans are lent for the call. It may call gate_put
   and gate_forget. */
typedef void gate_leave(void *self, const struct bcore_effect *e);
/* Called once for each effect that must be filled, when it is put: fetch the record e->called_lsn
 * and say gate_filled, later and not from here. */
typedef void gate_fetch(void *self, const struct bcore_effect *e, uint64_t number);

struct gate *gate_new(gate_leave *leave, gate_fetch *fetch, void *self);
void gate_free(struct gate **g);
/* Leaves at once if it may, else is copied and waits. */
void gate_put(struct gate *g, const struct bcore_effect *e);
/* Everything up to lsn is on disk. */
void gate_committed(struct gate *g, uint64_t lsn);
/* The effect of this number is this message, and may leave as a BCORE_FX_SEND; empty: it is
 * dropped. Unknown ones, of a peer that is gone, are passed over. */
void gate_filled(struct gate *g, uint64_t peer, uint64_t number, struct span message);
/* The peer is gone: nothing of its queue leaves. */
void gate_forget(struct gate *g, uint64_t peer);
uint64_t gate_waiting(const struct gate *g); /* effects that wait */

#endif
