/* jobfile_binding.c - the parameters of a step: literals, and templates that stand for a whole
   value. */
#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "common/name.h"
#include "common/suggest.h"
#include "package/jobfile_inner.h"
#include "package/values.h"
#include "proto/packagejob.h"

int jobfile_find_step(const struct jobfile *j, struct span name)
{
    for (size_t i = 0; i < j->n; i++)
        if (span_eq_str(name, j->steps[i].name))
            return (int)i;
    return -1;
}

/* What is between {{ and }}, without spaces around it. */
static bool is_template(struct span text, struct span *ret_inside)
{
    if (text.n < 4 || memcmp(text.p, "{{", 2) != 0 || memcmp(text.p + text.n - 2, "}}", 2) != 0)
        return false;
    struct span in = span_of(text.p + 2, text.n - 4);
    while (in.n && in.p[0] == ' ')
        in = span_of(in.p + 1, in.n - 1);
    while (in.n && in.p[in.n - 1] == ' ')
        in.n--;
    if (in.n >= 2 && memmem(in.p, in.n, "{{", 2))
        return false;
    *ret_inside = in;
    return true;
}

/* "step.NAME.outputs.X" */
static bool is_output(struct span in, struct span *ret_step, struct span *ret_output)
{
    static const char head[] = "step.", middle[] = ".outputs.";
    if (in.n < sizeof head || memcmp(in.p, head, sizeof head - 1) != 0)
        return false;
    in = span_of(in.p + sizeof head - 1, in.n - (sizeof head - 1));
    const uint8_t *at = memmem(in.p, in.n, middle, sizeof middle - 1);
    if (!at)
        return false;
    *ret_step = span_of(in.p, (size_t)(at - in.p));
    *ret_output = span_of(at + sizeof middle - 1, in.n - ret_step->n - (sizeof middle - 1));
    return name_is_name(*ret_step) && name_is_identifier(*ret_output);
}

int jobfile_check_run(const struct yaml_node *node, const char *text, struct error *err)
{
    for (const char *at = strstr(text, "{{"); at; at = strstr(at + 2, "{{")) {
        const char *end = strstr(at, "}}");
        struct span inside, step, output;
        if (!end || !is_template(span_of(at, (size_t)(end - at) + 2), &inside))
            continue;
        if (name_is_identifier(inside) ||
            is_output(inside, &step, &output)) /* others, such as {{.Id}}, belong to other tools */
            return yaml_error(
                node, err,
                "'{{" SPAN_FMT
                "}}' is not replaced inside 'run'; bind it as a parameter and read $LB_PARAM_name",
                SPAN_ARG(inside));
    }
    return 0;
}

static int refuse_unknown_step(const struct jobfile *j, const struct yaml_node *node,
                               struct span name, struct error *err)
{
    const char **names = mem_zalloc(j->n + 1, sizeof *names);
    char *given = span_dup_str(name), hint[SUGGEST_TEXT];
    for (size_t i = 0; i < j->n; i++)
        names[i] = j->steps[i].name;
    int rc = yaml_error(node, err, "this job has no step '%.64s'%s", given,
                        suggest_hint(given, names, hint));
    mem_free(&names);
    mem_free(&given);
    return rc;
}

static int bind_output(const struct jobfile *j, size_t at, const struct yaml_node *node,
                       struct d_binding *b, struct error *err)
{
    int from = jobfile_find_step(j, b->step);
    if (from < 0)
        return refuse_unknown_step(j, node, b->step, err);
    const struct jobfile_step *source = &j->steps[from], *user = &j->steps[at];
    struct d_parameter declared;
    if ((size_t)from == at)
        return yaml_error(node, err, "step '%s' cannot use an output of its own", user->name);
    if (source->always && !user->always)
        return yaml_error(node, err, "step '%s' runs before '%s', which always runs at the end",
                          user->name, source->name);
    if ((size_t)from > at && source->always == user->always && !j->jumps)
        return yaml_error(node, err, "step '%s' runs before '%s' and cannot use its output",
                          user->name, source->name);
    if (source->runnable.n && source->decoded.outputs.count &&
        !d_parameter_find(&source->decoded.outputs, b->source, &declared))
        return yaml_error(node, err,
                          "package '" SPAN_FMT "' of step '%s' declares no output '" SPAN_FMT "'",
                          SPAN_ARG(source->decoded.name), source->name, SPAN_ARG(b->source));
    b->from = BINDING_OUTPUT;
    return 0;
}

