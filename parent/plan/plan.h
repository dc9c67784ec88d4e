/* plan.h - a parent's plan: from YAML and values to the graph that the core works on.
 *
 *     parent: nightly                   a name
 *     timezone: Europe/Berlin           of {{as_of}}; default UTC
 *     variables:
 *       day:                            types as for parameters; without a default it is required
 *         {type: date, default: "{{as_of}}"}
 *     tasks:
 *       extract:
 *         job: nightly-extract          or package: NAME
 *         pool: etl                     or server: NAME
 *         each: true                    once on every server of the pool
 *         for_each:                     one call for each item; several names: lists of equal
 *           {table: [orders, lines]}    length, taken together; or one "{{variable}}" of type json
 *         parameters: {table: "{{table}}", day: "{{day}}"}
 *         after: [{task: other, is: success, layer: package}]     see parent/core/graph.h
 *         join: and                     or: one condition is enough
 *         may_fail, on_lost, priority, start_within, timeout, lost_after
 *
 * A template is always the whole value of a parameter (or of a list of for_each): {{variable}},
 * {{name of for_each}}, {{as_of}}, {{task.NAME.outputs.NAME}}. The last one is allowed only for a
 * task that runs once and is in `after`, directly or indirectly.
 *
 * All problems are found at once; each text in `problems` starts with its "file:line:column: ", or
 * with the --set that it concerns. */
#ifndef LB_PARENT_PLAN_PLAN_H
#define LB_PARENT_PLAN_PLAN_H

#include "package/manifest.h"
#include "parent/core/graph.h"

enum {
    PLAN_PRIORITY = 4, /* the default, as for other calls */
    /* more are never read, and a generated plan can have a hundred thousand */
    PLAN_PROBLEMS_MAX = 50
};

struct plan_order {
    const char *const *sets; /* "name=value", as given to --set */
    size_t n_sets;
    int64_t now; /* wall ms: the as_of */
};

/* Owns all of it; all zero is empty. */
struct plan_made {
    struct graph graph;
    struct buf values; /* items of the map of variables */
    uint32_t n_values;
    uint32_t children; /* instances of all tasks; one with `each` counts as one */
};
void plan_made_free(struct plan_made *m);

/* `name` is the path that messages show. -EINVAL: `problems` has at least one error, *ret is
 * untouched. Reads the system's zone files and sets TZ for a moment: not thread-safe. */
int plan_make(const char *name, struct span text, const struct plan_order *order,
              struct plan_made *ret, struct problems *problems);

#endif
