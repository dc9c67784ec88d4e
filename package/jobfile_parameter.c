/* jobfile_parameter.c - the parameters that a job declares. */
#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "common/suggest.h"
#include "package/jobfile_inner.h"
#include "package/manifest_parameter.h"

static const struct yaml_node *key_of(const struct yaml_node *map, const char *name)
{
    for (size_t i = 0; i < yaml_count(map); i++)
        if (span_eq_str(yaml_text(yaml_key(map, i)), name))
            return yaml_key(map, i);
    return map;
}

void jobfile_read_parameters(struct jobfile *j, const struct yaml_node *map)
{
    struct manifest m = {0};
    const size_t before = j->problems->errors;
    j->declares = map != NULL;
    manifest_read_job_parameters(map, &m, j->problems);
    if (j->problems->errors == before && m.n_parameters) {
        manifest_encode_parameters(m.parameters, m.n_parameters, &j->bytes);
        j->parameters = mem_zalloc(m.n_parameters, sizeof *j->parameters);
        struct span rest = buf_span(&j->bytes);
        struct value v;
        for (; value_read(&rest, &v) &&
               d_parameter_decode(v.bytes, &j->parameters[j->n_parameters].p, NULL) == 0;
             j->n_parameters++)
            j->parameters[j->n_parameters].key = key_of(map, m.parameters[j->n_parameters].name);
    } else if (j->problems->errors != before)
        j->declares = false; /* what is wrong was said; who uses it is right, as far as we know */
    manifest_free(&m);
}

void jobfile_free_parameters(struct jobfile *j)
{
    mem_free(&j->parameters);
    buf_free(&j->bytes);
}

/* Can each value of the one type be one of the other, or at least some? As runner/typed.h. */
static bool is_convertible(struct span from, struct span to)
{
    const bool text = span_eq_str(from, "string") || span_eq_str(from, "json");
    if (span_eq(from, to) || text || span_eq_str(to, "json"))
        return true;
    if (span_eq_str(from, "int"))
        return span_eq_str(to, "float");
    return span_eq_str(to, "string") &&
           (span_eq_str(from, "date") || span_eq_str(from, "datetime"));
}

static int refuse_undeclared(const struct jobfile *j, const struct yaml_node *node,
                             struct span name, struct error *err)
{
    const char **names = mem_zalloc(j->n_parameters + 1, sizeof *names);
    char *given = span_dup_str(name), hint[SUGGEST_TEXT];
    for (size_t i = 0; i < j->n_parameters; i++)
        names[i] = span_dup_str(j->parameters[i].p.name);
    int rc = yaml_error(node, err, "the job declares no parameter '%.64s'%s", given,
                        suggest_hint(given, names, hint));
    for (size_t i = 0; i < j->n_parameters; i++)
        mem_free(&names[i]);
    mem_free(&names);
    mem_free(&given);
    return rc;
}

int jobfile_use_parameter(struct jobfile *j, const struct yaml_node *node, struct span name,
                          const struct d_parameter *to, struct error *err)
{
    if (!j->declares)
        return 0;
    for (size_t i = 0; i < j->n_parameters; i++) {
        struct jobfile_parameter *p = &j->parameters[i];
        if (!span_eq(p->p.name, name))
            continue;
        p->used = true;
        return !to || is_convertible(p->p.type, to->type)
                   ? 0
                   : yaml_error(node, err,
                                "the job declares '" SPAN_FMT "' as " SPAN_FMT
                                ", which cannot be '" SPAN_FMT "' of type " SPAN_FMT,
                                SPAN_ARG(name), SPAN_ARG(p->p.type), SPAN_ARG(to->name),
                                SPAN_ARG(to->type));
    }
    return refuse_undeclared(j, node, name, err);
}

void jobfile_check_unused(struct jobfile *j)
{
    struct error err;
    for (size_t i = 0; i < j->n_parameters; i++)
        if (!j->parameters[i].used)
            jobfile_note(j,
                         yaml_error(j->parameters[i].key, &err,
                                    "no step uses the parameter '" SPAN_FMT
                                    "'; bind it with \"{{" SPAN_FMT "}}\", or take it out",
                                    SPAN_ARG(j->parameters[i].p.name),
                                    SPAN_ARG(j->parameters[i].p.name)),
                         &err);
}
