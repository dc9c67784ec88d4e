/* kept.h - the states in which an S_KEPT speaks of a step. Keeper, runner and worker share them. */
#ifndef LB_PROTO_KEPT_H
#define LB_PROTO_KEPT_H

enum kept_state {
    KEPT_NOTHING,
    KEPT_WAITS, /* at the keeper, or (slot 0) at the runner */
    KEPT_RUNS,
    KEPT_GONE /* it has ended, or its keeper has died: the spool says which */
};

#endif