static int bind_template(struct jobfile *j, size_t at, const struct yaml_node *node,
                         struct span inside, const struct d_parameter *to, struct d_binding *b,
                         struct error *err)
{
    if (span_eq_str(inside, "as_of")) {
        b->from = BINDING_AS_OF;
        return 0;
    }
    if (span_eq_str(inside, "server")) {
        b->from = BINDING_SERVER;
        return 0;
    }
    if (is_output(inside, &b->step, &b->source))
        return bind_output(j, at, node, b, err);
    if (!name_is_identifier(inside))
        return yaml_error(
            node, err,
            "unknown template '{{%.*s}}'; templates are {{parameter}}, {{as_of}}, {{server}} and "
            "{{step.NAME.outputs.X}}",
            (int)(inside.n < 100 ? inside.n : 100), inside.p ? (const char *)inside.p : "");
    b->from = BINDING_CALL;
    b->source = inside;
    return jobfile_use_parameter(j, node, inside, to, err);
}

/* {{ anywhere in a literal, however deep. */
static int check_literal(const struct yaml_node *node, struct error *err)
{
    struct span text = yaml_text(node);
    if (yaml_kind(node) == YAML_KIND_SCALAR) {
        if (text.n >= 2 && memmem(text.p, text.n, "{{", 2))
            return yaml_error(node, err,
                              "a {{template}} must be a parameter's whole value, not a part of it");
        return 0;
    }
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < yaml_count(node); i++)
        rc = check_literal(yaml_is_map(node) ? yaml_value(node, i) : yaml_item(node, i), err);
    return rc;
}

static int bind_literal(const struct yaml_node *node, const struct d_parameter *p,
                        struct buf *value, struct error *err)
{
    int rc = check_literal(node, err);
    if (rc < 0)
        return rc;
    if (!p)
        return values_guess_from_yaml(node, value, err);
    if (p->sensitive)
        return yaml_error(node, err,
                          "'" SPAN_FMT
                          "' is sensitive: its value must not be in a job file; put it "
                          "with lbctl secret put, and write {secret: NAME} here",
                          SPAN_ARG(p->name));
    int type = parameter_type_parse(p->type);
    rc = values_from_yaml(type < 0 ? PARAMETER_JSON : (enum parameter_type)type, node, value, err);
    if (rc < 0)
        return rc;
    struct span in = buf_span(value);
    struct value v;
    if (!value_read(&in, &v) || values_judge(p, &v, err) < 0)
        return yaml_place(node, err);
    if (value->n > LIMIT_PARAMETERS)
        return yaml_error(node, err, "a value has at most %d bytes", LIMIT_PARAMETERS);
    return 0;
}

/* {secret: NAME} */
static bool is_secret(const struct yaml_node *node, struct span *ret_name)
{
    if (!yaml_is_map(node) || yaml_count(node) != 1 ||
        !span_eq_str(yaml_text(yaml_key(node, 0)), "secret") ||
        yaml_kind(yaml_value(node, 0)) != YAML_KIND_SCALAR)
        return false;
    *ret_name = yaml_text(yaml_value(node, 0));
    return true;
}

static int bind_secret(const struct yaml_node *node, const struct d_parameter *p, struct span name,
                       struct d_binding *b, struct error *err)
{
    if (!p)
        return yaml_error(node, err,
                          "'" SPAN_FMT "' takes no secret: this step has no package that declares "
                          "it as sensitive",
                          SPAN_ARG(b->name));
    if (!p->sensitive)
        return yaml_error(node, err,
                          "'" SPAN_FMT "' takes no secret, since it is not sensitive: its value "
                          "would be on record; let the package declare it with sensitive: true",
                          SPAN_ARG(p->name));
    if (name_check_name("the name of a secret", name, err) < 0)
        return yaml_place(node, err);
    b->from = BINDING_SECRET;
    b->source = name;
    return 0;
}

