/* ctl_showparent.c - lbctl show of a parent: its tasks, its children, its report. */
#include <stdio.h>
#include <string.h>

#include "admin/ctl_show.h"
#include "client/find.h"

enum {
    CHILDREN_READ = 2000, /* of those that have ended, and of those that have not */
    CHILDREN_SHOWN = 30,  /* what did not succeed first */
    TASKS_SHOWN = 60,
    SKIPS_IN_TABLE = 10, /* more skipped tasks than this are counted for each cause */
    CAUSES_SHOWN = 12,
    SKIPS_NAMED = 3 /* of each cause */
};

/* ---- Tasks: from the report; until there is one, the children say enough */
static bool is_skipped(json_t *task)
{
    return strcmp(ctl_text(task, "state"), "skipped") == 0;
}

static void add_task(struct term_table *t, json_t *task)
{
    int64_t all = ctl_int(task, "children"), good = ctl_int(task, "succeeded");
    bool may_fail = json_is_true(json_object_get(task, "may_fail"));
    term_table_add(t, ctl_text(task, "task"));
    term_table_add(t, ctl_text(task, "job"));
    term_table_add(t, ctl_text(task, "address"));
    if (is_skipped(task))
        term_table_addf(t, TERM_WARN, "skipped: %s", ctl_text(task, "reason"));
    else if (all == 0)
        term_table_add(t, ctl_text(task, "state"));
    else
        term_table_addf(t,
                        good == all ? TERM_GOOD
                        : may_fail  ? TERM_WARN
                                    : TERM_BAD,
                        "%lld of %lld succeeded%s", (long long)good, (long long)all,
                        may_fail && good < all ? " (may fail)" : "");
}

/* Those that failed first, then those that did not need to succeed or are under way, then the
 * others. Skipped tasks are the consequence of another's end: they come last. */
static int task_rank(json_t *task)
{
    int64_t all = ctl_int(task, "children");
    if (is_skipped(task))
        return 3;
    if (all > 0 && ctl_int(task, "succeeded") == all && !ctl_int(task, "not_started"))
        return 2;
    return all == 0 || json_is_true(json_object_get(task, "may_fail")) ? 1 : 0;
}

/* {cause: [task, ...]}, in the order of the plan; *ret_n is the number of tasks. */
static json_t *causes_of(json_t *tasks, int64_t *ret_n)
{
    json_t *causes = json_object(), *task, *of_one;
    size_t i;
    *ret_n = 0;
    json_array_foreach (tasks, i, task) {
        if (!is_skipped(task))
            continue;
        const char *cause = ctl_text(task, "cause");
        if ((of_one = json_object_get(causes, cause)) == NULL) {
            of_one = json_array();
            json_object_set_new(causes, cause, of_one);
        }
        json_array_append(of_one, json_object_get(task, "task"));
        ++*ret_n;
    }
    return causes;
}

static void show_paragraph(struct show *s, const struct buf *text)
{
    struct buf safe = {0};
    term_safe(&safe, buf_span(text));
    term_wrap(&s->out, buf_span(&safe), 2, term_page(&s->term));
    buf_add_str(&s->out, "\n");
    buf_free(&safe);
}

/* "1000 tasks skipped because root failed (t1, t2, t3, ...)", a line for each cause. */
static void show_causes(struct show *s, json_t *causes)
{
    const char *cause;
    json_t *tasks, *name;
    size_t i, shown = 0, more = 0;
    json_object_foreach (causes, cause, tasks) {
        struct buf line = {0};
        size_t n = json_array_size(tasks);
        if (shown == CAUSES_SHOWN) {
            more += n;
            continue;
        }
        shown++;
        buf_printf(&line, "%zu task%s skipped because %s", n, n == 1 ? "" : "s", cause);
        json_array_foreach (tasks, i, name)
            if (i < SKIPS_NAMED)
                buf_printf(&line, "%s%s", i ? ", " : " (", json_string_value(name));
        buf_add_str(&line, n > SKIPS_NAMED ? ", ...)" : ")");
        show_paragraph(s, &line);
        buf_free(&line);
    }
    if (more)
        buf_printf(&s->out, "%zu more tasks skipped for other causes (--json has them)\n", more);
}

static void show_tasks(struct show *s, json_t *report)
{
    static const struct term_column columns[] = {{"task", TERM_SHRINK(8)},
                                                 {"job", TERM_SHRINK(8) | TERM_DROP(2)},
                                                 {"on", TERM_SHRINK(4) | TERM_DROP(1)},
                                                 {"result", TERM_SHRINK(20) | TERM_WRAP}};
    json_t *tasks = json_object_get(report, "tasks"), *task;
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    int64_t skipped, left_out = ctl_int(report, "tasks_left_out");
    json_t *causes = causes_of(tasks, &skipped);
    bool counted = skipped > SKIPS_IN_TABLE;
    size_t i, shown = 0, n = json_array_size(tasks) - (counted ? (size_t)skipped : 0);
    for (int rank = 0; rank < (counted ? 3 : 4); rank++)
        json_array_foreach (tasks, i, task)
            if (task_rank(task) == rank && shown < TASKS_SHOWN) {
                add_task(t, task);
                shown++;
            }
    if (json_array_size(tasks))
        show_title(s, "tasks");
    show_table(s, t);
    if (n > shown)
        buf_printf(&s->out, "and %zu more (--json has them)\n", n - shown);
    if (counted)
        show_causes(s, causes);
    if (left_out)
        buf_printf(&s->out, "%lld more tasks, for which the stored report had no room\n",
                   (long long)left_out);
    json_decref(causes);
    term_table_free(&t);
}

