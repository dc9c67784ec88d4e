/* ctl_logsparent.c - the output of a parent's children, each line with its child's name.
 *
 * Child by child, in the order in which they began: so what one child says stays together, and one
 * reader at a time is open, whatever the number of children. With --follow as the lines come: then
 * a few are open at a time, new children are looked for until the parent has ended, and what waits
 * for its turn is printed from its beginning. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/ctl_logs.h"
#include "client/find.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/termout.h"

enum {
    AT_ONCE = 16,    /* readers while we follow; half of what a principal may have */
    LOOK_MS = 2000,  /* between looks for new children */
    PREFIX_MAX = 24, /* columns to which names are filled up */
};

struct logs_child {
    json_t *row; /* NULL: not asked for yet, or done with */
    char run[ID_TEXT], *name, *prefix, *started;
    struct logs_reading *reading;
    bool over;
};

struct logs_parent {
    const struct logs_wanted *w;
    char run[ID_TEXT];
    struct logs_child *children; /* in the order in which they began, as they were found */
    size_t n, most;
    unsigned open;
    bool left_out; /* there are more than `most` */
    bool any;      /* something was printed */
    int code;
};

/* "load[orders]", "load[orders] try 2" */
static char *name_of(json_t *row)
{
    struct buf name = {0};
    ctl_child(row, true, &name);
    if (!name.n)
        buf_add_str(&name, ctl_id(row, "run", FIND_TAIL));
    if (ctl_int(row, "try") > 1)
        buf_printf(&name, " try %s", ctl_text(row, "try"));
    char *text = mem_strdup(buf_str(&name));
    buf_free(&name);
    return text;
}

static bool is_known(const struct logs_parent *p, const char *run)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->children[i].run, run) == 0)
            return true;
    return false;
}

static int by_start(const void *a, const void *b)
{
    const struct logs_child *x = a, *y = b;
    int c = strcmp(x->started, y->started);
    return c ? c : strcmp(x->run, y->run);
}

/* The moments are RFC 3339 in UTC, which sort as texts do. */
static void add_new(struct logs_parent *p, json_t *rows)
{
    size_t i, room = 0, before = p->n;
    json_t *row;
    json_array_foreach (rows, i, row) {
        const char *run = ctl_text(row, "run"), *started = ctl_text(row, "started_at");
        if (!*started || is_known(p, run))
            continue;
        if (p->n == room || !room) {
            room = p->n + 64;
            p->children = mem_realloc(p->children, room, sizeof *p->children);
        }
        struct logs_child *c = &p->children[p->n++];
        *c = (struct logs_child){.name = name_of(row), .started = mem_strdup(started)};
        snprintf(c->run, sizeof c->run, "%s", run);
    }
    if (p->n > before)
        qsort(p->children + before, p->n - before, sizeof *p->children, by_start);
}

static void free_child(struct logs_child *c)
{
    mem_free(&c->name);
    mem_free(&c->prefix);
    mem_free(&c->started);
    json_decref(c->row);
}

static void keep_most(struct logs_parent *p)
{
    p->left_out |= p->n > p->most;
    while (p->n > p->most)
        free_child(&p->children[--p->n]);
}

/* "extract[orders] | ", filled up so that lines begin in one column. */
static void make_prefixes(struct logs_parent *p)
{
    int width = 0;
    for (size_t i = 0; i < p->n; i++) {
        int w = term_width(span_str(p->children[i].name));
        width = w > width && w <= PREFIX_MAX ? w : width;
    }
    for (size_t i = 0; i < p->n; i++) {
        struct logs_child *c = &p->children[i];
        int fill = width - term_width(span_str(c->name));
        if (!c->prefix)
            c->prefix = mem_printf("%s%*s | ", c->name, fill > 0 ? fill : 0, "");
    }
}

/* Looks for children that have begun. False: the broker did not answer. */
static bool look(struct logs_parent *p, json_t *parent)
{
    json_t *rows = json_array();
    bool more;
    int code = ctl_children(p->w->argv, p->w->lb, parent, LOGS_CHILDREN_MAX, rows, &more);
    p->left_out |= more;
    add_new(p, rows);
    keep_most(p);
    make_prefixes(p);
    json_decref(rows);
    p->code = code != EXIT_DONE ? code : p->code;
    return code == EXIT_DONE;
}

/* ---- Reading */
/* Children that have ended without the step that is wanted are passed over. */
static bool lacks_step(const struct logs_parent *p, json_t *row)
{
    json_t *steps = json_object_get(json_object_get(row, "job_outcome"), "steps"), *step;
    size_t i;
    json_array_foreach (steps, i, step)
        if (strcmp(ctl_text(step, "name"), p->w->step) == 0)
            return false;
    return *p->w->step && json_array_size(steps);
}

