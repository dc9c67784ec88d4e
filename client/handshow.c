/* handshow.c - a run by hand for people: what a step would run, and how it ended. */
#include <stdio.h>
#include <string.h>

#include "client/handinside.h"
#include "common/duration.h"
#include "common/mem.h"
#include "common/size.h"
#include "common/term.h"
#include "proto/outcome.h"
#include "proto/protect.h"

enum { LABEL = 13 };

static void line(struct buf *out, const char *label, struct span text)
{
    if (!text.n)
        return;
    buf_printf(out, "  %-*s", LABEL, label);
    term_safe(out, text);
    buf_add_str(out, "\n");
}

static void line_of(struct buf *out, const char *label, struct buf *text)
{
    line(out, label, buf_span(text));
    buf_free(text);
}

/* So that a person can paste it into a shell. */
static void quote(struct buf *out, struct span word)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%";
    bool bare = word.n > 0;
    for (size_t i = 0; bare && i < word.n; i++)
        bare = word.p[i] && strchr(plain, word.p[i]);
    if (bare) {
        buf_add(out, word.p, word.n);
        return;
    }
    buf_add_str(out, "'");
    for (size_t i = 0; i < word.n; i++)
        if (word.p[i] == '\'')
            buf_add_str(out, "'\\''");
        else
            buf_add(out, word.p + i, 1);
    buf_add_str(out, "'");
}

static void joined(struct buf *out, const struct wire_list *list, bool quoted)
{
    struct wire_iter it = wire_iter(list);
    struct span item;
    bool first = true;
    while (wire_next(&it, &item)) {
        buf_add_str(out, first ? "" : " ");
        first = false;
        if (quoted)
            quote(out, item);
        else
            buf_add(out, item.p, item.n);
    }
}

/* ---- What a step would run */

static void show_user(struct buf *out, const struct s_planned *p, const struct d_execution *e)
{
    struct buf text = {0};
    buf_printf(&text, SPAN_FMT " (uid %llu, gid %llu%s", SPAN_ARG(p->user),
               (unsigned long long)e->uid, (unsigned long long)e->gid,
               e->groups.count ? ", groups " : "");
    joined(&text, &e->groups, false);
    buf_add_str(&text, ")");
    line_of(out, "user", &text);
}

static void add_limit(struct buf *text, const char *value, const char *of)
{
    buf_printf(text, "%s%s%s", text->n ? ", " : "", value, of);
}

static void show_limits(struct buf *out, const struct s_planned *p, const struct d_execution *e)
{
    const struct {
        uint64_t v;
        const char *of;
        bool size;
    } rows[] = {{e->output_cap, " of output", true},
                {e->memory, " of memory", true},
                {e->processes, " processes", false},
                {e->files, " open files", false},
                {e->file_size, " a file", true}};
    char one[SIZE_TEXT + DURATION_TEXT];
    struct buf text = {0};
    if (e->timeout_ms)
        add_limit(&text, duration_format((int64_t)e->timeout_ms, one), "");
    if (p->warn_ms) {
        buf_printf(&text, " (signal %llu", (unsigned long long)p->warn_signal);
        buf_printf(&text, " %s before its end)", duration_format((int64_t)p->warn_ms, one));
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].v)
            continue;
        if (rows[i].size)
            size_format((int64_t)rows[i].v, one);
        else
            snprintf(one, sizeof one, "%llu", (unsigned long long)rows[i].v);
        add_limit(&text, one, rows[i].of);
    }
    if (e->cpu)
        buf_printf(&text, "%s%.3g processors", text.n ? ", " : "", (double)e->cpu / 1000);
    line_of(out, "limits", &text);
}

static void show_values(struct buf *out, const struct s_planned *p)
{
    struct wire_iter it = wire_iter(&p->parameters);
    struct span name;
    struct value v;
    const char *label = "parameters";
    struct buf text = {0};
    while (wire_next_pair(&it, &name, &v)) {
        buf_printf(&text, SPAN_FMT "=", SPAN_ARG(name));
        value_to_text(&v, &text);
        line_of(out, label, &text);
        label = "";
    }
    it = wire_iter(&p->sensitive);
    while (wire_next(&it, &name)) {
        buf_printf(&text, SPAN_FMT " (sensitive: only in $LB_PARAMETERS)", SPAN_ARG(name));
        line_of(out, label, &text);
        label = "";
    }
    it = wire_iter(&p->environment);
    label = "environment";
    while (wire_next(&it, &name)) {
        line(out, label, name);
        label = "";
    }
}

void handshow_plan(const struct s_planned *p, struct buf *out)
{
    struct d_execution e = {.uid = 0};
    struct buf text = {0};
    buf_add_str(out, "step ");
    term_safe(out, p->step);
    buf_add_str(out, "\n");
    if (p->code) {
        buf_printf(&text, "%s: " SPAN_FMT, refusal_word(p->code), SPAN_ARG(p->text));
        line_of(out, "refused", &text);
        return;
    }
    if (wire_decode(&d_execution_schema, p->execution, true, &e, NULL) < 0)
        return;
    if (!hash_is_zero(&p->package)) {
        char digits[2 * sizeof p->package.b + 1];
        buf_printf(&text, SPAN_FMT " " SPAN_FMT " blake2b:%s", SPAN_ARG(p->package_name),
                   SPAN_ARG(p->package_version),
                   hex_format(p->package.b, sizeof p->package.b, digits));
        line_of(out, "package", &text);
    }
    joined(&text, &p->argv, true);
    line_of(out, "command", &text);
    show_user(out, p, &e);
    buf_printf(&text, "proxy " SPAN_FMT ", subsystem " SPAN_FMT ", on host " SPAN_FMT,
               SPAN_ARG(e.proxy), SPAN_ARG(e.subsystem), SPAN_ARG(e.host));
    line_of(out, "under", &text);
    line(out, "folder", e.folder);
    show_limits(out, p, &e);
    joined(&text, &e.on, false);
    line_of(out, "protected", &text);
    joined(&text, &p->off, false);
    line_of(out, "off", &text);
    show_values(out, p);
}

/* ---- How a try ended */

void handshow_end(const struct d_step_outcome *o, struct buf *out)
{
    struct wire_iter it = wire_iter(&o->outputs);
    struct span name;
    struct value v;
    struct buf text = {0};
    char took[DURATION_TEXT];
    buf_add_str(out, "<== ");
    term_safe(out, o->name);
    buf_printf(out, ": %s", package_outcome_text(o->package));
    if (o->code)
        buf_printf(out, ", refused (%s)", refusal_word(o->code));
    else {
        if (o->signal)
            buf_printf(out, ", signal %llu", (unsigned long long)o->signal);
        else
            buf_printf(out, ", exit code %lld", (long long)o->exit_code);
        buf_printf(out, ", %s%s%s%s", duration_format(o->ended_at - o->started_at, took),
                   o->timed_out ? ", its time was up" : "", o->cancelled ? ", cancelled" : "",
                   o->out_of_memory ? ", out of memory" : "");
    }
    buf_add_str(out, "\n");
    line(out, "message", o->message);
    while (wire_next_pair(&it, &name, &v)) {
        buf_printf(&text, SPAN_FMT "=", SPAN_ARG(name));
        value_to_text(&v, &text);
        line_of(out, "output", &text);
    }
}
