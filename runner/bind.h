/* bind.h - the parameters of a call as its job declares them, and those of one step, as complete,
 * typed maps: made from the job's bindings, the call, earlier outputs and declared defaults.
 * Pure. */
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
    /* s_outputs of earlier steps; NULL: nothing is going to run, and what they hand back counts as
     * given, with a value that nobody knows yet: it is left out */
    const struct wire_list *outputs;
    /* What `{{name}}` stands for: of bind_call if the job declares parameters, else the call's. */
    const struct wire_list *given;
    const struct wire_list *sensitive; /* names among them; NULL: none */
};

/* A parameter whose value is a secret: {secret: NAME} in the call, or in the job's step. */
struct bound_secret {
    struct span declared;      /* d_parameter; points into the package */
    char name[LIMIT_NAME + 1]; /* of the secret */
    bool of_call;              /* the call names it, not the job */
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

/* All parameters that the job declares; nothing if it declares none. Of the scope, `given` and
 * `sensitive` do not count. Free *ret with bound_free. -EINVAL, with the names of job and
 * parameter: one of the call's is not declared, or bound by no step (a misspelt one would be
 * ignored in silence); a required one is missing; a value does not fit. */
int bind_call(const struct d_job *job, const struct bind_scope *scope, struct bound *ret,
              struct error *err);

#endif
