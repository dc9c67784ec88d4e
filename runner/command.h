/* command.h - the command line and the whole environment of a child. Nothing of our own environment goes in.
 *
 *     exec    the entry, no arguments           shell   /bin/sh ENTRY, or /bin/sh -eu -c TEXT for a step without a
 * package python  /usr/bin/python3 ENTRY
 *
 * The entry is named by its path inside the content-addressed, read-only package folder: an interpreter opens its
 * script by that name anyway.
 */
#ifndef LB_RUNNER_COMMAND_H
#define LB_RUNNER_COMMAND_H

#include "proto/messages.h"
#include "runner/childfiles.h"
#include "runner/house.h"

struct command {
    char **argv, **envp; /* NULL-ended */
    size_t n_argv, n_envp;
};
void command_free(struct command *c);

/* -ENOENT, -EPERM: the package or its entry is not there (any more); -EINVAL: a subsystem we cannot run. */
int command_make(const struct house *house, const struct childfiles *files, const struct s_launch *l,
                 struct command *ret, struct error *err);

/* The text of $LB_PARAMETERS: all parameters as one JSON object, sensitive ones too. */
void command_parameters(const struct s_launch *l, struct buf *out);

#endif
