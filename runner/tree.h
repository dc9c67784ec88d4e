/* tree.h - all descendants of this process, however they hide: double forks, sessions of their
 * own, ignored signals, stopped.
 *
 * A subreaper becomes the parent of every orphan below it. So the chain of parents of each
 * descendant leads to us, and "no child is left" (ECHILD) means that no descendant is. Before a
 * process is signalled it is held by a pidfd and checked again, so that a process that has taken
 * over a dead one's number is never hit. */
#ifndef LB_RUNNER_TREE_H
#define LB_RUNNER_TREE_H

#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "common/error.h"

/* Makes this process the subreaper. */
int tree_own(struct error *err);

/* Sends `sig` to every descendant that is not a zombie, except `except` and those below it (0:
 * no exception). After TERM it sends CONT, so that stopped ones react. Returns how many; -errno
 * if /proc cannot be read. */
int tree_signal(int sig, pid_t except);

enum { TREE_NAME = 16 /* of a process, with its NUL */ };

/* How many descendants there are that are not zombies, and the names of the first `room`; -errno as
 * above. */
int tree_names(char (*names)[TREE_NAME], int room);

/* Reaps whatever has ended. If `main` has, *ret_main is true and *ret_status and *ret_usage are
 * set. True: a child is left; false: no descendant is. Never blocks. */
bool tree_reap(pid_t main, bool *ret_main, int *ret_status, struct rusage *ret_usage);

#endif
