/* json.c - see json.h. */
#include "broker/events/json.h"

#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "common/clock.h"

void json_set_text(json_t *o, const char *name, struct span s)
{
    if (!o)
        return;
    if (s.n)
        json_object_set_new(o, name, json_stringn((const char *)s.p, s.n));
}

json_t *json_row(void)
{
    json_t *o = json_object();
    json_set_number(o, "v", 1);
    return o;
}

void json_set_number(json_t *o, const char *name, uint64_t v)
{
    if (!o)
        return;
    json_object_set_new(o, name, json_integer((json_int_t)v));
}

void json_set_word(json_t *o, const char *name, const char *s)
{
    if (!o)
        return;
    if (s && *s)
        json_object_set_new(o, name, json_string(s));
}

void json_set_flag(json_t *o, const char *name, bool v)
{
    if (!o)
        return;
    json_object_set_new(o, name, json_boolean(v));
}

void json_set_time(json_t *o, const char *name, int64_t wall_ms)
{
    char text[CLOCK_TEXT];
    if (!o)
        return;
    if (wall_ms)
        json_set_word(o, name, clock_format(wall_ms, text));
}

void json_set_id(json_t *o, const char *name, const struct id *id)
{
    char text[ID_TEXT];
    if (!o)
        return;
    if (!id_is_zero(*id))
        json_set_word(o, name, id_format(*id, text));
}

void json_set_hash(json_t *o, const char *name, const struct hash *h)
{
    char text[8 + 65] = "blake2b:";
    if (!o)
        return;
    if (hash_is_zero(h))
        return;
    hex_format(h->b, sizeof h->b, text + 8);
    json_set_word(o, name, text);
}

