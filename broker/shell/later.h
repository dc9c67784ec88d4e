/* later.h - requests about a run or parent that is no longer in memory: the store's first record of
 * it says whose it is, and the right is judged by that. */
#ifndef LB_BROKER_SHELL_LATER_H
#define LB_BROKER_SHELL_LATER_H

#include "broker/shell/rights.h"
#include "broker/shell/shell.h"

/* What is named must be known to the store, or *code is UNKNOWN_RUN, except for those who have the
 * verb for everything. `p` and `message` are lent for the call. */
typedef void later_hear(void *self, struct shell_peer *p, uint64_t kind, struct span message,
                        enum refusal code, const char *why);

/* For a message whose verdict is RIGHTS_LATER and that goes on to the core. Asks the store, and
 * calls `hear` with the verdict (REFUSAL_NONE: allowed), unless the session has ended by then. The
 * question counts against the sender; beyond the budget it is answered `busy`. The message is
 * copied. */
void later_judge(struct shell *sh, struct shell_peer *p, const struct rights_rule *rule,
                 uint64_t kind, struct span message, later_hear *hear, void *self);

#endif
