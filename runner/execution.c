/* execution.c - see execution.h. */
#include "runner/execution.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/protect.h"
#include "runner/outputs.h"

enum { DISK_BLOCK = 512 /* the unit of ru_inblock and ru_oublock */ };

void execution_know_self(struct execution_self *ret)
{
    memset(ret, 0, sizeof *ret);
    if (gethostname(ret->host, sizeof ret->host - 1) < 0)
        snprintf(ret->host, sizeof ret->host, "?");
    ret->uid = geteuid();
    ret->gid = getegid();
    ret->n_groups = getgroups(EXECUTION_GROUPS_MAX, ret->groups);
    if (ret->n_groups < 0)
        ret->n_groups = 0; /* more than anybody reads */
}

void execution_look_left(struct execution_left *ret)
{
    int n = tree_names(ret->names, EXECUTION_LEFT_MAX);
    ret->count = n < 0 ? 0 : n;
}

/* A name that others chose, as one line of text. `clean` is for the work. */
static void add_text(struct buf *items, struct span s, struct buf *clean)
{
    buf_clear(clean);
    outputs_clean_text(s, LIMIT_SHORT, clean);
    wire_add_str(items, buf_span(clean));
}

static uint32_t add_environment(const struct command *c, struct buf *items, uint64_t *ret_unnamed,
                                struct buf *clean)
{
    uint32_t n = 0;
    for (size_t i = 0; i < c->n_envp; i++) {
        struct span name = span_of(c->envp[i], strcspn(c->envp[i], "="));
        if (n == LIMIT_VALUES || items->n + name.n > EXECUTION_NAMES_MAX) {
            ++*ret_unnamed;
            continue;
        }
        add_text(items, name, clean);
        n++;
    }
    return n;
}

static uint32_t add_id(struct buf *items, unsigned id)
{
    char text[12];
    snprintf(text, sizeof text, "%u", id);
    wire_add_str(items, span_str(text));
    return 1;
}

/* Of the user that was switched to, else the keeper's own. */
static uint32_t add_groups(const struct execution *x, struct buf *items)
{
    struct span s = x->context->groups;
    uint32_t n = 0;
    if (!x->context->uid)
        for (int i = 0; i < x->own->n_groups; i++)
            n += add_id(items, x->own->groups[i]);
    else
        for (; s.n >= 4 && n < LIMIT_GROUPS; s = span_of(s.p + 4, s.n - 4))
            n += add_id(items, (unsigned)s.p[0] << 24 | (unsigned)s.p[1] << 16 |
                                   (unsigned)s.p[2] << 8 | s.p[3]);
    return n;
}

static uint32_t add_protections(uint64_t on, struct buf *items)
{
    uint32_t n = 0;
    for (unsigned at = 0; at < PROTECT_COUNT; at++)
        if (on & (1U << at)) {
            wire_add_str(items, span_str(protect_word(at)));
            n++;
        }
    return n;
}

static uint32_t add_left(const struct execution_left *left, struct buf *items, struct buf *clean)
{
    int n = left->count < EXECUTION_LEFT_MAX ? left->count : EXECUTION_LEFT_MAX;
    for (int i = 0; i < n; i++)
        add_text(items, span_str(left->names[i]), clean);
    return (uint32_t)n;
}

void execution_encode(const struct execution *x, struct buf *out)
{
    const struct s_launch *l = x->launch;
    const struct d_context *c = x->context;
    struct buf groups = {0}, names = {0}, on = {0}, left = {0}, folder = {0}, host = {0},
               clean = {0};
    struct d_execution e = {.step = l->step,
                            .try_no = l->try_no,
                            .proxy = c->proxy,
                            .subsystem = l->subsystem,
                            .uid = c->uid ? c->uid : x->own->uid,
                            .gid = c->uid ? c->gid : x->own->gid,
                            .timeout_ms = l->timeout_ms,
                            .memory = c->memory,
                            .cpu = c->cpu,
                            .processes = c->processes,
                            .files = c->files,
                            .file_size = c->file_size,
                            .output_cap = l->output_cap ? l->output_cap : LIMIT_LOG_STEP,
                            .left = (uint64_t)x->left->count,
                            .read = (uint64_t)x->usage->ru_inblock * DISK_BLOCK,
                            .written = (uint64_t)x->usage->ru_oublock * DISK_BLOCK,
                            .handed_at = x->handed_at};
    outputs_clean_text(span_str(x->folder), LIMIT_PATH, &folder);
    outputs_clean_text(span_str(x->own->host), LIMIT_SHORT, &host);
    e.folder = buf_span(&folder);
    e.host = buf_span(&host);
    uint32_t n = add_groups(x, &groups);
    e.groups = wire_list_from(&groups, n);
    n = add_environment(x->command, &names, &e.unnamed, &clean);
    e.environment = wire_list_from(&names, n);
    n = add_protections(x->on, &on);
    e.on = wire_list_from(&on, n);
    n = add_left(x->left, &left, &clean);
    e.left_names = wire_list_from(&left, n);
    d_execution_encode(&e, out);
    struct buf *const all[] = {&groups, &names, &on, &left, &folder, &host, &clean};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_free(all[i]);
}
