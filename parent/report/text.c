/* text.c - the overview as text: tasks, children, what went wrong, the verdict.
 *
 * What went wrong comes last, where a terminal shows it: the children that did not succeed, then
 * the tasks that were skipped, counted for each cause. */
#include "parent/report/words.h"

#include <string.h>

#include "common/duration.h"
#include "common/hashtable.h"
#include "common/mem.h"

enum {
    REASONS = 12,     /* children, and causes of skips, that have a line: half a screen each */
    SKIPS_LISTED = 3, /* skipped tasks with one cause: up to this many have a line each */
    SKIPS_IN_TABLE = 10,
    NAME_WIDTH = 60
};

/* ---- Tasks */

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

/* If there are many tasks, those that succeeded are not listed; if many were skipped, neither are
 * those. */
static bool is_listed(const struct pcore_task *t, const struct pcore_totals *all)
{
    if (t->state == TASK_SKIPPED)
        return all->tasks_skipped <= SKIPS_IN_TABLE;
    return all->tasks - all->tasks_skipped <= REPORT_CHILDREN || t->succeeded < t->count ||
           t->not_started;
}

static void add_tasks(const struct pcore *c, const struct term *t, struct buf *out)
{
    static const struct term_column columns[] = {{"task", TERM_SHRINK(12)},
                                                 {"job", TERM_SHRINK(10)},
                                                 {"on", TERM_SHRINK(6)},
                                                 {"result", TERM_SHRINK(24)}};
    const struct graph *g = pcore_graph(c);
    struct term_table *table = term_table_new(columns, 4);
    struct pcore_totals all;
    uint32_t listed = 0;
    pcore_totals(c, &all);
    for (uint32_t i = 0; i < g->n && listed < REPORT_CHILDREN; i++) {
        struct pcore_task task;
        pcore_task(c, i, &task);
        if (!is_listed(&task, &all))
            continue;
        listed++;
        term_table_add(table, g->tasks[i].name);
        term_table_add(table, g->tasks[i].job);
        term_table_add(table, g->tasks[i].address);
        add_task_words(c, i, table);
    }
    term_table_print(table, t, out);
    if (all.tasks - all.tasks_skipped > REPORT_CHILDREN)
        buf_printf(out, "%u of %u tasks ran; the table has those without success, at most %d\n",
                   (unsigned)(all.tasks - all.tasks_skipped), (unsigned)all.tasks, REPORT_CHILDREN);
    term_table_free(&table);
}

/* ---- Children */

static void add_child(const struct pcore *c, const struct pcore_child *k, struct term_table *table)
{
    struct buf text = {0};
    char d[DURATION_TEXT];
    words_child(c, k->task, k->index, NAME_WIDTH, &text);
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
    words_said(k, "", &text);
    term_table_add(table, buf_str(&text));
    buf_free(&text);
}

/* Calls `each` for the ended children that did not succeed, or for those that did, until it returns
   false. */
static void walk_children(const struct pcore *c, bool succeeded,
                          bool (*each)(void *self, const struct pcore *c,
                                       const struct pcore_child *k),
                          void *self)
{
    for (uint32_t i = 0; i < pcore_graph(c)->n; i++) {
        struct pcore_task task;
        pcore_task(c, i, &task);
        if (succeeded ? task.succeeded == 0 : task.succeeded == task.ended)
            continue;
        for (uint32_t k = 0; k < task.count; k++) {
            struct pcore_child child;
            pcore_child(c, i, k, &child);
            if (child.state == CHILD_ENDED && succeeded == (child.status == STATUS_SUCCEEDED) &&
                !each(self, c, &child))
                return;
        }
    }
}

struct children {
    struct term_table *table;
    uint32_t listed;
};

static bool list_child(void *self, const struct pcore *c, const struct pcore_child *k)
{
    struct children *l = self;
    if (l->listed == REPORT_CHILDREN)
        return false;
    add_child(c, k, l->table);
    l->listed++;
    return true;
}

static void add_children(const struct pcore *c, const struct term *t, struct buf *out)
{
    static const struct term_column columns[] = {{"child", TERM_SHRINK(12)},
                                                 {"server", TERM_SHRINK(6)},
                                                 {"att", TERM_RIGHT},
                                                 {"delivery", 0},
                                                 {"job", 0},
                                                 {"package", 0},
                                                 {"took", TERM_RIGHT},
                                                 {"message", TERM_SHRINK(8) | TERM_DROP(1)}};
    struct children l = {.table = term_table_new(columns, 8)};
    struct pcore_totals all;
    char id[ID_TEXT];
    pcore_totals(c, &all);
    walk_children(c, false, list_child, &l);
    if (all.ended <= REPORT_CHILDREN)
        walk_children(c, true, list_child, &l);
    if (l.listed)
        buf_add_str(out, "\n");
    term_table_print(l.table, t, out);
    if (l.listed < all.ended)
        buf_printf(out, "%s%llu children in all%s: lbctl history --parent %s\n",
                   l.listed ? "" : "\n", (unsigned long long)all.ended,
                   l.listed ? ", those without success first" : "",
                   words_short(pcore_parent(c), id));
    term_table_free(&l.table);
}

/* ---- What went wrong */

struct reasons {
    const struct term *term;
    struct buf *out;
    uint32_t listed;
    uint64_t more;
    /* a task's children are mostly refused for one reason: one line gives it, one counts them */
    uint32_t refused_task;
    const char *refused_text; /* lent by the core */
    uint64_t same;
};

