/* jobfile_inner.h - the parts of jobfile.h: steps (jobfile.c), their parameters
   (jobfile_binding.c), and the parameters that the job declares (jobfile_parameter.c). */
#ifndef LB_PACKAGE_JOBFILE_INNER_H
#define LB_PACKAGE_JOBFILE_INNER_H

#include "common/yaml.h"
#include "package/manifest.h"

/* What bindings need to know of each step of the file. */
struct jobfile_step {
    const struct yaml_node *node;
    const char *name;
    bool always;
    struct buf runnable;       /* d_runnable bytes; empty: a step without a package */
    struct d_runnable decoded; /* valid when there are bytes */
    bool unknown;              /* its package was not found, so nothing is said of its parameters */
};
/* A parameter that the job declares. */
struct jobfile_parameter {
    const struct yaml_node *key;
    struct d_parameter p;
    bool used; /* a step binds it */
};
struct jobfile {
    struct problems *problems; /* all that is wrong goes here */
    struct jobfile_step *steps;
    size_t n;
    /* declares: the file has `parameters`; then there are no others. Points into `bytes`. */
    bool declares;
    struct jobfile_parameter *parameters;
    size_t n_parameters;
    struct buf bytes; /* d_job.parameters */
    /* some step has a goto: the order of the file is not the order in which steps run */
    bool jumps;
};

/* Notes an error; true: there was none. */
bool jobfile_note(struct jobfile *j, int rc, const struct error *err);
/* Appends the d_binding items for the step's `parameters` (NULL: none). */
void jobfile_bind(struct jobfile *j, size_t step, const struct yaml_node *parameters,
                  struct buf *items, uint32_t *ret_count);
/* -EINVAL: the text holds a {{template}}, which would not be replaced. */
int jobfile_check_run(const struct yaml_node *node, const char *text, struct error *err);
/* Reads the job's `parameters` (NULL: it declares none). */
void jobfile_read_parameters(struct jobfile *j, const struct yaml_node *map);
/* A step binds `name` of the call to its parameter `to` (NULL: to none of a package): is that
 * declared, and can a value of the one type be one of the other? -EINVAL. */
int jobfile_use_parameter(struct jobfile *j, const struct yaml_node *node, struct span name,
                          const struct d_parameter *to, struct error *err);
/* After all steps: what no step binds is an error. */
void jobfile_check_unused(struct jobfile *j);
void jobfile_free_parameters(struct jobfile *j);
int jobfile_find_step(const struct jobfile *j, struct span name); /* -1: none */

#endif
