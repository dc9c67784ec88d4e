/* exitcodes.h - what the exit codes of a step mean: S_LAUNCH.exit_codes, from what step, package
 * and subsystem say. Pure. */
#ifndef LB_RUNNER_EXITCODES_H
#define LB_RUNNER_EXITCODES_H

#include "proto/messages.h"

struct exitcodes {
    /* an exit_code each */
    const struct wire_list *package, *subsystem;
    struct span step; /* its success codes, a byte each; empty: it leaves all to the others */
};
/* A code that the step names is a success, and then no other is one. What the package says counts
 * before what the subsystem says. The subsystem's words go with each code that is no success. The
 * list points into *items. It is empty if nobody says anything: then 0 is the success. */
struct wire_list exitcodes_of(const struct exitcodes *from, struct buf *items);

#endif
