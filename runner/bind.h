/* bind.h - the parameters of one step: from its job's bindings, the call, earlier outputs and the
 * package's defaults to a complete, typed map. Pure. */
#ifndef LB_RUNNER_BIND_H
#define LB_RUNNER_BIND_H

#include "proto/messages.h"

#define BIND_AS_OF \
    "{{as_of}}" /* as a default's whole text: the call's as_of; the first ten bytes of it for a date \
                 */
#define BIND_SERVER "{{server}}"

struct bind_scope {
    const struct d_call *call;
    struct span server;
    const struct wire_list *outputs; /* s_outputs of earlier steps */
};

/* What comes out; bind_free. */
struct bound {
    struct buf items; /* pairs of a map */
    uint32_t count;
    struct buf sensitive; /* items of a list of names */
    uint32_t n_sensitive;
};
void bound_free(struct bound *b);

/* `runnable` NULL: the step has no package, so nothing is declared and every binding is taken as it
 * is. -EINVAL, with the parameter's name: a required one is missing, one is bound that the package
 * does not declare, a value does not fit its declaration (typed.h), a binding is malformed.
 * -EMSGSIZE: together they exceed LIMIT_PARAMETERS. */
int bind_step(const struct d_step *step, const struct d_runnable *runnable,
              const struct bind_scope *scope, struct bound *ret, struct error *err);

/* Every parameter of the call must be bound by some step of the job: a misspelt one would be
 * ignored in silence. -EINVAL */
int bind_check_call(const struct d_job *job, const struct d_call *call, struct error *err);

#endif
