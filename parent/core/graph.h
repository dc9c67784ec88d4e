/* graph.h - what a parent does, in the form that the core works on: a plan with all names resolved
 * and all values filled in.
 *
 * parent/plan makes it from YAML and values; the core reads it and never changes it. Tasks name
 * each other by number. A task has `count` instances, numbered from 0: one without for_each, one
 * for each item with it; with `each` there is one for each server of its address, which is known
 * only once the core has asked. */
#ifndef LB_PARENT_CORE_GRAPH_H
#define LB_PARENT_CORE_GRAPH_H

#include "proto/messages.h"
#include "proto/outcome.h"

/* The kinds and layers of a condition. A condition on a task applies to all of its instances:
 *   success     every instance has succeeded in the layer; impossible once one has not
 *   failure     at least one instance has ended without success in the layer; holds as soon as one
 *               has, not only when all have ended
 *   completion  every instance has ended (layer delivery: it is known of each whether it was
 *               called)
 *   called      every instance was called: a worker has started it; the same as success in the
 *               layer delivery
 * Success in a layer: delivery `called`; job `succeeded`; package `succeeded`, or a job that
 * succeeded without running a package. `may_fail` does not matter here: it affects the verdict
 * only. A skipped task makes every condition on it impossible. A condition that holds or is
 * impossible never changes again. */
#define CONDITION_KINDS(X) \
    X(SUCCESS, "success") X(FAILURE, "failure") X(COMPLETION, "completion") X(CALLED, "called")
#define CONDITION_LAYERS(X) X(PACKAGE, "package") X(JOB, "job") X(DELIVERY, "delivery")
#define X(n, t)             IS_##n,
enum condition_kind { CONDITION_KINDS(X) IS_COUNT };
#undef X
#define X(n, t) LAYER_##n,
enum condition_layer { CONDITION_LAYERS(X) LAYER_COUNT };
#undef X
const char *condition_kind_text(unsigned kind);
const char *condition_layer_text(unsigned layer);
/* NULL-terminated, for suggest() and for reading plans */
extern const char *const condition_kind_names[];
extern const char *const condition_layer_names[];

struct graph_condition {
    uint32_t task;
    uint8_t is, layer;
};

/* A parameter of a task's calls. */
enum graph_source {
    FROM_VALUE, /* `value`, for every instance */
    FROM_ITEM,  /* the instance's item of list `list` */
    FROM_OUTPUT /* output `output` of task `task`, which has one instance */
};
struct graph_binding {
    char *name;
    enum graph_source from;
    struct buf value; /* encoded */
    uint32_t list, task;
    char *output;
};

/* One name of a for_each and its values: item i is bytes at[i] to at[i + 1]. */
struct graph_list {
    char *name;
    struct buf values; /* encoded, one after another */
    uint32_t *at;      /* count + 1 */
};

struct graph_task {
    char *name;
    char *job;     /* also "package:NAME" */
    char *address; /* a server's or a pool's name, or "all" */
    bool each, join_or, may_fail;
    uint32_t count; /* with `each`: 0 */
    enum on_lost on_lost;
    unsigned priority;
    uint64_t lost_after_ms, start_within_ms, timeout_ms; /* 0: the cluster's */
    struct graph_condition *after;
    uint32_t n_after;
    struct graph_binding *bindings; /* sorted by name */
    uint32_t n_bindings;
    struct graph_list *lists; /* of `count` items each */
    uint32_t n_lists;
};

/* Owns all of it; all zero is empty. */
struct graph {
    char *name;  /* of the parent */
    char *as_of; /* RFC 3339, the same for all tasks */
    struct graph_task *tasks;
    uint32_t n;
};
void graph_free(struct graph *g);

/* Item `index` of a list. */
struct span graph_item(const struct graph_list *l, uint32_t index);
/* Appends what distinguishes an instance from its siblings: "table=orders"; nothing without
   for_each. */
void graph_label(const struct graph_task *t, uint32_t index, struct buf *out);
/* Appends the values of the instance's items, joined by commas: "orders"; nothing without
   for_each. */
void graph_item_text(const struct graph_task *t, uint32_t index, struct buf *out);

#endif
