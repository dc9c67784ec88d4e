/* launched.h - which steps were launched and have not ended, according to the spool files of a
 * slot. For the rare moments when the keeper itself cannot be asked. */
#ifndef LB_RUNNER_LAUNCHED_H
#define LB_RUNNER_LAUNCHED_H

#include "proto/messages.h"

/* Was this step launched there? */
bool launched_find(const char *spool_folder, unsigned slot, const struct s_kept *step);

/* Calls fn, with state 2, for each step that was launched there and has no end. */
typedef void launched_fn(void *self, const struct s_kept *kept);
void launched_open(const char *spool_folder, unsigned slot, launched_fn *fn, void *self);

#endif