static int refuse_unknown_parameter(const struct d_runnable *r, const struct yaml_node *key,
                                    struct error *err)
{
    const char **names = mem_zalloc(r->parameters.count + 1, sizeof *names);
    struct wire_iter it = wire_iter(&r->parameters);
    struct span item;
    struct d_parameter p;
    char hint[SUGGEST_TEXT];
    size_t n = 0;
    while (wire_next(&it, &item))
        if (d_parameter_decode(item, &p, NULL) == 0)
            names[n++] = span_dup_str(p.name);
    const char *given = (const char *)yaml_text(key).p;
    int rc = yaml_error(key, err, "package '" SPAN_FMT "' has no parameter '%.64s'%s",
                        SPAN_ARG(r->name), given, suggest_hint(given, names, hint));
    for (size_t i = 0; i < n; i++)
        mem_free(&names[i]);
    mem_free(&names);
    return rc;
}

static int bind_one(struct jobfile *j, size_t at, const struct yaml_node *key,
                    const struct yaml_node *node, struct buf *items, struct error *err)
{
    const struct jobfile_step *s = &j->steps[at];
    struct d_parameter declared, *p = NULL;
    struct d_binding b = {.name = yaml_text(key), .from = BINDING_LITERAL};
    struct buf value = {0}, one = {0};
    struct span inside, secret;
    int rc = name_check_identifier("the name of a parameter", b.name, err);
    if (rc < 0)
        return yaml_place(key, err);
    if (s->runnable.n) {
        if (!d_parameter_find(&s->decoded.parameters, b.name, &declared))
            return refuse_unknown_parameter(&s->decoded, key, err);
        p = &declared;
    }
    if (yaml_kind(node) == YAML_KIND_SCALAR && is_template(yaml_text(node), &inside))
        rc = bind_template(j, at, node, inside, p, &b, err);
    else if (is_secret(node, &secret))
        rc = bind_secret(node, p, secret, &b, err);
    else
        rc = bind_literal(node, p, &value, err);
    if (rc == 0) {
        b.value = buf_span(&value);
        d_binding_encode(&b, &one);
        wire_add_bin(items, buf_span(&one));
    }
    buf_free(&value);
    buf_free(&one);
    return rc;
}

static void check_required(struct jobfile *j, const struct jobfile_step *s,
                           const struct yaml_node *parameters)
{
    struct wire_iter it = wire_iter(&s->decoded.parameters);
    struct span item;
    struct d_parameter p;
    struct error err;
    while (s->runnable.n && wire_next(&it, &item)) {
        if (d_parameter_decode(item, &p, &err) < 0) {
            jobfile_note(j, yaml_place(s->node, &err), &err);
            return;
        }
        char *name = span_dup_str(p.name);
        if (p.required && !yaml_get(parameters, name))
            jobfile_note(j,
                         yaml_error(parameters ? parameters : s->node, &err,
                                    "step '%s' does not give '%s', which package '" SPAN_FMT
                                    "' requires",
                                    s->name, name, SPAN_ARG(s->decoded.name)),
                         &err);
        mem_free(&name);
    }
}

void jobfile_bind(struct jobfile *j, size_t step, const struct yaml_node *parameters,
                  struct buf *items, uint32_t *ret_count)
{
    struct error err;
    const size_t n = yaml_count(parameters);
    *ret_count = (uint32_t)n;
    if (parameters && !jobfile_note(j, yaml_expect_map(parameters, &err), &err))
        return;
    if (n > LIMIT_VALUES) {
        jobfile_note(
            j, yaml_error(parameters, &err, "%zu parameters; the limit is %d", n, LIMIT_VALUES),
            &err);
        return;
    }
    for (size_t i = 0; i < n; i++)
        jobfile_note(
            j, bind_one(j, step, yaml_key(parameters, i), yaml_value(parameters, i), items, &err),
            &err);
    check_required(j, &j->steps[step], parameters);
}