/* A paragraph; lines after the first are indented by two columns. */
static void add_reason(struct reasons *r, struct buf *text)
{
    if (r->listed++ == 0)
        buf_add_str(r->out, "\n");
    buf_add_str(r->out, "  ");
    if (r->term->is_terminal)
        term_wrap(r->out, buf_span(text), 4, r->term->width);
    else
        buf_add(r->out, text->p, text->n);
    buf_add_str(r->out, "\n");
    buf_free(text);
}

static void count_same(struct reasons *r, const struct pcore *c)
{
    struct buf line = {0};
    if (r->same) {
        buf_printf(&line, "... and %llu more of %s refused for the same reason",
                   (unsigned long long)r->same, pcore_graph(c)->tasks[r->refused_task].name);
        add_reason(r, &line);
    }
    r->same = 0;
    r->refused_text = NULL;
}

/* Is this the same refusal as the previous child's, of the same task? */
static bool is_same(struct reasons *r, const struct pcore *c, const struct pcore_child *k)
{
    if (k->status == STATUS_REFUSED && r->refused_text && r->refused_task == k->task &&
        strcmp(r->refused_text, k->text) == 0) {
        r->same++;
        return true;
    }
    count_same(r, c);
    if (k->status == STATUS_REFUSED) {
        r->refused_task = k->task;
        r->refused_text = k->text;
    }
    return false;
}

static bool add_failure(void *self, const struct pcore *c, const struct pcore_child *k)
{
    struct reasons *r = self;
    struct buf line = {0};
    char id[ID_TEXT];
    if (is_same(r, c, k))
        return true;
    if (r->listed >= REASONS) {
        r->more++;
        return true;
    }
    words_child(c, k->task, k->index, NAME_WIDTH, &line);
    buf_printf(&line, " %s", words_status(k->status));
    if (*k->server)
        buf_printf(&line, " on %s", k->server);
    if (!id_is_zero(k->run))
        buf_printf(&line, " (run %s)", words_short(k->run, id));
    if (*k->text)
        buf_add_str(&line, ": ");
    term_safe(&line, span_str(k->text));
    add_reason(r, &line);
    return true;
}

struct cause {
    UT_hash_handle hh;
    const char *text;
    uint32_t n, tasks[SKIPS_LISTED];
};

static struct cause *causes_of(const struct pcore *c)
{
    struct cause *all = NULL, *found;
    for (uint32_t i = 0; i < pcore_graph(c)->n; i++) {
        struct pcore_task t;
        pcore_task(c, i, &t);
        if (t.state != TASK_SKIPPED)
            continue;
        HASH_FIND(hh, all, &t.cause, sizeof t.cause, found);
        if (!found) {
            found = mem_zalloc(1, sizeof *found);
            found->text = t.cause;
            HASH_ADD(hh, all, text, sizeof found->text, found);
        }
        if (found->n < SKIPS_LISTED)
            found->tasks[found->n] = i;
        found->n++;
    }
    return all;
}

static void add_skips(const struct pcore *c, const struct cause *cause, struct reasons *r)
{
    struct buf line = {0};
    struct pcore_task t;
    if (cause->n <= SKIPS_LISTED) {
        for (uint32_t i = 0; i < cause->n; i++) {
            pcore_task(c, cause->tasks[i], &t);
            buf_printf(&line, "%s skipped: ", pcore_graph(c)->tasks[cause->tasks[i]].name);
            term_safe(&line, span_str(t.reason));
            add_reason(r, &line);
        }
        return;
    }
    buf_printf(&line, "%u tasks skipped because ", (unsigned)cause->n);
    term_safe(&line, span_str(cause->text));
    for (uint32_t i = 0; i < SKIPS_LISTED; i++)
        buf_printf(&line, "%s%s", i ? ", " : " (", pcore_graph(c)->tasks[cause->tasks[i]].name);
    buf_add_str(&line, ", ...)");
    add_reason(r, &line);
}

static void add_reasons(const struct pcore *c, const struct term *t, struct buf *out)
{
    struct reasons r = {.term = t, .out = out};
    struct cause *causes, *cause, *next;
    struct buf line = {0};
    uint64_t tasks = 0;
    walk_children(c, false, add_failure, &r);
    count_same(&r, c);
    if (r.more) {
        buf_printf(&line, "... and %llu more children without success", (unsigned long long)r.more);
        add_reason(&r, &line);
    }
    const uint32_t before = r.listed;
    causes = causes_of(c);
    HASH_ITER (hh, causes, cause, next) {
        if (r.listed - before < REASONS)
            add_skips(c, cause, &r);
        else
            tasks += cause->n;
        HASH_DEL(causes, cause);
        mem_free(&cause);
    }
    if (tasks) {
        buf_printf(&line, "... and %llu more tasks skipped", (unsigned long long)tasks);
        add_reason(&r, &line);
    }
}

void report_text(const struct pcore *c, const struct term *t, struct buf *out)
{
    struct pcore_totals all;
    char id[ID_TEXT], d[DURATION_TEXT];
    pcore_totals(c, &all);
    add_tasks(c, t, out);
    add_children(c, t, out);
    add_reasons(c, t, out);
    buf_printf(out, "\n%llu of %llu children succeeded", (unsigned long long)all.succeeded,
               (unsigned long long)all.children);
    if (all.not_started)
        buf_printf(out, ", %llu not started", (unsigned long long)all.not_started);
    if (all.tasks_skipped)
        buf_printf(out, ", %u of %u tasks skipped", all.tasks_skipped, all.tasks);
    buf_printf(out, "\nparent %s (%s) ", pcore_graph(c)->name, words_short(pcore_parent(c), id));
    term_paint(out, t, words_mood(all.verdict), words_status(all.verdict));
    buf_printf(out, " after %s\n",
               duration_format(all.ended_at > all.begun_at ? all.ended_at - all.begun_at : 0, d));
}