static json_t *value_json(const struct value *v)
{
    struct buf text = {0};
    if (v->type == VALUE_BIN) /* sealed: only a server can read it */
        return json_string("(sealed)");
    value_to_json(v, &text);
    json_t *json = json_loadb((const char *)text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    buf_free(&text);
    return json ? json : json_null();
}

void json_set_map(json_t *o, const char *name, const struct wire_list *map)
{
    struct wire_iter it = wire_iter(map);
    struct span key;
    struct value v;
    if (!o)
        return;
    json_t *members = json_object();
    while (wire_next_pair(&it, &key, &v)) {
        char text[LIMIT_NAME + 1];
        span_copy_str(key, text, sizeof text);
        json_object_set_new(members, text, value_json(&v));
    }
    json_object_set_new(o, name, members);
}

void json_set_child(json_t *o, struct span task, struct span item, uint64_t index, uint64_t try)
{
    char child[LIMIT_NAME + LIMIT_SHORT + 3];
    if (!o)
        return;
    if (!task.n)
        return;
    json_set_text(o, "task", task);
    json_set_number(o, "index", index);
    json_set_text(o, "item", item);
    if (item.n)
        snprintf(child, sizeof child, SPAN_FMT "[" SPAN_FMT "]", SPAN_ARG(task), SPAN_ARG(item));
    else
        span_copy_str(task, child, sizeof child);
    json_set_word(o, "child", child);
    json_set_number(o, "try", try);
}

void json_set_call(json_t *o, const struct d_call *c)
{
    if (!o)
        return;
    json_set_text(o, "job", c->job);
    json_set_hash(o, "job_hash", &c->job_hash);
    json_set_text(o, "address", c->address);
    json_set_text(o, "key", c->key);
    json_set_id(o, "parent", &c->parent);
    json_set_text(o, "parent_name", c->plan);
    json_set_child(o, c->task, c->item, c->index, c->try_no);
    if (c->priority)
        json_set_number(o, "priority", c->priority);
    json_set_text(o, "as_of", c->as_of);
    if (c->parameters.count)
        json_set_map(o, "parameters", &c->parameters);
}

void json_set_parent(json_t *o, const struct d_parent *p)
{
    if (!o)
        return;
    json_set_text(o, "plan", p->name);
    json_set_text(o, "key", p->key);
    json_set_id(o, "parent", &p->parent);
    json_set_text(o, "as_of", p->as_of);
    json_set_number(o, "tasks", p->tasks);
}

static json_t *state_of(const char *word)
{
    json_t *o = json_object();
    json_set_word(o, "state", word);
    return o;
}

void json_set_layers(json_t *o, enum delivery delivery, enum job_outcome job,
                     enum package_outcome package)
{
    if (!o)
        return;
    json_object_set_new(o, "delivery", state_of(delivery_text(delivery)));
    json_object_set_new(o, "job_outcome", state_of(job_outcome_text(job)));
    json_object_set_new(o, "package", state_of(package_outcome_text(package)));
}

static json_t *step_package(const struct d_step_outcome *s)
{
    json_t *p = json_object();
    json_set_text(p, "name", s->package_name);
    json_set_text(p, "version", s->package_version);
    json_set_hash(p, "hash", &s->package_hash);
    json_set_word(p, "state", package_outcome_text(s->package));
    json_set_text(p, "message", s->message);
    json_set_map(p, "outputs", &s->outputs);
    return p;
}

static void set_flags(json_t *o, const struct d_step_outcome *s)
{
    if (s->timed_out)
        json_set_flag(o, "timed_out", true);
    if (s->cancelled)
        json_set_flag(o, "cancelled", true);
    if (s->out_of_memory)
        json_set_flag(o, "out_of_memory", true);
}

void json_set_texts(json_t *o, const char *name, const struct wire_list *list)
{
    struct wire_iter it = wire_iter(list);
    struct span item;
    json_t *a = json_array();
    while (wire_next(&it, &item))
        json_array_append_new(a, json_stringn((const char *)item.p, item.n));
    json_object_set_new(o, name, a);
}

static json_t *step_json(const struct d_step_outcome *s)
{
    json_t *o = json_object();
    json_set_text(o, "name", s->name);
    json_set_number(o, "tries", s->try_no);
    json_set_word(o, "action", step_action_text(s->action));
    json_set_text(o, "target", s->target);
    if (s->signal)
        json_set_number(o, "signal", s->signal);
    else
        json_object_set_new(o, "exit_code", json_integer((json_int_t)s->exit_code));
    set_flags(o, s);
    if (s->code)
        json_set_word(o, "reason", refusal_word(s->code));
    json_set_time(o, "started_at", s->started_at);
    json_set_time(o, "ended_at", s->ended_at);
    json_set_number(o, "user_us", s->user_us);
    json_set_number(o, "system_us", s->system_us);
    json_set_number(o, "max_rss_kib", s->max_rss_kib);
    json_set_number(o, "out_bytes", s->out_bytes);
    json_set_number(o, "err_bytes", s->err_bytes);
    if (s->cut_bytes)
        json_set_number(o, "cut_bytes", s->cut_bytes);
    json_set_text(o, "user", s->user);
    if (s->argv.count)
        json_set_texts(o, "argv", &s->argv);
    if (s->off.count)
        json_set_texts(o, "off", &s->off);
    json_object_set_new(o, "package", step_package(s));
    return o;
}

static json_t *steps_of(const struct d_outcome *outcome)
{
    struct wire_iter it = wire_iter(&outcome->steps);
    struct d_step_outcome step;
    struct span item;
    json_t *steps = json_array();
    while (wire_next(&it, &item))
        if (d_step_outcome_decode(item, &step, NULL) == 0)
            json_array_append_new(steps, step_json(&step));
    return steps;
}

void json_set_outcome(json_t *o, const struct d_outcome *outcome)
{
    if (!o)
        return;
    json_set_layers(o, outcome->delivery, outcome->job, outcome->package);
    json_t *delivery = json_object_get(o, "delivery");
    if (outcome->code) {
        json_set_word(delivery, "reason", refusal_word(outcome->code));
        json_set_number(delivery, "code", outcome->code);
    }
    json_object_set_new(json_object_get(o, "job_outcome"), "steps", steps_of(outcome));
    json_set_word(o, "status", status_text(outcome->status));
    json_set_text(o, "message", outcome->message);
    if (outcome->outputs.count)
        json_set_map(o, "outputs", &outcome->outputs);
    json_set_hash(o, "job_hash", &outcome->job_hash);
    json_set_time(o, "called_at", outcome->called_at);
    json_set_time(o, "started_at", outcome->started_at);
    json_set_time(o, "ended_at", outcome->ended_at);
    if (outcome->off.count)
        json_set_texts(o, "off", &outcome->off);
}
