/* bind.c - see bind.h. */
#include "runner/bind.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "common/name.h"
#include "proto/packagejob.h"
#include "runner/typed.h"
#include "trust/secretdoc.h"

enum { DATE_BYTES = 10 };

void bound_free(struct bound *b)
{
    buf_free(&b->items);
    buf_free(&b->sensitive);
    mem_free(&b->secrets);
    *b = (struct bound){0};
}

static bool find_in_map(const struct wire_list *map, struct span name, struct value *ret)
{
    char key[LIMIT_NAME + 1];
    return span_copy_str(name, key, sizeof key) && wire_map_get(map, key, ret);
}

static bool find_output(const struct bind_scope *scope, const struct d_binding *b,
                        struct value *ret)
{
    if (!scope->outputs)
        return false;
    struct wire_iter it = wire_iter(scope->outputs);
    struct span item;
    struct s_outputs o;
    while (wire_next(&it, &item))
        if (s_outputs_decode(item, &o, NULL) == 0 && span_eq(o.step, b->step))
            return find_in_map(&o.outputs, b->source, ret);
    return false;
}

static void text_value(struct span text, struct buf *scratch, struct value *ret)
{
    buf_clear(scratch);
    value_add_str(scratch, text);
    struct span in = buf_span(scratch);
    value_read(&in, ret);
}

static struct span as_of(const struct bind_scope *scope, const struct d_parameter *p)
{
    struct span s = scope->call->as_of;
    if (p && span_eq_str(p->type, "date") && s.n > DATE_BYTES)
        s.n = DATE_BYTES;
    return s;
}

/* 1 and *ret; 0: the source has nothing; -EINVAL. */
static int find_value(const struct d_binding *b, const struct d_parameter *p,
                      const struct bind_scope *scope, struct buf *scratch, struct value *ret,
                      struct error *err)
{
    struct span literal = b->value;
    switch ((enum binding_from)b->from) {
    case BINDING_LITERAL:
        if (value_check(literal, err) == 0 && value_read(&literal, ret))
            return 1;
        return error_set(err, -EINVAL, "the job's value of parameter '" SPAN_FMT "' is malformed",
                         SPAN_ARG(b->name));
    case BINDING_CALL:
        return find_in_map(scope->given, b->source, ret) && ret->type != VALUE_NULL;
    case BINDING_AS_OF:
        text_value(as_of(scope, p), scratch, ret);
        return scope->call->as_of.n > 0;
    case BINDING_SERVER:
        text_value(scope->server, scratch, ret);
        return 1;
    case BINDING_OUTPUT:
        return find_output(scope, b, ret) && ret->type != VALUE_NULL;
    case BINDING_SECRET:
        buf_clear(scratch);
        secretdoc_add_use(scratch, b->source);
        literal = buf_span(scratch);
        return value_read(&literal, ret);
    }
    return error_set(err, -EINVAL, "parameter '" SPAN_FMT "' has an unknown kind of binding",
                     SPAN_ARG(b->name));
}

static bool find_fallback(const struct d_parameter *p, const struct bind_scope *scope,
                          struct buf *scratch, struct value *ret)
{
    struct span in = p->fallback;
    if (!in.n || !value_read(&in, ret))
        return false;
    if (ret->type == VALUE_STR && span_eq_str(ret->bytes, BIND_AS_OF)) {
        text_value(as_of(scope, p), scratch, ret);
        return scope->call->as_of.n > 0;
    }
    if (ret->type == VALUE_STR && span_eq_str(ret->bytes, BIND_SERVER))
        text_value(scope->server, scratch, ret);
    return true;
}

/* A value of the call that the job declares as sensitive stays so in every step. */
static bool is_sensitive(const struct d_binding *b, const struct bind_scope *scope)
{
    char name[LIMIT_NAME + 1];
    return b->from == BINDING_CALL && scope->sensitive &&
           span_copy_str(b->source, name, sizeof name) && wire_list_has(scope->sensitive, name);
}

static void add_sensitive(struct bound *out, struct span name)
{
    wire_add_str(&out->sensitive, name);
    out->n_sensitive++;
}

static bool find_binding(const struct d_step *step, struct span name, struct d_binding *ret)
{
    struct wire_iter it = wire_iter(&step->bindings);
    struct span item;
    while (wire_next(&it, &item))
        if (d_binding_decode(item, ret, NULL) == 0 && span_eq(ret->name, name))
            return true;
    return false;
}

/* Only a call or a job names a secret: what a child puts out names none. */
static bool names_secret(const struct d_binding *b, const struct value *v, struct span *ret_name)
{
    if (b->from == BINDING_SECRET) {
        *ret_name = b->source;
        return true;
    }
    return b->from == BINDING_CALL && secretdoc_is_use(v, ret_name);
}

