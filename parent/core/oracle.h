/* oracle.h - for tests: what the definitions in graph.h say of a plan, computed naively from what
 * is known of its children. It knows nothing of the core and is held against it: by oracle_test.c
 * over random graphs, by the simulator over what a whole cluster has recorded. `each` is not in
 * it. */
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
    struct oracle_fate fate; /* counts when it has ended */
    bool asked, started, ended;
};

struct oracle {
    const struct graph *graph; /* of at most ORACLE_TASKS tasks of ORACLE_COUNT instances */
    struct oracle_known k[ORACLE_TASKS][ORACLE_COUNT];
    bool started[ORACLE_TASKS], skipped[ORACLE_TASKS];
};

enum truth { NO, YES, OPEN };

enum truth oracle_may_start(const struct oracle *o, unsigned task);
/* What follows from what is known: which tasks have started. */
void oracle_start(struct oracle *o);
/* The same, and which never will. For who does not see the core skip. */
void oracle_settle(struct oracle *o);
/* Of a parent that nobody has cancelled. */
enum status oracle_verdict(const struct oracle *o);

#endif
