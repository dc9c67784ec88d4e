/* singlejson.c - a single call as JSON: its states with --follow, its result, its refusal. The
 * result has the same fields as in lbmon. */
#include "parent/submit.h"

#include "common/clock.h"
#include "common/id.h"
#include "common/jsontext.h"
#include "parent/core/core.h"

static void add_text(struct buf *out, const char *name, struct span text)
{
    buf_printf(out, ",\"%s\":", name);
    json_escape(out, text);
}

static void add_hash(struct buf *out, const char *name, const struct hash *h)
{
    char text[65];
    if (hash_is_zero(h))
        return;
    hex_format(h->b, sizeof h->b, text);
    buf_printf(out, ",\"%s\":\"blake2b:%s\"", name, text);
}

static void add_time(struct buf *out, const char *name, int64_t wall_ms)
{
    char text[CLOCK_TEXT];
    if (wall_ms)
        buf_printf(out, ",\"%s\":\"%s\"", name, clock_format(wall_ms, text));
}

static void add_begin(struct buf *out, const char *event, struct id run, uint64_t attempt)
{
    char id[ID_TEXT];
    buf_printf(out, "{\"v\":1,\"event\":\"%s\"", event);
    if (!id_is_zero(run))
        buf_printf(out, ",\"run\":\"%s\"", id_format(run, id));
    if (attempt)
        buf_printf(out, ",\"attempt\":%llu", (unsigned long long)attempt);
}

void single_json_state(const struct longboat_run *r, int64_t now, struct buf *out)
{
    add_begin(out, "state", r->run, r->attempt);
    add_time(out, "at", now);
    add_text(out, "state", span_str(run_state_text(r->state)));
    if (*r->server)
        add_text(out, "server", span_str(r->server));
    if (r->percent)
        buf_printf(out, ",\"percent\":%u", r->percent);
    if (*r->text)
        add_text(out, "text", span_str(r->text));
    buf_add_str(out, "}\n");
}

void single_json_refused(const char *job, enum refusal code, const char *text, struct buf *out)
{
    add_begin(out, "refused", (struct id){0}, 0);
    add_text(out, "job", span_str(job));
    add_text(out, "refusal", span_str(refusal_word(code)));
    add_text(out, "message", span_str(text));
    buf_add_str(out, "}\n");
}

static void add_package(struct buf *out, const struct d_step_outcome *s)
{
    buf_printf(out, ",\"package\":{\"state\":\"%s\"", package_outcome_text(s->package));
    if (s->package_name.n)
        add_text(out, "name", s->package_name);
    if (s->package_version.n)
        add_text(out, "version", s->package_version);
    add_hash(out, "hash", &s->package_hash);
    if (s->message.n)
        add_text(out, "message", s->message);
    buf_add_str(out, ",\"outputs\":");
    wire_map_to_json(&s->outputs, out);
    buf_add_str(out, "}");
}

static void add_step(struct buf *out, const struct d_step_outcome *s)
{
    buf_add_str(out, "{\"name\":");
    json_escape(out, s->name);
    buf_printf(out, ",\"tries\":%llu,\"action\":\"%s\"", (unsigned long long)s->try_no,
               step_action_text(s->action));
    if (s->signal)
        buf_printf(out, ",\"signal\":%llu", (unsigned long long)s->signal);
    else if (s->started_at)
        buf_printf(out, ",\"exit_code\":%lld", (long long)s->exit_code);
    add_package(out, s);
    buf_add_str(out, "}");
}

static void add_steps(struct buf *out, const struct wire_list *steps)
{
    struct wire_iter it = wire_iter(steps);
    struct span item;
    struct d_step_outcome step;
    const char *between = "";
    buf_add_str(out, ",\"steps\":[");
    while (wire_next(&it, &item)) {
        if (d_step_outcome_decode(item, &step, NULL) < 0)
            continue;
        buf_add_str(out, between);
        add_step(out, &step);
        between = ",";
    }
    buf_add_str(out, "]");
}

void single_json_result(const struct single_end *e, const struct d_outcome *o, struct buf *out)
{
    add_begin(out, "result", e->run, e->attempt);
    add_text(out, "server", span_str(e->server));
    add_text(out, "job", span_str(e->job));
    add_hash(out, "job_hash", &o->job_hash);
    buf_printf(out, ",\"delivery\":{\"state\":\"%s\"},\"job_outcome\":{\"state\":\"%s\"",
               delivery_text(o->delivery), job_outcome_text(o->job));
    add_steps(out, &o->steps);
    buf_printf(out, "},\"package\":{\"state\":\"%s\"},\"status\":\"%s\"",
               package_outcome_text(o->package), status_text(o->status));
    add_text(out, "message", child_message(o));
    buf_add_str(out, ",\"outputs\":");
    wire_map_to_json(&o->outputs, out);
    add_time(out, "called_at", o->called_at);
    add_time(out, "started_at", o->started_at);
    add_time(out, "ended_at", o->ended_at);
    buf_add_str(out, "}\n");
}
