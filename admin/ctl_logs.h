/* ctl_logs.h - what lbctl logs says when there is nothing to print. */
#ifndef LB_ADMIN_CTL_LOGS_H
#define LB_ADMIN_CTL_LOGS_H

#include "admin/ctl.h"

/* Looks at the run before its logs are asked for. -1 to go on; else the exit code, having printed
 * why there is no output: it is a parent, has not started (unless `follow` waits for that), was
 * refused, or has ended without the step ("": any). */
int ctl_logs_look(char **argv, struct longboat *lb, const struct id *run, const char *step,
                  bool follow);

#endif
