/* implied.c - see implied.h. */
#include "worker/implied.h"

#include "common/mem.h"
#include "package/proxyhere.h"
#include "proto/packagejob.h"

struct implied {
    struct proxyhere here;
};

struct implied *implied_new(const struct paths *paths)
{
    struct implied *i = mem_zalloc(1, sizeof *i);
    proxyhere_open(&i->here, paths);
    return i;
}

void implied_free(struct implied **pi)
{
    if (!*pi)
        return;
    proxyhere_close(&(*pi)->here);
    mem_free(pi);
}

static struct span text_of(struct span encoded)
{
    struct value v;
    return value_read(&encoded, &v) && v.type == VALUE_STR ? v.bytes : SPAN_NONE;
}

/* As far as job and package fix it; what the call says is not known yet. */
static struct span database_of(const struct d_step *step, const struct d_runnable *runnable)
{
    struct wire_iter it = wire_iter(&step->bindings);
    const struct span name = span_str(SUBSYSTEM_SQL_PARAMETER);
    struct span item;
    struct d_binding b;
    struct d_parameter p;
    while (wire_next(&it, &item))
        if (d_binding_decode(item, &b, NULL) == 0 && span_eq(b.name, name) &&
            b.from == BINDING_LITERAL)
            return text_of(b.value);
    if (runnable && d_parameter_find(&runnable->parameters, name, &p))
        return text_of(p.fallback);
    return SPAN_NONE;
}

void implied_needs(struct implied *i, const struct d_step *step, const struct d_runnable *runnable,
                   implied_add_fn *add, void *self)
{
    struct d_subsystem d;
    struct span need;
    if (proxyserver_subsystem(&i->here.server, step->subsystem, &d, NULL) < 0)
        return;
    for (struct wire_iter it = wire_iter(&d.needs); wire_next(&it, &need);)
        add(self, need);
    if (subsystem_parameters_parse(d.parameters) == SUBSYSTEM_SQL) {
        need = span_str(subsystem_sql_need(database_of(step, runnable)));
        if (need.n)
            add(self, need);
    }
}
