/* attach.h - the versions of what worker and runner, and runner and keepers, say to each other.
 *
 * Both begin with S_ATTACH. The side that connects says the newest version that it speaks; the
 * other answers with the one that both use from then on, the smaller of the two. Each release
 * speaks its own version and that of the release before, so that programs can be exchanged one
 * after the other while children run.
 *
 *   1   0.1
 *   2   S_LAUNCH has a context and more; what is appended to S_LAUNCHED and S_ENDED is read;
 *       S_TROUBLE, KEPT_NOWHERE; S_PROBE
 *
 * The runner tells a keeper with each step what the worker reads that asked for it: a keeper hears
 * no worker, and may outlive the one of the earlier release or the runner that knew it. A worker
 * of the release before reads nothing that was written for its successor; so a server goes back
 * once it is drained (docs/upgrading.md). */
#ifndef LB_PROTO_ATTACH_H
#define LB_PROTO_ATTACH_H

#include <stdbool.h>
#include <stdint.h>

enum {
    RUNNER_PROTOCOL = 2, /* worker and runner */
    RUNNER_PROTOCOL_MIN = 1,
    RUNNER_PROTOCOL_ADDED = 2, /* since then a worker reads entries with what was added */
    KEEPER_PROTOCOL = 2,       /* runner and keepers */
    KEEPER_PROTOCOL_MIN = 1
};

/* What is used if we speak up to `own` and the other says `theirs`. */
static inline uint64_t attach_common(uint64_t own, uint64_t theirs)
{
    return theirs < own ? theirs : own;
}

#endif
