/* endedkeys.h - the keys that a start has left out of the broker's memory, read out of the journal
 * page by page beside everything else, as broker/shell/endedkeys.c does. */
#ifndef LB_TESTS_SIM_ENDEDKEYS_H
#define LB_TESTS_SIM_ENDEDKEYS_H

#include "broker/core/core.h"
#include "tests/sim/disk.h"

struct endedkeys;
typedef void endedkeys_give(void *self, struct bcore_event *ev);

/* After journal_load. Calls `give` in time, with events of kind BCORE_ENDED_KEYS; never, if the
 * load left nothing out. A broker that dies takes it along: endedkeys_free. */
struct endedkeys *endedkeys_new(struct world *w, struct process *broker, const struct journal *j,
                                uint64_t left_out, endedkeys_give *give, void *self);
void endedkeys_free(struct endedkeys **k);

#endif
