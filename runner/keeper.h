/* keeper.h - a process of its own for each slot: runs steps one after the other and outlives the
 * runner that made it.
 *
 * Two processes, both forked, neither executes anything:
 *     guard    subreaper and parent of the keeper; holds run/keeper-N.lock. Does nothing until its
 *     keeper has died;
 * if it was killed, all that it left falls to the guard, which kills it and ends. So a slot's lock
 * is free only when
 *              no process of it is left, and the next keeper of the slot begins by waiting for the
 *              lock.
 *     keeper   subreaper and parent of the child; listens on run/keeper-N.sock, writes
 *     var/spool/keeper-N.log
 * A guard that is killed is not replaced: its keeper goes on and ends when it has nothing to do. If
 * both are killed at once, the child itself dies (PR_SET_PDEATHSIG), what it has started with it
 * only if it was in a cgroup of its own.
 *
 * With a runner it speaks as the runner speaks with the worker, on a channel. The runner says
 * S_ATTACH, then
 *     S_LAUNCH            run this, after what waits already
 *     S_HALT              end what runs of this attempt; drop what waits of it
 *     S_KEPT, state 1     give this back unless it has begun
 * and the keeper S_ATTACH, S_KEPT for all it holds (1 waits, 2 runs), S_KEPT_END, and from then on
 *     S_KEPT, state 2     it has begun           S_KEPT, state 3     it has ended: its outcome is
 *     in the spool S_LAUNCH            given back; unasked, too, when the fence does not let it
 *     start (fence.h)
 * Without a runner it goes on with what it has. With nothing to do and no runner for
 * KEEPER_ALONE_MS, it ends. */
#ifndef LB_RUNNER_KEEPER_H
#define LB_RUNNER_KEEPER_H

#include <sys/types.h>

#include "runner/runnerpaths.h"

enum {
    KEEPER_WAITING = 64,     /* steps that may wait at one keeper; the runner sends no more */
    KEEPER_ALONE_MS = 60000, /* a runner that was killed is back within seconds */
    KEEPER_PROTOCOL = 1
};

/* Is no process of the slot's last keeper left? */
bool keeper_slot_is_free(const struct runner_paths *paths, unsigned slot);

/* Forks guard and keeper for the slot. `channel`: the keeper's end of a socketpair with us; the
 * caller closes it then. *ret_pid: the guard, a child of ours. Call it from a process with one
 * thread. */
int keeper_fork(const struct runner_paths *paths, unsigned slot, int channel, pid_t *ret_pid,
                struct error *err);

/* What the guard's child does until it ends; of keeper.c. `channel`: descriptor 3, with the runner
 * at its other end. */
_Noreturn void keeper_main(const struct runner_paths *paths, unsigned slot, int channel);

#endif
