/* handjson.c - a run by hand as JSON: in the form in which lbctl show has a run
 * (docs/schema/by-hand.json). */
#include <string.h>

#include "client/handinside.h"
#include "common/clock.h"
#include "common/json.h"
#include "common/mem.h"
#include "proto/outcome.h"

static json_t *text_of(struct span s)
{
    json_t *t = json_stringn((const char *)s.p, s.n);
    return t ? t : json_string("(not UTF-8)");
}

static void set_text(json_t *o, const char *name, struct span s)
{
    if (s.n)
        json_object_set_new(o, name, text_of(s));
}

static void set_word(json_t *o, const char *name, const char *word)
{
    set_text(o, name, span_str(word));
}

static void set_number(json_t *o, const char *name, uint64_t v)
{
    json_object_set_new(o, name, json_integer((json_int_t)v));
}

/* Nothing if it is 0. */
static void set_some(json_t *o, const char *name, uint64_t v)
{
    if (v)
        set_number(o, name, v);
}

static void set_true(json_t *o, const char *name, bool v)
{
    if (v)
        json_object_set_new(o, name, json_true());
}

static void set_time(json_t *o, const char *name, int64_t at)
{
    char text[CLOCK_TEXT];
    if (at)
        set_word(o, name, clock_format(at, text));
}

static void set_hash(json_t *o, const char *name, const struct hash *h)
{
    char digits[2 * sizeof h->b + 1];
    if (hash_is_zero(h))
        return;
    char *text = mem_printf("blake2b:%s", hex_format(h->b, sizeof h->b, digits));
    set_word(o, name, text);
    mem_free(&text);
}

static void set_texts(json_t *o, const char *name, const struct wire_list *list)
{
    struct wire_iter it = wire_iter(list);
    struct span item;
    json_t *a = json_array();
    while (wire_next(&it, &item))
        json_array_append_new(a, text_of(item));
    json_object_set_new(o, name, a);
}

static void set_map(json_t *o, const char *name, const struct wire_list *map)
{
    struct buf text = {0};
    wire_map_to_json(map, &text);
    json_t *values = json_parse("values", buf_span(&text), NULL);
    json_object_set_new(o, name, values ? values : json_object());
    buf_free(&text);
}

static json_t *state_of(const char *word)
{
    json_t *o = json_object();
    set_word(o, "state", word);
    return o;
}

/* ---- How a try was, or would be, run */

static json_t *limits_of(const struct d_execution *e)
{
    json_t *o = json_object();
    set_some(o, "timeout_ms", e->timeout_ms);
    set_some(o, "memory_bytes", e->memory);
    set_some(o, "cpu_milli", e->cpu);
    set_some(o, "processes", e->processes);
    set_some(o, "open_files", e->files);
    set_some(o, "file_size_bytes", e->file_size);
    set_some(o, "output_bytes", e->output_cap);
    return o;
}

static json_t *execution_of(struct span bytes)
{
    struct d_execution e;
    if (!bytes.n || wire_decode(&d_execution_schema, bytes, true, &e, NULL) < 0)
        return NULL;
    json_t *o = json_object();
    set_text(o, "host", e.host);
    set_text(o, "proxy", e.proxy);
    set_text(o, "subsystem", e.subsystem);
    set_number(o, "uid", e.uid);
    set_number(o, "gid", e.gid);
    set_texts(o, "groups", &e.groups);
    set_text(o, "folder", e.folder);
    set_texts(o, "environment", &e.environment);
    set_some(o, "environment_left_out", e.unnamed);
    set_texts(o, "on", &e.on);
    json_object_set_new(o, "limits", limits_of(&e));
    set_number(o, "left_over", e.left);
    if (e.left_names.count)
        set_texts(o, "left_over_names", &e.left_names);
    set_number(o, "read_bytes", e.read);
    set_number(o, "written_bytes", e.written);
    set_time(o, "handed_at", e.handed_at);
    return o;
}

static void set_execution(json_t *o, struct span bytes)
{
    json_t *x = execution_of(bytes);
    if (x)
        json_object_set_new(o, "execution", x);
}

/* ---- What would be run */

static json_t *variables_of(const struct wire_list *list)
{
    struct wire_iter it = wire_iter(list);
    struct span item;
    json_t *o = json_object();
    while (wire_next(&it, &item)) {
        const uint8_t *equals = memchr(item.p, '=', item.n);
        const size_t n = equals ? (size_t)(equals - item.p) : item.n;
        char *name = span_dup_str(span_of(item.p, n));
        json_object_set_new(o, name, text_of(span_of(item.p + n + 1, equals ? item.n - n - 1 : 0)));
        mem_free(&name);
    }
    return o;
}

static json_t *package_of_plan(const struct s_planned *p)
{
    json_t *o = json_object();
    set_text(o, "name", p->package_name);
    set_text(o, "version", p->package_version);
    set_hash(o, "hash", &p->package);
    return o;
}

