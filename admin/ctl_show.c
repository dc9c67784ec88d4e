/* ctl_show.c - lbctl show: one run with all its layers; lbctl explain: why a run that has not ended
 * is where it is. */
#include "admin/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/json.h"

static const struct option_row show_row[] = {
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "the whole as one JSON object"},
};

static const struct option_row explain_row[] = {
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "one JSON object a line: the run, then each server"},
};

static void line(const char *name, const char *value)
{
    struct buf safe = {0};
    if (!*value)
        return;
    term_safe(&safe, span_str(value));
    printf("  %-14s %s\n", name, buf_str(&safe));
    buf_free(&safe);
}

/* What one answer of the broker has no room for is named, so that nobody takes it for nothing. */
static void print_left_out(json_t *run)
{
    struct buf text = {0};
    size_t i;
    json_t *part;
    if (*ctl_text(run, "events_left_out"))
        buf_printf(&text, "%s events between the first and the last of these",
                   ctl_text(run, "events_left_out"));
    json_array_foreach (json_object_get(run, "left_out"), i, part)
        buf_printf(&text, "%s%s (too long to be shown)", text.n ? ", " : "",
                   json_string_value(part));
    line("left out", buf_str(&text));
    buf_free(&text);
}

static void pairs(const char *name, json_t *object)
{
    const char *key;
    json_t *v;
    json_object_foreach (object, key, v) {
        char *dump = json_is_string(v) ? NULL : json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
        struct buf text = {0};
        buf_printf(&text, "%s = %s", key, dump ? dump : json_string_value(v));
        line(name, buf_str(&text));
        buf_free(&text);
        free(dump);
        name = "";
    }
}

static const char *state_in(json_t *run, const char *layer)
{
    return ctl_text(json_object_get(run, layer), "state");
}

static void print_step(json_t *step)
{
    json_t *package = json_object_get(step, "package");
    const char *name = *ctl_text(package, "name") ? ctl_text(package, "name") : "(no package)";
    printf("  step %s, try %s: package %s %s %s", ctl_text(step, "name"), ctl_text(step, "tries"),
           name, ctl_text(package, "version"), ctl_text(package, "state"));
    if (*ctl_text(step, "signal"))
        printf(", signal %s", ctl_text(step, "signal"));
    else if (*ctl_text(step, "exit_code"))
        printf(", exit %s", ctl_text(step, "exit_code"));
    printf(", then %s\n", *ctl_text(step, "action") ? ctl_text(step, "action") : "the end");
    line("  message", ctl_text(package, "message"));
    line("  started", ctl_text(step, "started_at"));
    line("  ended", ctl_text(step, "ended_at"));
    line("  user", ctl_text(step, "user"));
    char *argv = json_dumps(json_object_get(step, "argv"), JSON_COMPACT | JSON_ENCODE_ANY);
    line("  command", argv ? argv : "");
    free(argv);
    printf("    %-12s %s us user, %s us system, %s KiB at most, %s bytes out, %s bytes err", "used",
           ctl_text(step, "user_us"), ctl_text(step, "system_us"), ctl_text(step, "max_rss_kib"),
           ctl_text(step, "out_bytes"), ctl_text(step, "err_bytes"));
    printf(*ctl_text(step, "cut_bytes") ? ", %s bytes cut\n" : "\n", ctl_text(step, "cut_bytes"));
    pairs("  outputs", json_object_get(package, "outputs"));
}

static void print_events(json_t *events)
{
    size_t i;
    json_t *e;
    json_array_foreach (events, i, e) {
        printf("  %s  %-10s", ctl_when(ctl_text(e, "at")), ctl_text(e, "event"));
        static const char *const keys[] = {"server",   "attempt", "step",    "status", "why",
                                           "operator", "reason",  "on_lost", "message"};
        for (size_t k = 0; k < COUNT_OF(keys); k++)
            if (*ctl_text(e, keys[k]))
                printf("  %s=%s", keys[k], ctl_text(e, keys[k]));
        printf("\n");
    }
}

