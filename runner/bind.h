/* bind.h - the parameters of one step, as a complete, typed map: made from the job's bindings, the
 * call, earlier outputs and the package's defaults. Pure. */
#ifndef LB_RUNNER_BIND_H
#define LB_RUNNER_BIND_H

#include "proto/messages.h"

/* As the whole text of a default: the call's as_of (for a date its first ten bytes), and the
 * name of this server. */
#define BIND_AS_OF  "{{as_of}}"
#define BIND_SERVER "{{server}}"

struct bind_scope {
    const struct d_call *call;
    struct span server;
    const struct wire_list *outputs; /* s_outputs of earlier steps */
};

/* A parameter whose value is a secret: {secret: NAME} in the call, or in the job's step. Points
 * into the package, and into call or job. */
struct bound_secret {
    struct span declared; /* d_parameter */
    struct span name;     /* of the secret, not yet judged */
    bool of_call;         /* the call names it, not the job */
};

/* The result; free it with bound_free. */
struct bound {
    struct buf items; /* pairs of a map */
    uint32_t count;
    struct buf sensitive; /* items of a list of names */
    uint32_t n_sensitive;
    struct bound_secret *secrets; /* they are sensitive, and not in `items` */
    unsigned n_secrets;
};
void bound_free(struct bound *b);

/* `runnable` NULL: the step has no package, so nothing is declared and every binding is taken as it
 * is. -EINVAL, with the parameter's name: a required parameter is missing, the package does not
 * declare it, its value does not fit the declaration (typed.h), it names a secret and is not
 * sensitive, or its binding is malformed.
 * -EMSGSIZE: together they exceed LIMIT_PARAMETERS. */
int bind_step(const struct d_step *step, const struct d_runnable *runnable,
              const struct bind_scope *scope, struct bound *ret, struct error *err);

/* -EINVAL: no step of the job binds one of the call's parameters. A misspelt one would otherwise be
 * ignored in silence. */
int bind_check_call(const struct d_job *job, const struct d_call *call, struct error *err);

#endif
