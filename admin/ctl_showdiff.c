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

/* ---- What people need of it: how it was run, before what came of it. JSON has all. */
static json_t *steps_of(json_t *run)
{
    return json_object_get(json_object_get(run, "job_outcome"), "steps");
}

/* Its last try. */
static json_t *find_step(json_t *run, const char *name)
{
    json_t *step, *last = NULL;
    size_t i;
    json_array_foreach (steps_of(run), i, step)
        if (strcmp(ctl_text(step, "name"), name) == 0)
            last = step;
    return last;
}

static json_t *find_first(json_t *run, const char *name)
{
    json_t *step;
    size_t i;
    json_array_foreach (steps_of(run), i, step)
        if (strcmp(ctl_text(step, "name"), name) == 0)
            return step;
    return NULL;
}

/* "limits.memory_bytes" of "step load.limits.memory_bytes"; NULL: it is not of this step. */
static const char *within(const char *what, const char *step)
{
    static const char word[] = "step ";
    size_t n = strlen(step);
    if (strncmp(what, word, sizeof word - 1) != 0 ||
        strncmp(what + sizeof word - 1, step, n) != 0 || what[sizeof word - 1 + n] != '.')
        return NULL;
    return what + sizeof word + n;
}

/* A number that is never twice the same. Of these only those that differ greatly are worth a row:
 * by a factor of two, and by more than `least`. */
static bool is_measure(const char *what, int64_t *ret_least)
{
    static const struct {
        const char *end;
        int64_t least;
    } measures[] = {{"_us", 1000000},           {"took_ms", 1000},      {"max_rss_kib", 16 << 10},
                    {"out_bytes", 1 << 20},     {"err_bytes", 1 << 20}, {"read_bytes", 16 << 20},
                    {"written_bytes", 16 << 20}};
    for (size_t i = 0; i < COUNT_OF(measures); i++)
        if (ends_in(what, measures[i].end)) {
            *ret_least = measures[i].least;
            return true;
        }
    return false;
}

static bool is_noise(const char *what, json_t *a, json_t *b)
{
    int64_t least, x = json_integer_value(a), y = json_integer_value(b);
    if (!is_measure(what, &least))
        return false;
    return (x > y ? x - y : y - x) < least || (x < 2 * y && y < 2 * x);
}

/* Does the run itself say the same? Then it is shown once. */
static bool is_said_above(const char *key, json_t *d, json_t *run, json_t *other)
{
    static const char message[] = "package.message", outputs[] = "package.outputs.";
    json_t *a, *b;
    if (strcmp(key, message) == 0) {
        a = json_object_get(run, "message");
        b = json_object_get(other, "message");
    } else if (strncmp(key, outputs, sizeof outputs - 1) == 0) {
        a = json_object_get(json_object_get(run, "outputs"), key + sizeof outputs - 1);
        b = json_object_get(json_object_get(other, "outputs"), key + sizeof outputs - 1);
    } else {
        return false;
    }
    json_t *x = json_object_get(d, "first"), *y = json_object_get(d, "second");
    return (x && json_equal(x, a)) || (y && json_equal(y, b));
}

/* The slots' numbers say nothing, and where the homes differ, one row is enough. */
static bool is_usual_folder(const char *key, json_t *d, bool first_step)
{
    const char *a = ctl_text(d, "first"), *b = ctl_text(d, "second"), *end = strrchr(a, '/'),
               *other = strrchr(b, '/');
    if (strcmp(key, "folder") != 0 || !end || !other)
        return false;
    return !first_step || (end - a == other - b && strncmp(a, b, (size_t)(end - a)) == 0);
}

static bool is_as_of_now(json_t *run)
{
    return ctl_time(run, "as_of") / 1000 == ctl_time(run, "called_at") / 1000;
}

/* Whose child it is says `child`, and `parent_name`; a call that says nothing else is about the
 * moment at which it was made. */
static bool is_said_elsewhere(const char *key, json_t *run, json_t *other)
{
    return strcmp(key, "task") == 0 || strcmp(key, "item") == 0 || strcmp(key, "parent") == 0 ||
           (strcmp(key, "as_of") == 0 && is_as_of_now(run) && is_as_of_now(other));
}

