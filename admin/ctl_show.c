/* ctl_show.c - lbctl show: one run, or one parent, with everything known about it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/ctl_proof.h"
#include "admin/ctl_show.h"
#include "client/find.h"
#include "common/duration.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    CTL_UTC_ROW,
    {"diff", 0, OPTION_STR, "", 0, LIMIT_SHORT, false, "RUN",
     "only what differs between the two runs"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "all of it as one JSON object; with --diff one a difference"},
};

static const char examples[] =
    "  lbctl show last                 the parent or the run that you started last\n"
    "  lbctl show last-failed          the newest run that ended without success\n"
    "  lbctl show 4b3c2d10             by the end of its id\n"
    "  lbctl show last-failed --diff 4b3c2d10     how it was run otherwise\n"
    "  lbctl show last --json | jq .report.tasks\n";

enum {
    PRIORITY_USUAL = 4, /* of a call that says nothing of it: not worth a line */
    LABEL = 14,         /* columns of a label, with its indent and the space after it */
    PEOPLE = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15) /* 3.48, as it was written */
};

void show_line(struct show *s, const char *label, const char *value)
{
    struct buf safe = {0};
    if (!*value)
        return;
    term_safe(&safe, span_str(value));
    buf_printf(&s->out, "%s%-*s ", s->indent, LABEL - (int)strlen(s->indent) - 1, label);
    term_wrap(&s->out, buf_span(&safe), LABEL, term_page(&s->term));
    buf_add_str(&s->out, "\n");
    buf_free(&safe);
}

void show_linef(struct show *s, const char *label, const char *fmt, ...)
{
    char *text;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        mem_die();
    show_line(s, label, text);
    mem_free(&text);
}

void show_title(struct show *s, const char *title)
{
    buf_add_str(&s->out, "\n");
    term_paint(&s->out, &s->term, TERM_BOLD, title);
    buf_add_str(&s->out, "\n");
}

void show_table(struct show *s, const struct term_table *t)
{
    term_table_print(t, &s->term, &s->out);
}

void show_verdict(struct show *s, json_t *run)
{
    const char *word = *ctl_text(run, "status") ? ctl_text(run, "status") : ctl_text(run, "state");
    buf_printf(&s->out, "%-*s ", LABEL - 1, "status");
    term_paint(&s->out, &s->term, ctl_mood(word), word);
    buf_add_str(&s->out, "\n");
}

void show_moment(struct show *s, const char *label, json_t *run, const char *key)
{
    char moment[TERM_TIME], zone[TERM_TIME];
    int64_t ms = ctl_time(run, key);
    if (!ms)
        return;
    bool first = !s->zone_said;
    s->zone_said = true;
    show_linef(s, label, "%s%s%s", term_moment(ms, moment), first ? " " : "",
               first ? term_zone(ms, zone) : "");
}

/* ---- A run */
static void show_pairs(struct show *s, const char *label, json_t *object)
{
    const char *key;
    json_t *v;
    json_object_foreach (object, key, v) {
        char *dump = json_is_string(v) ? NULL : json_dumps(v, PEOPLE);
        show_linef(s, label, "%s = %s", key, dump ? dump : json_string_value(v));
        free(dump);
        label = "";
    }
}

/* Names what did not fit into the broker's answer, since it is not empty. */
static void show_left_out(struct show *s, json_t *run)
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
    show_line(s, "left out", buf_str(&text));
    buf_free(&text);
}

char *show_joined(json_t *array, const char *between)
{
    struct buf text = {0};
    size_t i;
    json_t *item;
    json_array_foreach (array, i, item)
        buf_printf(&text, "%s%s", i ? between : "", json_string_value(item));
    char *all = mem_strdup(buf_str(&text));
    buf_free(&text);
    return all;
}

