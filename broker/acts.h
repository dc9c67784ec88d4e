/* acts.h - what a message is to the audit trail: is it a privileged act, of which verb, on what,
 * and what does it change? */
#ifndef LB_BROKER_ACTS_H
#define LB_BROKER_ACTS_H

#include "broker/shell/shell.h"

/* One message. acts_free returns it to all zero. */
struct acts {
    bool privileged; /* false: only its denial is told */
    /* the core keeps no record of it, so it waits until its entry is on disk */
    bool entry_first;
    char verb[LIMIT_NAME + 1], object[LIMIT_SHORT + 1];
    struct buf reason, before, after;
};
/* Reads the message; a malformed one has a verb and nothing else. `p`: who sends it. */
void acts_read(const struct shell *sh, const struct shell_peer *p, uint64_t kind,
               struct span message, struct acts *ret);
void acts_free(struct acts *a);
/* Is any message of this kind a privileged act? */
bool acts_may_be(uint64_t kind);
/* Does this answer deny (and not only refuse) what was asked? */
bool acts_is_denial(enum refusal code);

#endif