/* 0: of the run; 1: how a step was run; 2: what came of it; 3: what it used. */
static int rank_of(const char *key, bool of_step)
{
    static const char *const results[] = {"exit_code", "action", "target",       "tries",
                                          "signal",    "reason", "package.state"};
    int64_t least;
    if (is_measure(key, &least))
        return 3;
    if (!of_step)
        return 0;
    for (size_t i = 0; i < COUNT_OF(results); i++)
        if (strcmp(key, results[i]) == 0)
            return 2;
    return strncmp(key, "package.outputs.", 16) == 0 || strcmp(key, "package.message") == 0 ? 2 : 1;
}

/* A path of a package's file differs between servers, and means the same. */
static char *shown_text(const char *what, json_t *v)
{
    if (!ends_in(what, ".argv") || !json_is_array(v))
        return text_of(what, v);
    struct buf text = {0};
    size_t i;
    json_t *item;
    json_array_foreach (v, i, item) {
        char *word = show_word(json_string_value(item));
        buf_printf(&text, "%s%s", i ? " " : "", word);
        mem_free(&word);
    }
    char *all = mem_strdup(buf_str(&text));
    buf_free(&text);
    return all;
}

static void add_row(struct term_table *t, json_t *difference)
{
    const char *what = ctl_text(difference, "what");
    char *a = shown_text(what, json_object_get(difference, "first")),
         *b = shown_text(what, json_object_get(difference, "second"));
    if (strcmp(a, b) != 0) { /* else the difference is below what is shown */
        term_table_add(t, what);
        term_table_add(t, a);
        term_table_add(t, b);
    }
    mem_free(&a);
    mem_free(&b);
}

/* The step of both runs that a difference is about. NULL: it is about the runs. *ret_alone: only
 * one of them has this step. */
static const char *step_of(const char *what, json_t *run, json_t *other, bool *ret_alone)
{
    json_t *const runs[] = {run, other};
    json_t *step;
    size_t i;
    *ret_alone = false;
    for (unsigned k = 0; k < 2; k++)
        json_array_foreach (steps_of(runs[k]), i, step) {
            const char *name = json_string_value(json_object_get(step, "name"));
            if (!name || !within(what, name))
                continue;
            *ret_alone = !find_step(runs[!k], name);
            return name;
        }
    return NULL;
}

static void add_rows(struct term_table *t, json_t *all, json_t *run, json_t *other, int rank)
{
    size_t i;
    json_t *d;
    json_array_foreach (all, i, d) {
        bool alone;
        const char *what = ctl_text(d, "what"), *step = step_of(what, run, other, &alone);
        const char *key = step ? within(what, step) : what;
        bool first = step && json_array_get(steps_of(run), 0) == find_first(run, step);
        if (alone || rank_of(key, step) != rank ||
            is_noise(key, json_object_get(d, "first"), json_object_get(d, "second")))
            continue;
        if (step ? !is_said_above(key, d, run, other) && !is_usual_folder(key, d, first)
                 : !is_said_elsewhere(key, run, other))
            add_row(t, d);
    }
}

/* A step that only one of them has: one row. */
static void add_lone_steps(struct term_table *t, json_t *run, json_t *other, bool first)
{
    json_t *step;
    size_t i;
    json_array_foreach (steps_of(run), i, step) {
        const char *name = ctl_text(step, "name"), *state = ctl_state(step, "package");
        if (find_step(run, name) != step || find_step(other, name))
            continue;
        term_table_addf(t, TERM_PLAIN, "step %s", name);
        term_table_add(t, first ? state : "(not started)");
        term_table_add(t, first ? "(not started)" : state);
    }
}

static void print_page(struct show *s, json_t *all, json_t *run, json_t *other)
{
    char first[FIND_TAIL + 8], second[FIND_TAIL + 8];
    const struct term_column columns[] = {{"what", TERM_SHRINK(18) | TERM_WRAP},
                                          {first, TERM_SHRINK(16) | TERM_WRAP},
                                          {second, TERM_SHRINK(16) | TERM_WRAP}};
    snprintf(first, sizeof first, "%s", ctl_id(run, "run", FIND_TAIL));
    snprintf(second, sizeof second, "%s", ctl_id(other, "run", FIND_TAIL));
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    for (int rank = 0; rank < 3; rank++)
        add_rows(t, all, run, other, rank);
    add_lone_steps(t, run, other, true);
    add_lone_steps(t, other, run, false);
    add_rows(t, all, run, other, 3);
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
