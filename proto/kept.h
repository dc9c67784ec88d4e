/* kept.h - the states of a step that an S_KEPT reports; shared by keeper, runner and worker. */
#ifndef LB_PROTO_KEPT_H
#define LB_PROTO_KEPT_H

enum kept_state {
    KEPT_NOTHING,
    KEPT_WAITS, /* at the keeper, or (slot 0) at the runner */
    KEPT_RUNS,
    KEPT_GONE, /* it has ended, or its keeper has died: the spool says which */
    /* runner to worker: no slot can be used, so it was not launched and will not be */
    KEPT_NOWHERE
};

#endif
