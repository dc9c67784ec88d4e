/* oracle.h - for tests: applies the definitions in graph.h to a plan naively, from what is known of
 * its children. It shares no code with the core and is compared with it: by oracle_test.c on random
 * graphs, by the simulator on the records of a whole cluster. It does not cover `each`. */
#ifndef LB_PARENT_CORE_ORACLE_H
#define LB_PARENT_CORE_ORACLE_H

#include <string.h>

#include "parent/core/graph.h"

enum { ORACLE_TASKS = 12, ORACLE_COUNT = 4 };

struct oracle_fate {
    enum delivery d;
    enum job_outcome j;
    enum package_outcome p;
};

struct oracle_known {        /* of an instance */
    struct oracle_fate fate; /* valid once it has ended */
    bool asked, started, ended;
};

struct oracle {
    const struct graph *graph; /* at most ORACLE_TASKS tasks of ORACLE_COUNT instances each */
    struct oracle_known k[ORACLE_TASKS][ORACLE_COUNT];
    bool started[ORACLE_TASKS], skipped[ORACLE_TASKS];
};

enum truth { NO, YES, OPEN };

enum truth oracle_may_start(const struct oracle *o, unsigned task);
/* Works out which tasks have started. */
void oracle_start(struct oracle *o);
/* The same, and which never will: for callers that do not see the core's skips. */
void oracle_settle(struct oracle *o);
/* Only for a parent that was not cancelled. */
enum status oracle_verdict(const struct oracle *o);

#endif
