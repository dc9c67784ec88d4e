/* syscalls.h - the system calls that a child is refused (seccomp): those with which one process
 * reaches into another, changes the system, or comes near parts of the kernel that jobs have no use
 * for.
 *
 * A refused call fails with EPERM; nothing is killed. clone3 fails with ENOSYS, and libraries then
 * use clone, whose flags can be seen: a namespace of users is refused. */
#ifndef LB_RUNNER_SYSCALLS_H
#define LB_RUNNER_SYSCALLS_H

#include <linux/filter.h>

#include "common/error.h"

/* Compiles the list, once for each keeper. ret->filter is yours: syscalls_free. -ENOTSUP: this
 * kernel has no filters. */
int syscalls_compile(struct sock_fprog *ret, struct error *err);
void syscalls_free(struct sock_fprog *f);

/* In a child, right before execve; no_new_privs is set. For good, and for all that it starts.
 * 0, or -1 with errno. */
int syscalls_refuse(const struct sock_fprog *f);

#endif
