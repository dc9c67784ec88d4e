/* jsonexecution.c - how the steps of a run were run, as JSON: see json.h. */
#include <string.h>

#include "broker/events/json.h"

static void set_limit(json_t *o, const char *name, uint64_t v)
{
    if (v)
        json_set_number(o, name, v);
}

static json_t *limits_of(const struct d_execution *e)
{
    json_t *o = json_object();
    set_limit(o, "timeout_ms", e->timeout_ms);
    set_limit(o, "memory_bytes", e->memory);
    set_limit(o, "cpu_milli", e->cpu);
    set_limit(o, "processes", e->processes);
    set_limit(o, "open_files", e->files);
    set_limit(o, "file_size_bytes", e->file_size);
    set_limit(o, "output_bytes", e->output_cap);
    return o;
}

static json_t *execution_json(const struct d_execution *e)
{
    json_t *o = json_object();
    json_set_text(o, "host", e->host);
    json_set_text(o, "proxy", e->proxy);
    json_set_text(o, "subsystem", e->subsystem);
    json_set_number(o, "uid", e->uid);
    json_set_number(o, "gid", e->gid);
    json_set_texts(o, "groups", &e->groups);
    json_set_text(o, "folder", e->folder);
    json_set_texts(o, "environment", &e->environment);
    set_limit(o, "environment_left_out", e->unnamed);
    json_set_texts(o, "on", &e->on);
    json_object_set_new(o, "limits", limits_of(e));
    json_set_number(o, "left_over", e->left);
    if (e->left_names.count)
        json_set_texts(o, "left_over_names", &e->left_names);
    json_set_number(o, "read_bytes", e->read);
    json_set_number(o, "written_bytes", e->written);
    json_set_time(o, "handed_at", e->handed_at);
    return o;
}

static json_t *step_of(json_t *steps, const struct d_execution *e)
{
    size_t i;
    json_t *step;
    json_array_foreach (steps, i, step) {
        const char *name = json_string_value(json_object_get(step, "name"));
        if (name && span_eq_str(e->step, name) &&
            json_integer_value(json_object_get(step, "tries")) == (json_int_t)e->try_no)
            return step;
    }
    return NULL;
}

void json_set_executions(json_t *o, struct span bytes)
{
    json_t *steps = json_object_get(json_object_get(o, "job_outcome"), "steps"), *step;
    struct d_executions all;
    struct d_execution e;
    struct span item;
    if (!bytes.n || d_executions_decode(bytes, &all, NULL) < 0)
        return;
    for (struct wire_iter it = wire_iter(&all.tries); wire_next(&it, &item);)
        if (d_execution_decode(item, &e, NULL) == 0 && (step = step_of(steps, &e)) != NULL)
            json_object_set_new(step, "execution", execution_json(&e));
    set_limit(o, "executions_left_out", all.left_out);
}
