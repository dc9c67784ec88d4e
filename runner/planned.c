/* planned.c - see planned.h. */
#include "runner/planned.h"

static struct wire_list list_of(char *const *texts, size_t n, struct buf *items)
{
    for (size_t i = 0; i < n; i++)
        wire_add_bin(items, span_str(texts[i]));
    return wire_list_from(items, (uint32_t)n);
}

/* What anyone may see. */
static struct wire_list open_parameters(const struct s_launch *l, struct buf *items)
{
    struct wire_iter it = wire_iter(&l->parameters);
    struct span name;
    struct value v;
    uint32_t n = 0;
    char bare[LIMIT_NAME + 1];
    while (wire_next_pair(&it, &name, &v)) {
        if (!span_copy_str(name, bare, sizeof bare) || wire_list_has(&l->sensitive, bare))
            continue;
        value_add_str(items, name);
        buf_add(items, v.raw.p, v.raw.n);
        n++;
    }
    return wire_list_from(items, n);
}

void planned_encode(const struct planned *p, struct buf *out)
{
    const struct s_launch *l = p->execution->launch;
    const struct d_context *c = p->execution->context;
    const struct command *command = p->execution->command;
    struct buf execution = {0}, argv = {0}, envp = {0}, parameters = {0}, off = {0};
    for (size_t i = 0; i < p->n_off; i++)
        wire_add_str(&off, span_str(p->off[i]));
    execution_encode(p->execution, &execution);
    const struct s_planned s = {.step = l->step,
                                .execution = buf_span(&execution),
                                .user = span_str(p->user),
                                .argv = list_of(command->argv, command->n_argv, &argv),
                                .environment = list_of(command->envp, command->n_envp, &envp),
                                .parameters = open_parameters(l, &parameters),
                                .sensitive = l->sensitive,
                                .off = wire_list_from(&off, (uint32_t)p->n_off),
                                .warn_ms = c->warn_ms,
                                .warn_signal = c->warn_signal,
                                .package_name = l->package_name,
                                .package_version = l->package_version,
                                .package = l->package};
    s_planned_encode(&s, out);
    struct buf *const all[] = {&execution, &argv, &envp, &parameters, &off};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_free(all[i]);
}

void planned_refused(struct span step, enum refusal code, const char *why, struct buf *out)
{
    struct span text = span_str(why);
    if (text.n > LIMIT_TEXT)
        text.n = LIMIT_TEXT;
    s_planned_encode(&(struct s_planned){.step = step, .code = code, .text = text}, out);
}
