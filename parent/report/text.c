/* text.c - the overview as text: tasks, children, verdict. */
#include "parent/report/words.h"

#include "common/duration.h"

enum { REASONS = 20 /* a screen full */ };

static void add_task_words(const struct pcore *c, uint32_t task, struct term_table *table)
{
    struct pcore_task t;
    pcore_task(c, task, &t);
    bool optional = pcore_graph(c)->tasks[task].may_fail;
    if (t.state == TASK_SKIPPED)
        term_table_addf(table, TERM_WARN, "skipped: %s", t.reason);
    else if (t.count == 0 && t.not_started == 0)
        term_table_add(table, "nothing to do");
    else if (t.not_started)
        term_table_addf(table, TERM_WARN, "%u of %u succeeded, %u not started", t.succeeded,
                        t.count + t.not_started, t.not_started);
    else
        term_table_addf(table,
                        t.succeeded == t.count ? TERM_GOOD
                        : optional             ? TERM_WARN
                                               : TERM_BAD,
                        "%u of %u succeeded%s", t.succeeded, t.count,
                        optional && t.succeeded < t.count ? " (may fail)" : "");
}

static void add_tasks(const struct pcore *c, const struct term *t, struct buf *out)
{
    static const struct term_column columns[] = {
        {"TASK", false}, {"JOB", false}, {"AT", false}, {"RESULT", false}};
    const struct graph *g = pcore_graph(c);
    struct term_table *table = term_table_new(columns, 4);
    uint32_t listed = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        struct pcore_task task;
        pcore_task(c, i, &task);
        if (g->n > REPORT_CHILDREN && task.state != TASK_SKIPPED && task.succeeded == task.count &&
            !task.not_started)
            continue;
        if (listed++ == REPORT_CHILDREN)
            break;
        term_table_add(table, g->tasks[i].name);
        term_table_add(table, g->tasks[i].job);
        term_table_add(table, g->tasks[i].address);
        add_task_words(c, i, table);
    }
    term_table_print(table, t, out);
    if (g->n > REPORT_CHILDREN)
        buf_printf(out, "%u tasks in all; listed are at most %d that did not succeed\n", g->n,
                   REPORT_CHILDREN);
    term_table_free(&table);
}

static void add_child(const struct pcore *c, const struct pcore_child *k, struct term_table *table)
{
    struct buf text = {0};
    char d[DURATION_TEXT];
    words_child(c, k->task, k->index, &text);
    term_table_add(table, buf_str(&text));
    term_table_add(table, *k->server ? k->server : "-");
    term_table_addf(table, TERM_PLAIN, "%llu", (unsigned long long)k->attempt);
    term_table_add_in(table, k->delivery == DELIVERY_CALLED ? TERM_PLAIN : TERM_BAD,
                      delivery_text(k->delivery));
    term_table_add_in(table, k->job == JOB_SUCCEEDED ? TERM_PLAIN : words_mood(k->status),
                      job_outcome_text(k->job));
    term_table_add_in(table, k->package == PACKAGE_SUCCEEDED ? TERM_PLAIN : words_mood(k->status),
                      package_outcome_text(k->package));
    term_table_add(table, words_elapsed(k, 0) >= 0 ? duration_format(words_elapsed(k, 0), d) : "-");
    buf_clear(&text);
    words_said(k, 200, &text);
    term_table_add(table, buf_str(&text));
    buf_free(&text);
}

static void add_children(const struct pcore *c, const struct term *t, struct buf *out)
{
    static const struct term_column columns[] = {
        {"CHILD", false}, {"SERVER", false},  {"ATT", true},  {"DELIVERY", false},
        {"JOB", false},   {"PACKAGE", false}, {"TIME", true}, {"MESSAGE", false}};
    struct term_table *table = term_table_new(columns, 8);
    struct pcore_totals all;
    pcore_totals(c, &all);
    bool many = all.ended > REPORT_CHILDREN;
    uint32_t listed = 0;
    for (uint32_t i = 0; i < pcore_graph(c)->n && listed < REPORT_CHILDREN; i++) {
        struct pcore_task task;
        pcore_task(c, i, &task);
        for (uint32_t k = 0; k < task.count && listed < REPORT_CHILDREN; k++) {
            struct pcore_child child;
            pcore_child(c, i, k, &child);
            if (child.state != CHILD_ENDED || (many && child.status == STATUS_SUCCEEDED))
                continue;
            add_child(c, &child, table);
            listed++;
        }
    }
    if (listed)
        buf_add_str(out, "\n");
    term_table_print(table, t, out);
    if (many)
        buf_printf(out, "%llu children in all; listed are at most %d that did not succeed\n",
                   (unsigned long long)all.ended, REPORT_CHILDREN);
    term_table_free(&table);
}

/* On a terminal tables cut their last column; here is the whole of what people will want to
   read. */
static void add_reasons(const struct pcore *c, struct buf *out)
{
    int listed = 0;
    for (uint32_t i = 0; i < pcore_graph(c)->n && listed < REASONS; i++) {
        struct pcore_task task;
        pcore_task(c, i, &task);
        if (task.state == TASK_SKIPPED)
            buf_printf(out, "%s%s skipped: %s\n", listed++ ? "  " : "\n  ",
                       pcore_graph(c)->tasks[i].name, task.reason);
        for (uint32_t k = 0; k < task.count && listed < REASONS; k++) {
            struct pcore_child child;
            pcore_child(c, i, k, &child);
            if (child.state != CHILD_ENDED || child.status == STATUS_SUCCEEDED || !*child.text)
                continue;
            buf_add_str(out, listed++ ? "  " : "\n  ");
            words_child(c, i, k, out);
            buf_printf(out, " %s: ", status_text(child.status));
            term_safe(out, span_str(child.text));
            buf_add_str(out, "\n");
        }
    }
}

void report_text(const struct pcore *c, const struct term *t, struct buf *out)
{
    struct pcore_totals all;
    char id[ID_TEXT], d[DURATION_TEXT];
    pcore_totals(c, &all);
    add_tasks(c, t, out);
    add_children(c, t, out);
    if (t->is_terminal)
        add_reasons(c, out);
    buf_printf(out, "\n%llu of %llu children succeeded", (unsigned long long)all.succeeded,
               (unsigned long long)all.children);
    if (all.not_started)
        buf_printf(out, ", %llu not started", (unsigned long long)all.not_started);
    if (all.tasks_skipped)
        buf_printf(out, ", %u of %u tasks skipped", all.tasks_skipped, all.tasks);
    buf_printf(out, "\nparent %s (%s) ", pcore_graph(c)->name, id_format(pcore_parent(c), id));
    term_paint(out, t, words_mood(all.verdict), status_text(all.verdict));
    buf_printf(out, " after %s\n",
               duration_format(all.ended_at > all.begun_at ? all.ended_at - all.begun_at : 0, d));
}
