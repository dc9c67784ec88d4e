/* shadow.h - the broker's state must be what its records give (promise 5): two cores beside it that
 * are only ever fed records. One takes what has become durable under any of its processes, one what
 * the one that lives has emitted.
 *
 * What a start has replayed, whole or folded, is compared with the first; what lives, now and then
 * and at its death, with the second. */
#ifndef LB_TESTS_SIM_SHADOW_H
#define LB_TESTS_SIM_SHADOW_H

#include "broker/core/core.h"
#include "tests/sim/disk.h"
#include "tests/sim/laws.h"

struct shadow;

/* lent for its life */
struct shadow *shadow_new(struct laws *l, const struct bcore_config *config);
void shadow_free(struct shadow **s);
/* A process begins: the journal is replayed into its core, which is new. False: it cannot be, and a
   law is broken. */
bool shadow_begin(struct shadow *s, struct journal *j, bool folded, struct bcore *core);
void shadow_end(struct shadow *s); /* it is gone */

void shadow_emitted(struct shadow *s, uint64_t lsn, struct span record);
void shadow_durable(struct shadow *s, uint64_t lsn, struct span record);
/* It has emitted all records of a step. A comparison costs a walk over all, so not each step has
   one. */
void shadow_stepped(struct shadow *s, const struct bcore *core);
/* the law's text, if it differs */
void shadow_judge(struct shadow *s, const struct bcore *core, const char *what);

#endif
