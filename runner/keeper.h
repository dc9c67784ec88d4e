/* keeper.h - the process of one slot: it runs steps one after the other and outlives the runner
 * that started it.
 *
 * There are two processes, both forked; neither executes another program:
 *
 * guard Subreaper and parent of the keeper; holds run/keeper-N.lock. It does nothing until its
 * keeper has died. If the keeper was killed, everything it leaves behind falls to the guard, which
 * kills it and ends. So the lock of a slot is free only when no process of the slot is left, and
 * the next keeper begins by waiting for the lock. keeper Subreaper and parent of the child; listens
 * on run/keeper-N.sock and writes var/spool/keeper-N.log.
 *
 * A guard that is killed is not replaced: its keeper goes on, and ends when it has nothing to do.
 * If both are killed at once, the child dies too (PR_SET_PDEATHSIG); what the child has started
 * dies with it only if it was in a cgroup of its own.
 *
 * Keeper and runner speak as runner and worker do, on a channel. The runner sends S_ATTACH, then
 *
 * S_LAUNCH run this, after what waits already S_HALT end what runs of this attempt; drop what waits
 * of it S_KEPT, KEPT_WAITS give this step back unless it has started
 *
 * The keeper answers S_ATTACH, an S_KEPT for each step it holds, S_KEPT_END, and then sends
 *
 *     S_KEPT, KEPT_RUNS    it has started
 *     S_ENDED              how it has ended, if the runner has asked for that (S_LAUNCH.job_hash)
 *     S_KEPT, KEPT_GONE    it has ended: its outcome is in the spool
 *     S_LAUNCH             given back; also unasked, when the fence forbids its start (fence.h), or
 *                          when it has waited here for KEEPER_STALE_MS or no further child may
 *                          start in this slot
 *     S_TROUBLE            why that is so; then the keeper ends
 *
 * A keeper of an earlier version ends what it holds and gets nothing new; then it is killed, and a
 * new one takes its slot. One whose version is not spoken here is left alone.
 *
 * Without a runner the keeper goes on with what it has. With nothing to do and no runner for
 * KEEPER_ALONE_MS, it ends. One that runs something by hand (byhand.h) ends its child and itself
 * with its runner. */
#ifndef LB_RUNNER_KEEPER_H
#define LB_RUNNER_KEEPER_H

#include <sys/types.h>

#include "runner/runnerpaths.h"

enum {
    KEEPER_WAITING = 64,    /* steps that may wait at one keeper */
    KEEPER_STALE_MS = 1000, /* a step that waited for so long is judged again before it starts */
    KEEPER_ALONE_MS = 60000 /* a killed runner is back within seconds */
};

/* True if no process of the slot's last keeper is left. */
bool keeper_slot_is_free(const struct runner_paths *paths, unsigned slot);

/* Forks guard and keeper for the slot; only a process with a single thread may call it.
 * `channel` is the keeper's end of a socketpair; close it after the call. *ret_pid is the guard,
 * our child. */
int keeper_fork(const struct runner_paths *paths, unsigned slot, int channel, pid_t *ret_pid,
                struct error *err);

/* The keeper itself: runs in the guard's child until it ends; defined in keeper.c. `channel`:
 * descriptor 3, with the runner at its other end. */
_Noreturn void keeper_main(const struct runner_paths *paths, unsigned slot, int channel);

#endif
