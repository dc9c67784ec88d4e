/* ctl_trail.h - a whole audit trail, from the broker or from a file, verified row by row and
 * perhaps written to a file. */
#ifndef LB_ADMIN_CTL_TRAIL_H
#define LB_ADMIN_CTL_TRAIL_H

#include "admin/ctl.h"

struct ctl_trail_order {
    const char *from;       /* an exported file; NULL: the broker */
    const char *to;         /* export: the file to be made; NULL: none is */
    const char *checkpoint; /* a checkpoint from which the trail must go on; NULL: of the broker's
                                   trail, the one that was kept at the last verification */
    const char *administrators; /* a file with their keys; NULL: this home's */
};
/* Verifies, says what was found, and keeps the newest checkpoint of the broker's trail. Returns the
 * exit code: 1 for a trail that is not whole. */
int ctl_trail_verify(char **argv, const struct ctl_trail_order *o);

#endif
