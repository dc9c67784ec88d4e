/* door.h - the broker's rights in the simulation: who may follow, cancel, drive, end and release
 * what. Judged by broker/shell/rights.c, as the shell does before the core hears of a message;
 * other messages pass. */
#ifndef LB_TESTS_SIM_DOOR_H
#define LB_TESTS_SIM_DOOR_H

#include "broker/core/view.h"

/* False: *answer is the ERROR to send instead. `certificate`: the sender's. */
bool door_admits(const struct bcore *core, struct span certificate, struct span message,
                 struct buf *answer);
/* May it be told what the history has about the run whose first record this is? */
bool door_may_see(const struct bcore *core, struct span certificate, struct span first_record);

#endif