static void show_usage(struct show *s, json_t *step)
{
    static const struct {
        const char *key, *say;
    } streams[] = {
        {"out_bytes", "to stdout"}, {"err_bytes", "to stderr"}, {"cut_bytes", "cut off"}};
    char one[DURATION_TEXT], other[DURATION_TEXT];
    struct buf text = {0};
    int64_t cpu_us = ctl_int(step, "user_us") + ctl_int(step, "system_us");
    buf_printf(&text, "%s of processor time, %s of memory", duration_format(cpu_us / 1000, one),
               size_format(ctl_int(step, "max_rss_kib") * 1024, other));
    for (size_t i = 0; i < COUNT_OF(streams); i++)
        if (ctl_int(step, streams[i].key))
            buf_printf(&text, ", %s %s", size_format(ctl_int(step, streams[i].key), one),
                       streams[i].say);
    json_t *x = json_object_get(step, "execution");
    if (ctl_int(x, "read_bytes") || ctl_int(x, "written_bytes"))
        buf_printf(&text, ", %s from disks and %s to them",
                   size_format(ctl_int(x, "read_bytes"), one),
                   size_format(ctl_int(x, "written_bytes"), other));
    show_line(s, "used", buf_str(&text));
    buf_free(&text);
}

/* A step that the runner refused has a reason, and so has one that could not be started. */
static void show_step_state(struct show *s, json_t *step)
{
    const char *state = ctl_text(json_object_get(step, "package"), "state");
    const char *reason = ctl_text(step, "reason");
    bool idle = strcmp(state, "not_executed") == 0;
    bool refused = idle && *reason && strcmp(reason, "start_failed") != 0;
    term_paint(&s->out, &s->term, ctl_mood(refused ? "refused" : state),
               refused ? "refused"
               : idle  ? "not executed"
                       : state);
    if (*reason)
        buf_printf(&s->out, " (%s)", reason);
}

/* "step extract, try 2: failed, exit code 1; then quit-failure" */
static void show_step_head(struct show *s, json_t *step, bool ran)
{
    static const char *const flags[] = {"timed_out", "cancelled", "out_of_memory"};
    buf_printf(&s->out, "\nstep %s, try %s: ", ctl_text(step, "name"), ctl_text(step, "tries"));
    show_step_state(s, step);
    if (ran && *ctl_text(step, "signal"))
        buf_printf(&s->out, ", signal %s", ctl_text(step, "signal"));
    else if (ran && *ctl_text(step, "exit_code"))
        buf_printf(&s->out, ", exit code %s", ctl_text(step, "exit_code"));
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        if (json_is_true(json_object_get(step, flags[i])))
            buf_printf(&s->out, ", %s",
                       i == 0   ? "timed out"
                       : i == 1 ? "cancelled"
                                : "out of memory");
    if (*ctl_text(step, "action"))
        buf_printf(&s->out, "; then %s%s%s", ctl_text(step, "action"),
                   *ctl_text(step, "target") ? " " : "", ctl_text(step, "target"));
    buf_add_str(&s->out, "\n");
}

static bool has_run(json_t *step)
{
    return ctl_time(step, "started_at") && strcmp(ctl_state(step, "package"), "not_executed") != 0;
}

/* A step that was refused or never ran has no process, so nothing about one is shown. above: the
 * one before it that ran; NULL: none. */
static void show_step(struct show *s, json_t *run, json_t *step, json_t *above)
{
    json_t *package = json_object_get(step, "package");
    bool ran = has_run(step);
    char moment[TERM_TIME];
    s->indent = "  ";
    show_step_head(s, step, ran);
    if (*ctl_text(package, "name"))
        show_linef(s, "package", "%s %s (%s)", ctl_text(package, "name"),
                   ctl_text(package, "version"), ctl_hash(package, "hash"));
    if (strcmp(ctl_text(package, "message"), ctl_text(run, "message")) != 0)
        show_line(s, "message", ctl_text(package, "message"));
    if (ran) {
        show_linef(s, "started", "%s, took %s", term_clock(ctl_time(step, "started_at"), moment),
                   ctl_took(step, "started_at", "ended_at"));
        show_execution(s, step, above);
        show_usage(s, step);
    }
    show_pairs(s, "outputs", json_object_get(package, "outputs"));
    s->indent = "";
}

