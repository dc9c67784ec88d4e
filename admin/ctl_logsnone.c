/* ctl_logsnone.c - see ctl_logs.h. */
#include <stdio.h>
#include <string.h>

#include "admin/ctl_logs.h"
#include "client/find.h"
#include "common/mem.h"
#include "common/termout.h"

enum { CHILDREN_NAMED = 20 };

static void name_child(json_t *child, unsigned digits)
{
    struct buf name = {0};
    ctl_child(child, true, &name);
    term_say(stderr, "  %s  %s %s\n", ctl_id(child, "run", digits), buf_str(&name),
             *ctl_text(child, "status") ? ctl_text(child, "status") : ctl_text(child, "state"));
    buf_free(&name);
}

static void gather(char **argv, struct longboat *lb, const char *what, const char *parent,
                   json_t *children, bool *ret_more)
{
    const struct ctl_where where[] = {{"parent", parent, 0, false}};
    struct ctl_query q = {.what = what,
                          .where = where,
                          .n_where = 1,
                          .limit = CHILDREN_NAMED,
                          .row = ctl_gather,
                          .self = children};
    ctl_query_over(argv, lb, &q);
    *ret_more |= q.more;
}

/* A parent has no output of its own. */
static int name_children(char **argv, struct longboat *lb, json_t *parent)
{
    json_t *children = json_array(), *child;
    size_t i;
    bool more = false;
    gather(argv, lb, "runs", ctl_text(parent, "run"), children, &more);
    gather(argv, lb, "history", ctl_text(parent, "run"), children, &more);
    unsigned digits = ctl_id_digits(children, "run");
    term_say(stderr, "%s: this is a parent; its children have logs (lbctl logs CHILD)%s\n", argv[0],
             json_array_size(children) ? ":" : ", and none of them has started");
    json_array_foreach (children, i, child)
        if (i < CHILDREN_NAMED)
            name_child(child, digits);
    if (more || json_array_size(children) > CHILDREN_NAMED)
        term_say(stderr, "  ... lbctl history --parent %s lists all\n",
                 ctl_id(parent, "run", FIND_TAIL));
    json_decref(children);
    return EXIT_ASKED_WRONGLY;
}

static bool is_one_of(const char *word, const char *const words[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/* -1 to go on. */
static int judge(char **argv, struct longboat *lb, json_t *row, bool follow)
{
    static const char *const early[] = {"waiting", "parked", "handed_over"}, *const never[] = {
                                                                                 "refused",
                                                                                 "unreachable"};
    const char *state = ctl_text(row, "state"), *status = ctl_text(row, "status"),
               *id = ctl_id(row, "run", FIND_TAIL);
    struct buf why = {0};
    if (!json_object_get(row, "job"))
        return name_children(argv, lb, row);
    if (is_one_of(state, early, COUNT_OF(early)) && ctl_int(row, "attempt") <= 1) {
        term_say(stderr, "%s: run %s has not started: it is %s%s%s%s\n", argv[0], id,
                 strcmp(state, "handed_over") == 0 ? "handed over" : state,
                 follow ? "" : "; lbctl explain ", follow ? "" : id,
                 follow ? "; waiting for it" : " says why");
        return follow ? -1 : EXIT_RAN_AND_FAILED;
    }
    json_t *steps = json_object_get(json_object_get(row, "job_outcome"), "steps");
    bool none_ran = steps && json_array_size(steps) == 0 && !json_object_get(row, "left_out");
    if (!is_one_of(status, never, COUNT_OF(never)) && !none_ran)
        return -1;
    term_safe(&why, span_str(ctl_text(row, "message")));
    term_say(stderr, "%s: run %s has no output, it was never started: %s%s%s\n", argv[0], id,
             status, why.n ? ": " : "", buf_str(&why));
    buf_free(&why);
    return EXIT_RAN_AND_FAILED;
}

/* A run that has ended lists its steps: is this one of them? -1 to go on. */
static int check_step(char **argv, json_t *row, const char *step)
{
    json_t *steps = json_object_get(json_object_get(row, "job_outcome"), "steps"), *item;
    struct buf names = {0};
    size_t i;
    bool known = !*step || json_array_size(steps) == 0;
    json_array_foreach (steps, i, item) {
        const char *name = ctl_text(item, "name");
        known |= strcmp(name, step) == 0;
        if (ctl_int(item, "tries") <= 1)
            buf_printf(&names, "%s%s", names.n ? ", " : "", name);
    }
    if (!known)
        term_say(stderr, "%s: %s has no step '%s' (steps: %s)\n", argv[0], ctl_text(row, "job"),
                 step, buf_str(&names));
    buf_free(&names);
    return known ? -1 : EXIT_ASKED_WRONGLY;
}

int ctl_logs_look(char **argv, struct longboat *lb, const struct id *run, const char *step,
                  bool follow)
{
    char id[ID_TEXT];
    json_t *found = json_array();
    const struct ctl_where where[] = {{"run", id_format(*run, id), 0, false}};
    struct ctl_query q = {
        .what = "run", .where = where, .n_where = 1, .row = ctl_gather, .self = found};
    int code = ctl_query_over(argv, lb, &q);
    if (code == EXIT_DONE)
        code = judge(argv, lb, json_array_get(found, 0), follow);
    if (code < 0)
        code = check_step(argv, json_array_get(found, 0), step);
    json_decref(found);
    return code;
}
