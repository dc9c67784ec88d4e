/* ctl_logs.h - what lbctl logs says when there is nothing to print. */
#ifndef LB_ADMIN_CTL_LOGS_H
#define LB_ADMIN_CTL_LOGS_H

#include "admin/ctl.h"

/* Looks at the run before its logs are asked for. -1 to go on; else the exit code, having said why
 * there is no output: it is a parent, has not started (unless `follow` waits for that), or was
 * refused. *ret_row is the run, the caller's to release. */
int ctl_logs_look(char **argv, struct longboat *lb, const struct id *run, bool follow,
                  json_t **ret_row);

/* Nothing came. The exit code: 2 for a step that the run does not have. */
int ctl_logs_none(char **argv, json_t *row, const char *step);

#endif
