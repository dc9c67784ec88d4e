/* lookup.h - what the core asks the store: the end of a run no longer in memory, whether a key was
 * ever used, and the bytes of a call kept only in the store. */
#ifndef LB_BROKER_SHELL_LOOKUP_H
#define LB_BROKER_SHELL_LOOKUP_H

#include "broker/shell/shell.h"

/* Each asks the store and returns; the answer goes to the peer of the effect. The effect is copied.
 */
void lookup_run(struct shell *sh, const struct bcore_effect *e);
void lookup_key(struct shell *sh, const struct bcore_effect *e);
void lookup_handed(struct shell *sh, const struct bcore_effect *e);
/* For the gate: fills the EXECUTE of this number, whose call is only in the store. */
void lookup_call(struct shell *sh, const struct bcore_effect *e, uint64_t number);

#endif