static int takes_secret(const struct d_parameter *p, struct span secret, struct error *err)
{
    if (!p->sensitive)
        return error_set(err, -EINVAL,
                         "parameter '" SPAN_FMT "' takes no secret, since it is not sensitive: its "
                         "value would be on record",
                         SPAN_ARG(p->name));
    return name_check_name("the name of a secret", secret, err);
}

static int bind_secret(const struct d_parameter *p, struct span declared, struct span secret,
                       bool of_call, struct bound *out, struct error *err)
{
    int rc = takes_secret(p, secret, err);
    if (rc < 0)
        return rc;
    out->secrets = mem_realloc(out->secrets, out->n_secrets + 1, sizeof *out->secrets);
    struct bound_secret *s = &out->secrets[out->n_secrets++];
    *s = (struct bound_secret){.declared = declared, .of_call = of_call};
    span_copy_str(secret, s->name, sizeof s->name);
    add_sensitive(out, p->name);
    return 0;
}

static int check_fits(const struct d_parameter *p, struct span encoded, struct error *err)
{
    struct value v;
    return value_read(&encoded, &v) ? d_parameter_fits(p, p->name, &v, err) : 0;
}

static int bind_declared(const struct d_step *step, const struct d_parameter *p,
                         struct span declared, const struct bind_scope *scope, struct bound *out,
                         struct error *err)
{
    struct d_binding b = {0};
    struct value v;
    struct span secret;
    struct buf scratch = {0}, made = {0};
    const bool is_bound = find_binding(step, p->name, &b);
    const bool unknown = is_bound && b.from == BINDING_OUTPUT && !scope->outputs;
    int rc = is_bound ? find_value(&b, p, scope, &scratch, &v, err) : 0;
    if (rc == 1 && names_secret(&b, &v, &secret)) {
        rc = bind_secret(p, declared, secret, b.from == BINDING_CALL, out, err);
        buf_free(&scratch);
        return rc;
    }
    if (rc == 0 && !unknown)
        rc = find_fallback(p, scope, &scratch, &v);
    if (rc == 0 && p->required && !unknown)
        rc = error_set(err, -EINVAL,
                       "parameter '" SPAN_FMT "' (" SPAN_FMT ") is required and has no value",
                       SPAN_ARG(p->name), SPAN_ARG(p->type));
    if (rc == 1 && (rc = typed_value("parameter", p, &v, &made, err)) == 0)
        rc = check_fits(p, buf_span(&made), err);
    if (rc == 0 && made.n) {
        value_add_str(&out->items, p->name);
        buf_add(&out->items, made.p, made.n);
        out->count++;
        if (p->sensitive || (is_bound && is_sensitive(&b, scope)))
            add_sensitive(out, p->name);
    }
    buf_free(&scratch);
    buf_free(&made);
    return rc;
}

static int bind_all_declared(const struct d_step *step, const struct d_runnable *r,
                             const struct bind_scope *scope, struct bound *out, struct error *err)
{
    struct wire_iter it = wire_iter(&r->parameters);
    struct span item;
    struct d_parameter p;
    struct d_binding b;
    int rc = 0;
    while (rc == 0 && wire_next(&it, &item))
        if ((rc = d_parameter_decode(item, &p, err)) == 0)
            rc = bind_declared(step, &p, item, scope, out, err);
    it = wire_iter(&step->bindings);
    while (rc == 0 && wire_next(&it, &item))
        if ((rc = d_binding_decode(item, &b, err)) == 0 &&
            !d_parameter_find(&r->parameters, b.name, &p))
            rc = error_set(err, -EINVAL, "package '" SPAN_FMT "' has no parameter '" SPAN_FMT "'",
                           SPAN_ARG(r->name), SPAN_ARG(b.name));
    return rc;
}

static int bind_undeclared(const struct d_step *step, const struct bind_scope *scope,
                           struct bound *out, struct error *err)
{
    struct wire_iter it = wire_iter(&step->bindings);
    struct span item, secret;
    struct d_binding b;
    struct buf scratch = {0};
    int rc = 0;
    while (rc >= 0 && wire_next(&it, &item)) {
        struct value v = {0}, old;
        if ((rc = d_binding_decode(item, &b, err)) < 0)
            break;
        struct wire_list so_far = wire_list_from(&out->items, out->count);
        if (find_in_map(&so_far, b.name, &old))
            rc = error_set(err, -EINVAL, "parameter '" SPAN_FMT "' is bound twice",
                           SPAN_ARG(b.name));
        else if ((rc = find_value(&b, NULL, scope, &scratch, &v, err)) == 1 &&
                 names_secret(&b, &v, &secret))
            rc = error_set(err, -EINVAL,
                           "parameter '" SPAN_FMT "' takes no secret: this step has no package "
                           "that declares it as sensitive",
                           SPAN_ARG(b.name));
        else if (rc == 1 && (rc = d_parameter_fits(NULL, b.name, &v, err)) == 0) {
            value_add_str(&out->items, b.name);
            buf_add(&out->items, v.raw.p, v.raw.n);
            out->count++;
            if (is_sensitive(&b, scope))
                add_sensitive(out, b.name);
        }
    }
    buf_free(&scratch);
    return rc < 0 ? rc : 0;
}

