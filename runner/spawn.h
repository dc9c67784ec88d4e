/* spawn.h - starts a child: everything between "this may run" and its first instruction.
 *
 * In the child, in this order: our signals undone, own session, standard input from /dev/null,
 * output into the pipes, every other descriptor closed, working folder, umask 077, limits (no core,
 * files of any size, 1024 descriptors), KILL when its keeper dies, no_new_privs, execve. The parent
 * is suspended until then (clone with VM and VFORK, as performance.md says: fork costs by our size,
 * this does not), so what fails in the child is known here. */
#ifndef LB_RUNNER_SPAWN_H
#define LB_RUNNER_SPAWN_H

#include <sys/types.h>

#include "common/error.h"
#include "runner/command.h"

struct spawn {
    const struct command *command;
    int folder;   /* working folder */
    int null;     /* /dev/null, for reading */
    int out, err; /* the writing ends of its pipes */
    bool lower;   /* our oom_score_adj was raised to protect us: the child's goes back to 0 */
};

/* *ret_pid: our child; nobody else reaps it. Errors say which of the steps above failed. */
int spawn_child(const struct spawn *s, pid_t *ret_pid, struct error *err);

#endif
