/* spawn.h - starts a child: everything between "this may run" and its first instruction.
 *
 * In the child, in this order: signals reset, a session of its own, its cgroup, working folder,
 * standard input, output into the pipes, all other descriptors closed with execve, umask 077,
 * limits, the user (runner/privilege.h), KILL when its keeper dies, no_new_privs, Landlock and
 * refused system calls (runner/sandbox.h), execve. The parent is suspended until then (clone with
 * VM and VFORK; fork would cost time in proportion to our size), so what fails in the child is
 * known here. */
#ifndef LB_RUNNER_SPAWN_H
#define LB_RUNNER_SPAWN_H

#include <sys/types.h>

#include "common/error.h"
#include "runner/command.h"
#include "runner/privilege.h"
#include "runner/sandbox.h"

struct spawn {
    const struct command *command;
    int folder;                        /* working folder */
    int null;                          /* its standard input, unless the command has inputs */
    int out, err;                      /* the writing ends of its pipes */
    const struct privilege_user *user; /* NULL: it stays ours */
    const struct sandbox *sandbox;     /* NULL: none; the usual limits */
    bool lower; /* our oom_score_adj protects us; the child's goes back to 0 */
};

/* *ret_pid: the child, for the caller to reap. An error says which of the steps above failed. */
int spawn_child(const struct spawn *s, pid_t *ret_pid, struct error *err);

#endif