/* ---- Children */
static bool is_good(json_t *child)
{
    return strcmp(ctl_text(child, "status"), "succeeded") == 0;
}

/* Those that failed first, then those under way, then the others. */
static int rank_of(json_t *child)
{
    return is_good(child) ? 2 : *ctl_text(child, "status") ? 0 : 1;
}

static void add_child(struct term_table *t, json_t *child, unsigned digits)
{
    struct buf name = {0};
    const char *word =
        *ctl_text(child, "status") ? ctl_text(child, "status") : ctl_text(child, "state");
    const char *text =
        *ctl_text(child, "message") ? ctl_text(child, "message") : ctl_text(child, "text");
    ctl_child(child, true, &name);
    term_table_add(t, ctl_id(child, "run", digits));
    term_table_add(t, buf_str(&name));
    term_table_add_in(t, ctl_mood(word), word);
    term_table_add(t, ctl_text(child, "server"));
    term_table_add(t, ctl_took(child, "started_at", "ended_at"));
    term_table_add(t, ctl_int(child, "try") > 1 ? ctl_text(child, "try") : "");
    term_table_add(t, text);
    buf_free(&name);
}

static void show_children(struct show *s, json_t *parent, json_t *children, bool more)
{
    static const struct term_column columns[] = {
        {"run", 0},
        {"child", TERM_SHRINK(24)},
        {"status", 0},
        {"server", TERM_OPTIONAL | TERM_SHRINK(4)},
        {"took", TERM_OPTIONAL | TERM_RIGHT},
        {"try", TERM_OPTIONAL | TERM_RIGHT},
        {"message", TERM_OPTIONAL | TERM_SHRINK(20) | TERM_WRAP},
    };
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    unsigned digits = ctl_id_digits(children, "run");
    size_t i, shown = 0, n = json_array_size(children);
    json_t *child;
    for (int rank = 0; rank < 3; rank++)
        json_array_foreach (children, i, child)
            if (rank_of(child) == rank && shown < CHILDREN_SHOWN) {
                add_child(t, child, digits);
                shown++;
            }
    if (n)
        show_title(s, "children");
    show_table(s, t);
    int64_t ended = ctl_int(json_object_get(json_object_get(parent, "report"), "totals"), "ended");
    if (ended > (int64_t)n) { /* the report knows how many there are; we have not read all */
        n = (size_t)ended;
        more = false;
    }
    if (n > shown || more)
        buf_printf(&s->out,
                   "%zu%s more: lbctl history --parent %s -n 100000 lists those that have ended\n",
                   n - shown, more ? " or" : "", ctl_id(parent, "run", FIND_TAIL));
    term_table_free(&t);
}

static void show_totals(struct show *s, json_t *report)
{
    json_t *totals = json_object_get(report, "totals");
    if (!totals)
        return;
    struct buf text = {0};
    buf_printf(&text, "%s of %s children succeeded", ctl_text(totals, "succeeded"),
               ctl_text(totals, "children"));
    if (ctl_int(totals, "not_started"))
        buf_printf(&text, ", %s not started", ctl_text(totals, "not_started"));
    if (ctl_int(totals, "tasks_skipped"))
        buf_printf(&text, ", %s of %s tasks skipped", ctl_text(totals, "tasks_skipped"),
                   ctl_text(totals, "tasks"));
    show_line(s, "report", buf_str(&text));
    buf_free(&text);
}

/* There is no report before the end. */
static void show_so_far(struct show *s, json_t *children)
{
    size_t i, ended = 0, good = 0;
    json_t *child;
    json_array_foreach (children, i, child) {
        ended += *ctl_text(child, "status") != 0;
        good += is_good(child);
    }
    show_linef(s, "so far", "%zu children have ended, %zu of them succeeded; %zu under way", ended,
               good, json_array_size(children) - ended);
}

/* The broker counts from the plan's acceptance to the end that it recorded, lbsubmit's report from
 * its first step to its last. */
static void show_took(struct show *s, json_t *parent, json_t *report)
{
    const char *whole = ctl_took(parent, "begun_at", "ended_at"),
               *tasks = ctl_took(report, "begun_at", "ended_at");
    if (*whole && *tasks && strcmp(whole, tasks) != 0)
        show_linef(s, "took", "%s, its tasks %s", whole, tasks);
    else
        show_line(s, "took", *whole ? whole : tasks);
}

int show_parent(struct show *s, json_t *parent)
{
    json_t *report = json_object_get(parent, "report"), *children = json_array();
    bool more = false;
    const char *name =
        *ctl_text(parent, "name") ? ctl_text(parent, "name") : ctl_text(parent, "plan");
    int code = ctl_children(s->argv, s->lb, parent, CHILDREN_READ, children, &more);
    show_linef(s, "parent", "%s", name);
    show_line(s, "run", ctl_text(parent, "run"));
    show_verdict(s, parent);
    show_totals(s, report);
    if (!ctl_has_ended(parent) && !more)
        show_so_far(s, children);
    show_line(s, "message", ctl_text(parent, "message"));
    show_line(s, "started by", ctl_text(parent, "by"));
    if (!ctl_has_ended(parent) && !*ctl_text(parent, "driver"))
        show_line(s, "driven by", "nobody: children that run go on, and nothing new starts");
    show_line(s, "driven by", ctl_text(parent, "driver"));
    show_moment(s, "started", *ctl_text(parent, "begun_at") ? parent : report, "begun_at");
    show_moment(s, "ended", parent, "ended_at");
    show_took(s, parent, report);
    show_moment(s, "as of", report, "as_of");
    show_line(s, "key", ctl_text(parent, "key"));
    show_tasks(s, report);
    show_children(s, parent, children, more);
    show_events(s, parent);
    json_decref(children);
    return code;
}
