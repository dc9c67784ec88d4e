/* operate.h - OPERATE: the verbs of operators. */
#ifndef LB_BROKER_SHELL_OPERATE_H
#define LB_BROKER_SHELL_OPERATE_H

#include "broker/shell/shell.h"

/* Verbs about servers and runs go on to the core; the others are done here. Always answers. */
void operate_take(struct shell *sh, struct shell_peer *p, struct span message);

#endif
