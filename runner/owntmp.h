/* owntmp.h - a /tmp of a step's own (private_tmp): its program is executed by lbtmp, which mounts
 * a folder inside the step's working folder over /tmp and /var/tmp, for this step alone.
 *
 * What the step leaves there goes with its working folder; the mounts go with its last process.
 * Inside, files of other users and supplementary groups look like those of nobody; what the step
 * may do with them stays the same. */
#ifndef LB_RUNNER_OWNTMP_H
#define LB_RUNNER_OWNTMP_H

#include <stdbool.h>

#include "runner/command.h"
#include "runner/runnerpaths.h"

/* Inside the working folder; the child sees it there, too. */
#define OWNTMP_FOLDER ".tmp"

/* Whether steps of this server can have one. If not, *err says why. */
bool owntmp_possible(const struct runner_paths *paths, struct error *err);

/* The command that gives a step its own /tmp and then executes `command`, which is lent, with its
 * environment. list: the descriptor of the Landlock list that it enters; -1: none. *ret is yours:
 * owntmp_free. */
void owntmp_wrap(const struct command *command, int list, bool refuse_calls, struct command *ret);
void owntmp_free(struct command *c);

#endif
