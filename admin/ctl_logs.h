/* ctl_logs.h - lbctl logs in parts: reading one run's output, the children of a parent, and what is
 * said when there is nothing to print. */
#ifndef LB_ADMIN_CTL_LOGS_H
#define LB_ADMIN_CTL_LOGS_H

#include <regex.h>

#include "admin/ctl.h"

/* What is wanted of logs, and how it is shown. */
struct logs_wanted {
    char **argv;
    struct longboat *lb;
    const char *step; /* "": any */
    uint64_t try_no;  /* 0: any */
    int64_t since;
    bool follow, as_json, times, greps;
    regex_t pattern; /* where `greps` */
};

/* What everybody who reads logs asks first.
 *
 * Looks at the run before its logs are asked for. *ret_row (the caller's): what the broker says of
 * it, set whenever it is there. -1 to go on; else the exit code, having printed why there is no
 * output: it has not started (unless we follow), was refused, or has ended without the step. */
int ctl_logs_look(const struct logs_wanted *w, const struct id *run, json_t **ret_row);

/* ---- One run's output (ctl_logread.c) */
struct logs_reading;
/* row: of that run. prefix: before each line; "": none. child: for JSON; NULL: none. All are lent
 * until logs_reading_end. NULL: it cannot be asked for; *err says why. */
struct logs_reading *logs_reading_begin(const struct logs_wanted *w, const struct id *run,
                                        json_t *row, const char *prefix, const char *child,
                                        struct error *err);
bool logs_reading_is_done(const struct logs_reading *r);
/* How often something has come. */
uint64_t logs_reading_heard(const struct logs_reading *r);
/* Prints what is held, and what is missing. Returns the exit code; EXIT_RAN_AND_FAILED: nothing of
 * what the run had printed is kept. *ret_any: something was printed. */
int logs_reading_end(struct logs_reading **r, bool *ret_any);

/* ---- A parent's children (ctl_logsparent.c) */
enum { LOGS_CHILDREN = 100, LOGS_CHILDREN_MAX = 2000 };
/* Prints the output of the parent's children, of at most so many, and returns the exit code. */
int ctl_logs_parent(const struct logs_wanted *w, json_t *parent, int64_t most);

#endif