/* "etl2, attempt 1, step load": what an event says besides its name. */
static void add_members(struct buf *out, json_t *event)
{
    static const struct {
        const char *key, *before;
    } members[] = {{"server", ""},      {"attempt", "attempt "}, {"step", "step "},
                   {"driver", "by "},   {"status", ""},          {"why", ""},
                   {"how", ""},         {"operator", "by "},     {"reason", ""},
                   {"on_lost", "then "}};
    bool first = true;
    for (size_t k = 0; k < COUNT_OF(members); k++)
        if (*ctl_text(event, members[k].key)) {
            buf_printf(out, "%s%s%s", first ? "" : ", ", members[k].before,
                       ctl_text(event, members[k].key));
            first = false;
        }
}

void show_events(struct show *s, json_t *run)
{
    json_t *events = json_object_get(run, "events"), *e;
    size_t i;
    char clock[TERM_TIME];
    if (json_array_size(events))
        show_title(s, "events");
    s->indent = "  ";
    json_array_foreach (events, i, e) {
        struct buf text = {0};
        buf_printf(&text, "%-14s ", ctl_text(e, "event"));
        for (size_t k = 0; k < text.n; k++)
            if (text.p[k] == '_') /* parent_ended */
                text.p[k] = ' ';
        add_members(&text, e);
        while (text.n && text.p[text.n - 1] == ' ')
            text.n--;
        show_line(s, term_clock(ctl_time(e, "at"), clock), buf_str(&text));
        buf_free(&text);
    }
    s->indent = "";
}

static void show_where(struct show *s, json_t *run)
{
    const char *server = ctl_text(run, "server"), *address = ctl_text(run, "address");
    if (*server && strcmp(server, address) == 0)
        show_line(s, "server", server);
    else if (*server)
        show_linef(s, "server", "%s, called on %s", server, address);
    else
        show_line(s, "called on", address);
}

static void show_times(struct show *s, json_t *run)
{
    show_moment(s, "called", run, "called_at");
    show_moment(s, "assigned", run, "assigned_at");
    show_moment(s, "started", run, "started_at");
    show_moment(s, "ended", run, "ended_at");
    show_line(s, "took", ctl_took(run, "started_at", "ended_at"));
    if (ctl_time(run, "as_of") / 1000 != ctl_time(run, "called_at") / 1000)
        show_moment(s, "as of", run, "as_of");
}

static void show_child(struct show *s, json_t *run)
{
    struct buf child = {0};
    ctl_child(run, false, &child);
    if (child.n)
        show_linef(s, "child", "%s, try %s, of parent %s", buf_str(&child), ctl_text(run, "try"),
                   ctl_id(run, "parent", FIND_TAIL));
    buf_free(&child);
}

static void show_progress(struct show *s, json_t *run)
{
    if (*ctl_text(run, "step"))
        show_line(s, "step", ctl_text(run, "step"));
    if (ctl_int(run, "percent"))
        show_linef(s, "progress", "%s%% %s", ctl_text(run, "percent"), ctl_text(run, "text"));
    else
        show_line(s, "progress", ctl_text(run, "text"));
}

/* The broker tells what is shown; the signature proves it. */
static void show_proof(struct show *s, json_t *run)
{
    struct buf text = {0};
    if (ctl_has_ended(run))
        ctl_proof_say(s->lb, run, &text);
    show_line(s, "result", buf_str(&text));
    buf_free(&text);
}