static void print_run(void *self, json_t *run)
{
    static const char *const keys[] = {
        "job",      "job_hash", "address",   "server",      "attempt",    "by",
        "key",      "parent",   "task",      "index",       "try",        "priority",
        "as_of",    "on_lost",  "called_at", "assigned_at", "started_at", "ended_at",
        "begun_at", "plan",     "step",      "percent",     "text",       "message"};
    const char *word = *ctl_text(run, "status") ? ctl_text(run, "status") : ctl_text(run, "state");
    struct term term = term_of(STDOUT_FILENO);
    struct buf head = {0};
    size_t i;
    json_t *step;
    (void)self;
    buf_printf(&head, "run %s  ", ctl_text(run, "run"));
    term_paint(&head, &term, ctl_mood(word), word);
    printf("%s\n", buf_str(&head));
    buf_free(&head);
    if (json_object_get(run, "job_outcome"))
        printf("  %-14s delivery %s, job %s, package %s\n", "layers", state_in(run, "delivery"),
               state_in(run, "job_outcome"), state_in(run, "package"));
    for (size_t k = 0; k < COUNT_OF(keys); k++)
        line(keys[k], ctl_text(run, keys[k]));
    pairs("parameters", json_object_get(run, "parameters"));
    pairs("outputs", json_object_get(run, "outputs"));
    char *off = json_dumps(json_object_get(run, "off"), JSON_COMPACT | JSON_ENCODE_ANY);
    line("protections off", off ? off : "");
    free(off);
    json_array_foreach (json_object_get(json_object_get(run, "job_outcome"), "steps"), i, step)
        print_step(step);
    print_events(json_object_get(run, "events"));
    print_left_out(run);
}

/* RUN as the argument of a query for one row. */
static int of_one(int argc, char **argv, const struct option_row *row, const char *what,
                  const char *example, ctl_row print)
{
    struct option_values v = {0};
    struct error err = {0};
    struct id run;
    int first, code = ctl_begin(row, 1, argc, argv, "RUN [--json]", example, 1, 1, &v, &first);
    if (code >= 0)
        return code;
    const struct ctl_where where[] = {{"run", argv[first], 0}};
    code =
        id_parse(argv[first], &run, &err) < 0
            ? ctl_fail(argv, EXIT_ASKED_WRONGLY, &err)
            : ctl_query(argv, what, where, 1, INT64_MAX, opt_flag(&v, "json"), print, NULL, NULL);
    options_free(&v);
    return code;
}

int ctl_show(int argc, char **argv)
{
    return of_one(argc, argv, show_row, "run",
                  "  lbctl show 0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10\n", print_run);
}

static void print_explanation(void *self, json_t *row)
{
    size_t i;
    json_t *unmet;
    (void)self;
    if (*ctl_text(row, "summary")) { /* the head; a row for each server follows */
        printf("run %s is %s\n", ctl_text(row, "run"), ctl_text(row, "summary"));
        if (ctl_int(row, "ahead"))
            printf("  %s runs of its kind go first\n", ctl_text(row, "ahead"));
    }
    if (!*ctl_text(row, "server"))
        return;
    if (json_is_true(json_object_get(row, "eligible")))
        printf("  %-16s could take it now (room for %s)\n", ctl_text(row, "server"),
               ctl_text(row, "credit"));
    json_array_foreach (json_object_get(row, "unmet"), i, unmet) {
        printf("  %-16s %s", ctl_text(row, "server"), ctl_text(unmet, "text"));
        printf(*ctl_text(unmet, "clears") ? "; %s\n" : "\n", ctl_text(unmet, "clears"));
    }
}

int ctl_explain(int argc, char **argv)
{
    return of_one(
        argc, argv, explain_row, "explain",
        "  lbctl explain RUN        each server with each condition that does not hold, and what would clear it\n",
        print_explanation);
}
