/* ctl_children.c - a parent's children, with their names. */
#include "admin/ctl.h"

/* The history lacks the items' names; the report has them. */
static void name_children(json_t *children, json_t *report)
{
    json_t *named = json_object(), *child, *name;
    size_t i;
    json_array_foreach (json_object_get(report, "children"), i, child)
        if (*ctl_text(child, "run"))
            json_object_set(named, ctl_text(child, "run"), json_object_get(child, "child"));
    json_array_foreach (children, i, child)
        if ((name = json_object_get(named, ctl_text(child, "run"))) != NULL)
            json_object_set(child, "child", name);
    json_decref(named);
}

int ctl_children(char **argv, struct longboat *lb, json_t *parent, int64_t most, json_t *children,
                 bool *ret_more)
{
    static const char *const from[] = {"runs", "history"};
    const struct ctl_where where[] = {{"parent", ctl_text(parent, "run"), 0, false}};
    int code = EXIT_DONE;
    *ret_more = false;
    for (size_t i = 0; code == EXIT_DONE && i < COUNT_OF(from); i++) {
        struct ctl_query q = {.what = from[i],
                              .where = where,
                              .n_where = 1,
                              .limit = most,
                              .row = ctl_gather,
                              .self = children};
        code = ctl_query_over(argv, lb, &q);
        *ret_more |= q.more;
    }
    name_children(children, json_object_get(parent, "report"));
    return code;
}