static void show_run(struct show *s, json_t *run)
{
    size_t i;
    json_t *step, *above = NULL;
    show_line(s, "run", ctl_text(run, "run"));
    show_verdict(s, run);
    show_line(s, "message", ctl_text(run, "message"));
    const char *state = ctl_text(run, "state");
    if (strcmp(state, "waiting") == 0 || strcmp(state, "parked") == 0)
        show_linef(s, "why", "lbctl explain %s says for what it waits",
                   ctl_id(run, "run", FIND_TAIL));
    if (json_object_get(run, "job_outcome"))
        show_linef(s, "layers", "delivery %s, job %s, package %s", ctl_state(run, "delivery"),
                   ctl_state(run, "job_outcome"), ctl_state(run, "package"));
    show_proof(s, run);
    show_child(s, run);
    if (*ctl_text(run, "job_hash"))
        show_linef(s, "job", "%s (%s)", ctl_text(run, "job"), ctl_hash(run, "job_hash"));
    else
        show_line(s, "job", ctl_text(run, "job"));
    show_where(s, run);
    if (ctl_int(run, "attempt") > 1)
        show_line(s, "attempt", ctl_text(run, "attempt"));
    show_progress(s, run);
    show_line(s, "called by", ctl_text(run, "by"));
    show_times(s, run);
    if (ctl_int(run, "priority") != PRIORITY_USUAL)
        show_line(s, "priority", ctl_text(run, "priority"));
    if (strcmp(ctl_text(run, "on_lost"), "default") != 0)
        show_line(s, "if lost", ctl_text(run, "on_lost"));
    if (!*ctl_text(run, "parent")) /* a child's key repeats what is shown above */
        show_line(s, "key", ctl_text(run, "key"));
    show_pairs(s, "parameters", json_object_get(run, "parameters"));
    show_pairs(s, "outputs", json_object_get(run, "outputs"));
    char *off = show_joined(json_object_get(run, "off"), ", ");
    show_line(s, "unprotected", off);
    mem_free(&off);
    show_left_out(s, run);
    show_events(s, run);
    json_array_foreach (json_object_get(json_object_get(run, "job_outcome"), "steps"), i, step) {
        show_step(s, run, step, above);
        above = has_run(step) ? step : above;
    }
}

/* As the broker has it, with what was found of its proof. */
static void print_json(struct longboat *lb, json_t *row)
{
    struct buf text = {0};
    if (!ctl_is_parent(row) && ctl_has_ended(row)) {
        const enum ctl_proof_state state = ctl_proof_say(lb, row, &text);
        json_object_set_new(
            row, "proof",
            json_pack("{s:s,s:s%}", "state", ctl_proof_word(state), "text", text.p, text.n));
    }
    char *dump = json_dumps(row, JSON_COMPACT);
    if (dump)
        term_say(stdout, "%s\n", dump);
    free(dump);
    buf_free(&text);
}

static json_t *row_of(char **argv, struct longboat *lb, const char *text, bool raw, int *ret_code)
{
    json_t *found = json_array();
    const struct ctl_where where[] = {{"run", text, 0, true}};
    struct ctl_query q = {
        .what = "run", .where = where, .n_where = 1, .raw = raw, .row = ctl_gather, .self = found};
    *ret_code = ctl_query_over(argv, lb, &q);
    json_t *row = json_incref(json_array_get(found, 0));
    json_decref(found);
    return row;
}

static int show(char **argv, struct longboat *lb, const char *text, bool as_json)
{
    struct show s = {.argv = argv, .lb = lb, .term = term_of(STDOUT_FILENO), .indent = ""};
    int code;
    json_t *run = row_of(argv, lb, text, as_json, &code);
    if (run && as_json)
        print_json(lb, run);
    else if (run && json_object_get(run, "job"))
        show_run(&s, run);
    else if (run)
        code = show_parent(&s, run);
    if (s.out.n)
        term_put(stdout, buf_span(&s.out));
    buf_free(&s.out);
    json_decref(run);
    return code;
}

static int compare(char **argv, struct longboat *lb, const char *text, const char *with,
                   bool as_json)
{
    struct show s = {.argv = argv, .lb = lb, .term = term_of(STDOUT_FILENO), .indent = ""};
    int code;
    json_t *run = row_of(argv, lb, text, as_json, &code), *other = NULL;
    if (code == EXIT_DONE)
        other = row_of(argv, lb, with, as_json, &code);
    if (run && other)
        code = show_diff(&s, run, other, as_json);
    buf_free(&s.out);
    json_decref(run);
    json_decref(other);
    return code;
}

int ctl_show(int argc, char **argv)
{
    struct option_values v = {0};
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "RUN [options]", examples, 1, 1,
                                &v, &first);
    if (code >= 0)
        return code;
    if (opt_flag(&v, "utc"))
        term_utc();
    struct longboat *lb = ctl_connect(argv);
    const char *with = opt_str(&v, "diff");
    if (!lb)
        code = EXIT_REFUSED;
    else if (*with)
        code = compare(argv, lb, argv[first], with, opt_flag(&v, "json"));
    else
        code = show(argv, lb, argv[first], opt_flag(&v, "json"));
    longboat_close(&lb);
    options_free(&v);
    return code;
}
