/* operate.h - OPERATE: the verbs of operators. */
#ifndef LB_BROKER_SHELL_OPERATE_H
#define LB_BROKER_SHELL_OPERATE_H

#include "broker/shell/shell.h"

/* Does the core carry it out, so that it is a record? *ret: its name, which is a constant; NULL:
 * there is no such verb. */
bool operate_is_record(struct span verb, const char **ret);
/* Verbs about servers and runs go on to the core; the others are done here. Always answers. */
void operate_take(struct shell *sh, struct shell_peer *p, struct span message);

#endif
