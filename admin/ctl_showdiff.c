/* ctl_showdiff.c - lbctl show RUN --diff RUN2: what is on record of two runs and differs. */
#include <stdlib.h>
#include <string.h>

#include "admin/ctl_show.h"
#include "client/find.h"
#include "common/duration.h"
#include "common/size.h"
#include "common/termout.h"

/* Members that name a run or tell a time, and so always differ, or that say nothing of how it was
 * run. */
static bool is_passed_over(const char *key)
{
    static const char *const passed[] = {"v",
                                         "kind",
                                         "run",
                                         "seq",
                                         "state",
                                         "key",
                                         "proof",
                                         "events",
                                         "index",
                                         "followers",
                                         "left_out",
                                         "tries",
                                         "executions_left_out"};
    size_t n = strlen(key);
    if (n > 3 && strcmp(key + n - 3, "_at") == 0)
        return true;
    for (size_t i = 0; i < COUNT_OF(passed); i++)
        if (strcmp(key, passed[i]) == 0)
            return true;
    return false;
}

static void add_took(json_t *facts, const char *path, json_t *of, const char *from,
                     const char *name)
{
    int64_t a = ctl_time(of, from), b = ctl_time(of, "ended_at");
    char key[LIMIT_PATH];
    if (!a || !b)
        return;
    snprintf(key, sizeof key, "%s%s", path, name);
    json_object_set_new(facts, key, json_integer(b - a));
}

/* Every fact under its path: "server", "step load.execution.limits.timeout_ms". */
static void flatten(json_t *facts, const char *path, json_t *of)
{
    const char *key;
    json_t *v;
    size_t i;
    char under[LIMIT_PATH];
    json_object_foreach (of, key, v) {
        if (is_passed_over(key))
            continue;
        bool inner = strcmp(key, "job_outcome") == 0 || strcmp(key, "execution") == 0;
        snprintf(under, sizeof under, "%s%s", path, inner ? "" : key);
        if (strcmp(key, "steps") == 0) {
            json_t *step;
            json_array_foreach (v, i, step) { /* of several tries the last one stays */
                snprintf(under, sizeof under, "step %s.", ctl_text(step, "name"));
                flatten(facts, under, step);
                add_took(facts, under, step, "started_at", "took_ms");
                strncat(under, "tries", sizeof under - strlen(under) - 1);
                json_object_set(facts, under, json_object_get(step, "tries"));
            }
        } else if (json_is_object(v)) {
            if (!inner)
                strncat(under, ".", sizeof under - strlen(under) - 1);
            flatten(facts, under, v);
        } else
            json_object_set(facts, under, v);
    }
}

static json_t *facts_of(json_t *run)
{
    json_t *facts = json_object();
    flatten(facts, "", run);
    add_took(facts, "", run, "started_at", "took_ms");
    return facts;
}

static bool has_text(json_t *texts, json_t *text)
{
    size_t i;
    json_t *item;
    json_array_foreach (texts, i, item)
        if (json_equal(item, text))
            return true;
    return false;
}

/* Of the names in the environment only those that the other lacks. */
static json_t *without(json_t *texts, json_t *other)
{
    json_t *rest = json_array(), *item;
    size_t i;
    json_array_foreach (texts, i, item)
        if (!has_text(other, item))
            json_array_append(rest, item);
    return rest;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static void add_difference(json_t *all, const char *what, json_t *a, json_t *b)
{
    json_t *d = json_pack("{s:i, s:s}", "v", 1, "what", what);
    bool names = ends_in(what, "environment");
    if (a)
        json_object_set_new(d, "first", names ? without(a, b) : json_incref(a));
    if (b)
        json_object_set_new(d, "second", names ? without(b, a) : json_incref(b));
    json_array_append_new(all, d);
}

static json_t *differences(json_t *run, json_t *other)
{
    json_t *a = facts_of(run), *b = facts_of(other), *all = json_array(), *v;
    const char *key;
    json_object_foreach (a, key, v)
        if (!json_equal(v, json_object_get(b, key)))
            add_difference(all, key, v, json_object_get(b, key));
    json_object_foreach (b, key, v)
        if (!json_object_get(a, key))
            add_difference(all, key, NULL, v);
    json_decref(a);
    json_decref(b);
    return all;
}

/* As people read it: "1.2s", "16 MiB", names with spaces between. */
static char *text_of(const char *what, json_t *v)
{
    char one[DURATION_TEXT];
    if (!v)
        return mem_strdup("(none)");
    if (json_is_array(v))
        return json_array_size(v) ? show_joined(v, " ") : mem_strdup("(none)");
    if (json_is_string(v))
        return mem_strdup(json_string_value(v));
    if (json_is_integer(v) && ends_in(what, "_ms"))
        return mem_strdup(duration_format(json_integer_value(v), one));
    if (json_is_integer(v) && ends_in(what, "_us"))
        return mem_strdup(duration_format(json_integer_value(v) / 1000, one));
    if (json_is_integer(v) && ends_in(what, "_bytes"))
        return mem_strdup(size_format(json_integer_value(v), one));
    if (json_is_integer(v) && ends_in(what, "_kib"))
        return mem_strdup(size_format(json_integer_value(v) * 1024, one));
    char *dump = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY),
         *text = mem_strdup(dump ? dump : "");
    free(dump);
    return text;
}

static void add_row(struct term_table *t, json_t *difference)
{
    const char *what = ctl_text(difference, "what");
    char *a = text_of(what, json_object_get(difference, "first")),
         *b = text_of(what, json_object_get(difference, "second"));
    if (strcmp(a, b) != 0) { /* else the difference is below what is shown */
        term_table_add(t, what);
        term_table_add(t, a);
        term_table_add(t, b);
    }
    mem_free(&a);
    mem_free(&b);
}

static void print_page(struct show *s, json_t *all, json_t *run, json_t *other)
{
    char first[FIND_TAIL + 8], second[FIND_TAIL + 8];
    const struct term_column columns[] = {{"what", TERM_SHRINK(18) | TERM_WRAP},
                                          {first, TERM_SHRINK(16) | TERM_WRAP},
                                          {second, TERM_SHRINK(16) | TERM_WRAP}};
    size_t i;
    json_t *d;
    snprintf(first, sizeof first, "%s", ctl_id(run, "run", FIND_TAIL));
    snprintf(second, sizeof second, "%s", ctl_id(other, "run", FIND_TAIL));
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    json_array_foreach (all, i, d)
        add_row(t, d);
    show_table(s, t);
    if (!term_table_rows(t))
        buf_add_str(&s->out, "nothing that is on record differs\n");
    term_table_free(&t);
    term_put(stdout, buf_span(&s->out));
}

static void print_lines(json_t *all)
{
    size_t i;
    json_t *d;
    json_array_foreach (all, i, d) {
        char *line = json_dumps(d, JSON_COMPACT);
        if (line)
            term_say(stdout, "%s\n", line);
        free(line);
    }
}

int show_diff(struct show *s, json_t *run, json_t *other, bool as_json)
{
    if (ctl_is_parent(run) || ctl_is_parent(other)) {
        term_say(stderr,
                 "%s: a parent has no process to compare; name two runs, as `lbctl show "
                 "PARENT` lists them\n",
                 s->argv[0]);
        return EXIT_ASKED_WRONGLY;
    }
    json_t *all = differences(run, other);
    if (as_json)
        print_lines(all);
    else
        print_page(s, all, run, other);
    json_decref(all);
    return EXIT_DONE;
}
