/* tree.h - all descendants of this process, however they hide: double forks, own sessions, ignored
 * signals, stopped.
 *
 * A subreaper is the new parent of every orphan below it, so the chain of parents of each
 * descendant leads to us, and "no child is left" (ECHILD) means that no descendant is. What is
 * signalled is held by a pidfd first and looked at again, so that no process that has taken over a
 * dead one's number is hit. */
#ifndef LB_RUNNER_TREE_H
#define LB_RUNNER_TREE_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/error.h"

/* Makes us the subreaper. */
int tree_own(struct error *err);

/* Sends `sig` to every descendant that is not a zombie, except those below `except` and itself (0:
 * none); after TERM also CONT, so that stopped ones hear it. Returns how many; -errno if /proc
 * cannot be read. */
int tree_signal(int sig, pid_t except);

/* Reaps whatever has ended. When `main` is among it, *ret_status and *ret_usage are set and
 * *ret_main is true. Returns whether any child is left (if not: no descendant is). Never blocks. */
bool tree_reap(pid_t main, bool *ret_main, int *ret_status, struct rusage *ret_usage);

#endif
