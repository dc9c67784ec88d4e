/* execution.h - what goes on record of how a try of a step was run: d_execution, from what its
 * keeper knows. */
#ifndef LB_RUNNER_EXECUTION_H
#define LB_RUNNER_EXECUTION_H

#include <sys/resource.h>

#include "proto/messages.h"
#include "runner/command.h"
#include "runner/tree.h"

enum {
    EXECUTION_LEFT_MAX = 16,     /* names of processes that were left over */
    EXECUTION_NAMES_MAX = 24000, /* bytes of the names of environment variables */
    EXECUTION_GROUPS_MAX = 64
};

/* What is the same for each step of a keeper. */
struct execution_self {
    char host[LIMIT_SHORT + 1];
    uid_t uid;
    gid_t gid, groups[EXECUTION_GROUPS_MAX];
    int n_groups;
};
void execution_know_self(struct execution_self *ret);

/* Processes that were there when the step's own had ended. */
struct execution_left {
    int count;
    char names[EXECUTION_LEFT_MAX][TREE_NAME];
};
/* Call before they are ended. */
void execution_look_left(struct execution_left *ret);

struct execution {
    const struct execution_self *own;
    const struct s_launch *launch;
    const struct d_context *context; /* zeros: of a step without a proxy's */
    const struct command *command;
    const char *folder;
    uint64_t on; /* protections, as in proto/protect.h */
    const struct rusage *usage;
    const struct execution_left *left;
    int64_t handed_at;
};
/* Appends a d_execution of at most LIMIT_EXECUTION bytes. */
void execution_encode(const struct execution *x, struct buf *out);

#endif