int bind_step(const struct d_step *step, const struct d_runnable *runnable,
              const struct bind_scope *scope, struct bound *ret, struct error *err)
{
    struct bound b = {0};
    int rc = runnable ? bind_all_declared(step, runnable, scope, &b, err)
                      : bind_undeclared(step, scope, &b, err);
    if (rc == 0 && (b.items.n > LIMIT_PARAMETERS - 8 || b.count > LIMIT_VALUES))
        rc = error_set(err, -EMSGSIZE,
                       "the %u parameters of step '" SPAN_FMT "' have %zu bytes; the limit is %d",
                       b.count, SPAN_ARG(step->name), b.items.n, (int)LIMIT_PARAMETERS);
    if (rc < 0)
        bound_free(&b);
    else
        *ret = b;
    return rc;
}

static bool job_binds(const struct d_job *job, struct span name)
{
    struct wire_iter steps = wire_iter(&job->steps), bindings;
    struct span item;
    struct d_step s;
    struct d_binding b;
    while (wire_next(&steps, &item)) {
        if (d_step_decode(item, &s, NULL) < 0)
            continue;
        bindings = wire_iter(&s.bindings);
        while (wire_next(&bindings, &item))
            if (d_binding_decode(item, &b, NULL) == 0 && b.from == BINDING_CALL &&
                span_eq(b.source, name))
                return true;
    }
    return false;
}

/* As the job declares it; a default, if the call has none. */
static int take_declared(const struct d_parameter *p, const struct bind_scope *scope,
                         struct bound *out, struct error *err)
{
    struct value v;
    struct span secret;
    struct buf scratch = {0}, made = {0};
    int rc = find_in_map(&scope->call->parameters, p->name, &v) && v.type != VALUE_NULL;
    const bool is_use = rc == 1 && secretdoc_is_use(&v, &secret);
    if (rc == 0)
        rc = find_fallback(p, scope, &scratch, &v);
    if (rc == 0 && p->required)
        rc = error_set(err, -EINVAL,
                       "parameter '" SPAN_FMT "' (" SPAN_FMT ") is required and has no value",
                       SPAN_ARG(p->name), SPAN_ARG(p->type));
    if (is_use && (rc = takes_secret(p, secret, err)) == 0)
        buf_add(&made, v.raw.p, v.raw.n); /* for the step's parameter to which it is bound */
    else if (rc == 1)
        rc = typed_value("parameter", p, &v, &made, err);
    if (rc == 0 && made.n) {
        value_add_str(&out->items, p->name);
        buf_add(&out->items, made.p, made.n);
        out->count++;
        if (p->sensitive)
            add_sensitive(out, p->name);
    }
    buf_free(&scratch);
    buf_free(&made);
    return rc;
}

static bool declares(const struct d_job *job, struct span name)
{
    struct span rest = job->parameters;
    struct d_parameter p;
    struct value v;
    while (rest.n && value_read(&rest, &v))
        if (d_parameter_decode(v.bytes, &p, NULL) == 0 && span_eq(p.name, name))
            return true;
    return false;
}

int bind_call(const struct d_job *job, const struct bind_scope *scope, struct bound *ret,
              struct error *err)
{
    struct wire_iter it = wire_iter(&scope->call->parameters);
    struct span rest = job->parameters, name;
    struct bound b = {0};
    struct d_parameter p;
    struct value v;
    int rc = 0;
    while (rc == 0 && wire_next_pair(&it, &name, &v))
        if (job->parameters.n ? !declares(job, name) : !job_binds(job, name))
            rc = error_set(err, -EINVAL, "job '" SPAN_FMT "' has no parameter '" SPAN_FMT "'",
                           SPAN_ARG(job->name), SPAN_ARG(name));
    if (rc < 0)
        return rc;
    while (rc == 0 && rest.n && value_read(&rest, &v)) {
        rc = d_parameter_decode(v.bytes, &p, err);
        if (rc == 0)
            rc = take_declared(&p, scope, &b, err);
        if (rc < 0)
            error_prefix(err, "job '" SPAN_FMT "'", SPAN_ARG(job->name));
    }
    if (rc < 0)
        bound_free(&b);
    else
        *ret = b;
    return rc;
}