json_t *handjson_plan(const struct s_planned *p)
{
    json_t *o = json_object();
    set_number(o, "v", 1);
    set_word(o, "kind", "planned_step");
    set_text(o, "step", p->step);
    if (p->code) {
        set_word(o, "reason", refusal_word(p->code));
        set_text(o, "message", p->text);
        return o;
    }
    if (!hash_is_zero(&p->package))
        json_object_set_new(o, "package", package_of_plan(p));
    set_text(o, "user", p->user);
    set_texts(o, "argv", &p->argv);
    json_object_set_new(o, "variables", variables_of(&p->environment));
    set_map(o, "parameters", &p->parameters);
    set_texts(o, "sensitive", &p->sensitive);
    set_texts(o, "off", &p->off);
    set_some(o, "warn_ms", p->warn_ms);
    if (p->warn_ms)
        set_number(o, "warn_signal", p->warn_signal);
    set_execution(o, p->execution);
    return o;
}

/* ---- How it ended */

static json_t *package_of(const struct d_step_outcome *s)
{
    json_t *o = json_object();
    set_text(o, "name", s->package_name);
    set_text(o, "version", s->package_version);
    set_hash(o, "hash", &s->package_hash);
    set_word(o, "state", package_outcome_text(s->package));
    set_text(o, "message", s->message);
    set_map(o, "outputs", &s->outputs);
    return o;
}

static json_t *step_of(const struct d_step_outcome *s)
{
    json_t *o = json_object();
    set_text(o, "name", s->name);
    set_number(o, "tries", s->try_no);
    set_word(o, "action", step_action_text(s->action));
    set_text(o, "target", s->target);
    if (s->signal)
        set_number(o, "signal", s->signal);
    else
        json_object_set_new(o, "exit_code", json_integer((json_int_t)s->exit_code));
    set_true(o, "timed_out", s->timed_out);
    set_true(o, "cancelled", s->cancelled);
    set_true(o, "out_of_memory", s->out_of_memory);
    if (s->code)
        set_word(o, "reason", refusal_word(s->code));
    set_time(o, "started_at", s->started_at);
    set_time(o, "ended_at", s->ended_at);
    set_number(o, "user_us", s->user_us);
    set_number(o, "system_us", s->system_us);
    set_number(o, "max_rss_kib", s->max_rss_kib);
    set_number(o, "out_bytes", s->out_bytes);
    set_number(o, "err_bytes", s->err_bytes);
    set_some(o, "cut_bytes", s->cut_bytes);
    set_text(o, "user", s->user);
    if (s->argv.count)
        set_texts(o, "argv", &s->argv);
    if (s->off.count)
        set_texts(o, "off", &s->off);
    json_object_set_new(o, "package", package_of(s));
    return o;
}

static struct span execution_for(const struct hand_ends *ends, const struct d_step_outcome *s)
{
    struct s_ended e;
    struct d_step_outcome o;
    for (unsigned i = 0; i < ends->n; i++)
        if (s_ended_decode(buf_span(&ends->v[i]), &e, NULL) == 0 &&
            wire_decode(&d_step_outcome_schema, e.outcome, true, &o, NULL) == 0 &&
            o.try_no == s->try_no && span_eq(o.name, s->name))
            return e.execution;
    return SPAN_NONE;
}

static json_t *job_of(const struct d_outcome *o, const struct hand_ends *ends)
{
    struct wire_iter it = wire_iter(&o->steps);
    struct span item;
    struct d_step_outcome s;
    json_t *job = state_of(job_outcome_text(o->job)), *steps = json_array();
    while (wire_next(&it, &item)) {
        if (wire_decode(&d_step_outcome_schema, item, true, &s, NULL) < 0)
            continue;
        json_t *step = step_of(&s);
        set_execution(step, execution_for(ends, &s));
        json_array_append_new(steps, step);
    }
    json_object_set_new(job, "steps", steps);
    return job;
}

json_t *handjson_outcome(const struct d_outcome *o, const struct hand_ends *ends)
{
    json_t *j = json_object(), *delivery = state_of(delivery_text(o->delivery));
    if (o->code)
        set_word(delivery, "reason", refusal_word(o->code));
    set_number(j, "v", 1);
    set_word(j, "kind", "by_hand");
    set_text(j, "job", o->job_name);
    set_hash(j, "job_hash", &o->job_hash);
    json_object_set_new(j, "delivery", delivery);
    json_object_set_new(j, "job_outcome", job_of(o, ends));
    json_object_set_new(j, "package", state_of(package_outcome_text(o->package)));
    set_word(j, "status", status_text(o->status));
    set_text(j, "message", o->message);
    set_time(j, "called_at", o->called_at);
    set_time(j, "started_at", o->started_at);
    set_time(j, "ended_at", o->ended_at);
    return j;
}
