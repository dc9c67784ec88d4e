/* need.h - the conditions that packages state about their server:
 *
 *     path:/srv/source       it exists and we may read it
 *     command:psql           it is in PATH, or is an absolute path to a program
 *     tcp:db1:5432           something accepts a connection
 *     env:NAME               the variable is set
 *     disk_free:BYTES:/srv   this much is free for us
 *
 * "We" are the process that asks, so that a step's needs are probed as its user
 * (runner/probe.h). */
#ifndef LB_COMMON_NEED_H
#define LB_COMMON_NEED_H

#include <stdbool.h>
#include <stddef.h>

enum { NEED_CONNECT_MS = 3000 /* for a TCP connection */ };

/* Makes one probe; may block for as long as a file server or a resolver does. envp: the variables
 * of the children that need it; ends with NULL. True: the need holds. False: `trouble` says why
 * not. */
bool need_probe(const char *need, char *const envp[], char *trouble, size_t size);

#endif
