/* commandline.h - the second half of command.h: argv, and what the child reads from descriptors. */
#ifndef LB_RUNNER_COMMANDLINE_H
#define LB_RUNNER_COMMANDLINE_H

#include "runner/command.h"

/* Fills argv and inputs. c->envp is there: its PATH counts. */
int commandline_make(const struct command_source *from, struct command *c, struct error *err);

#endif