/* False: the broker cannot be asked. */
static bool begin(struct logs_parent *p, struct logs_child *c)
{
    struct error err = {0};
    struct id id;
    c->over = true;
    if (!(c->row = ctl_run_row(p->w->argv, p->w->lb, c->run, &p->code)))
        return false;
    if (lacks_step(p, c->row) || id_parse(c->run, &id, NULL) < 0)
        return true;
    c->reading = logs_reading_begin(p->w, &id, c->row, c->prefix, c->name, &err);
    if (!c->reading) {
        p->code = ctl_fail(p->w->argv, EXIT_REFUSED, &err);
        return false;
    }
    c->over = false;
    p->open++;
    return true;
}

/* A child that printed nothing is no failure of ours. */
static void end(struct logs_parent *p, struct logs_child *c)
{
    bool any;
    int code = logs_reading_end(&c->reading, &any);
    p->any |= any;
    p->open--;
    c->over = true;
    json_decref(c->row);
    c->row = NULL;
    if (code == EXIT_REFUSED)
        p->code = code;
}

static bool is_one_done(void *self)
{
    struct logs_parent *p = self;
    for (size_t i = 0; i < p->n; i++)
        if (p->children[i].reading && logs_reading_is_done(p->children[i].reading))
            return true;
    return false;
}

static uint64_t heard(const struct logs_parent *p)
{
    uint64_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (p->children[i].reading)
            n += logs_reading_heard(p->children[i].reading);
    return n;
}

/* Begins what may begin, and waits until one has been read. False: something is wrong. */
static bool go_on(struct logs_parent *p, unsigned at_once, int64_t wait_ms)
{
    struct error err = {0};
    uint64_t before = heard(p);
    for (size_t i = 0; i < p->n && p->open < at_once; i++)
        if (!p->children[i].over && !p->children[i].reading && !begin(p, &p->children[i]))
            return false;
    if (!p->open && !p->w->follow)
        return true; /* all that were left are passed over */
    int rc = longboat_wait(p->w->lb, is_one_done, p, wait_ms, &err);
    for (size_t i = 0; i < p->n; i++)
        if (p->children[i].reading && logs_reading_is_done(p->children[i].reading))
            end(p, &p->children[i]);
    if (rc == -ETIMEDOUT && (p->w->follow || heard(p) > before))
        rc = 0;
    if (rc < 0)
        p->code = ctl_fail(p->w->argv, EXIT_REFUSED, &err);
    return rc == 0;
}

static bool is_all_read(const struct logs_parent *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (!p->children[i].over)
            return false;
    return true;
}

static void read_in_order(struct logs_parent *p, json_t *parent)
{
    if (look(p, parent))
        while (!is_all_read(p) && go_on(p, 1, CTL_TIMEOUT_MS))
            ;
}

/* Until the parent has ended, and all of its children's output has come: whether it has ended is
 * asked before its children are looked for, so that the last ones are found. */
static void follow(struct logs_parent *p)
{
    int64_t now, next = 0;
    bool ended = false, fine = true;
    while (fine) {
        if ((now = clock_boot_ms()) >= next) {
            json_t *parent = ctl_run_row(p->w->argv, p->w->lb, p->run, &p->code);
            fine = parent && look(p, parent);
            ended = parent && ctl_has_ended(parent);
            json_decref(parent);
            next = now + LOOK_MS;
        }
        if (ended && is_all_read(p))
            break;
        fine = fine && go_on(p, AT_ONCE, next - now);
    }
}

/* ---- The whole */
static void say_rest(const struct logs_parent *p, json_t *parent)
{
    const char *id = ctl_id(parent, "run", FIND_TAIL);
    if (p->left_out)
        term_say(stderr,
                 "%s: these are %zu of its children; --children N shows more, and lbctl history "
                 "--parent %s lists them\n",
                 p->w->argv[0], p->n, id);
    else if (p->n == 0 && p->code == EXIT_DONE)
        term_say(stderr,
                 "%s: this is a parent, and none of its children has started; lbctl show "
                 "%s says why\n",
                 p->w->argv[0], id);
}

int ctl_logs_parent(const struct logs_wanted *w, json_t *parent, int64_t most)
{
    struct logs_parent p = {.w = w, .most = (size_t)most};
    snprintf(p.run, sizeof p.run, "%s", ctl_text(parent, "run"));
    if (w->follow)
        follow(&p);
    else
        read_in_order(&p, parent);
    say_rest(&p, parent);
    for (size_t i = 0; i < p.n; i++) {
        if (p.children[i].reading)
            end(&p, &p.children[i]);
        free_child(&p.children[i]);
    }
    mem_free(&p.children);
    return p.code == EXIT_DONE && p.n == 0 ? EXIT_RAN_AND_FAILED : p.code;
}
