/* shadow.h - the broker's state must be exactly what its records give (promise 5). Two more cores
 * are fed records and nothing else: one gets all records that have become durable, the other those
 * that the living broker has emitted.
 *
 * After each start the broker's state, replayed from the whole or folded journal, is compared
 * with the first; the living broker is compared with the second from time to time and at its
 * death. */
#ifndef LB_TESTS_SIM_SHADOW_H
#define LB_TESTS_SIM_SHADOW_H

#include "broker/core/core.h"
#include "tests/sim/disk.h"
#include "tests/sim/laws.h"

struct shadow;

/* lent for its life */
struct shadow *shadow_new(struct laws *l, const struct bcore_config *config);
void shadow_free(struct shadow **s);
/* A process starts: replays the journal into its new core. False: that failed, and a law is
 * broken. *ret_left_out: for bcore_begin. */
bool shadow_begin(struct shadow *s, struct journal *j, bool folded, struct bcore *core,
                  uint64_t *ret_left_out);
void shadow_end(struct shadow *s); /* the process is gone */

void shadow_emitted(struct shadow *s, uint64_t lsn, struct span record);
void shadow_durable(struct shadow *s, uint64_t lsn, struct span record);
/* It has emitted all records of a step. A comparison walks over the whole state, so only some
 * steps get one. */
void shadow_stepped(struct shadow *s, const struct bcore *core);
/* the law's text, if it differs */
void shadow_judge(struct shadow *s, const struct bcore *core, const char *what);

#endif
