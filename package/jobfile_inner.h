/* jobfile_inner.h - the two halves of jobfile.h: steps (jobfile.c) and their parameters
   (jobfile_binding.c). */
#ifndef LB_PACKAGE_JOBFILE_INNER_H
#define LB_PACKAGE_JOBFILE_INNER_H

#include "common/yaml.h"
#include "proto/messages.h"

/* What bindings need to know of each step of the file. */
struct jobfile_step {
    const struct yaml_node *node;
    const char *name;
    bool always;
    struct buf runnable;       /* d_runnable bytes; empty: a step without a package */
    struct d_runnable decoded; /* valid when there are bytes */
};
struct jobfile {
    struct jobfile_step *steps;
    size_t n;
    /* some step has a goto: the order of the file is not the order in which steps run */
    bool jumps;
};

/* Appends the d_binding items for the step's `parameters` (NULL: none). */
int jobfile_bind(const struct jobfile *j, size_t step, const struct yaml_node *parameters,
                 struct buf *items, uint32_t *ret_count, struct error *err);
/* -EINVAL: the shell text holds a {{template}}, which would not be replaced. */
int jobfile_check_run(const struct yaml_node *node, const char *text, struct error *err);
int jobfile_find_step(const struct jobfile *j, struct span name); /* -1: none */

#endif
