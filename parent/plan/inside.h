/* inside.h - internal: the plan as read; each part keeps the YAML node it comes from. */
#ifndef LB_PARENT_PLAN_INSIDE_H
#define LB_PARENT_PLAN_INSIDE_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/hashtable.h"
#include "common/mem.h"
#include "common/suggest.h"
#include "parent/plan/plan.h"

#define NOBODY UINT32_MAX /* no such task */

enum template_kind { TEMPLATE_NONE, TEMPLATE_NAME, TEMPLATE_AS_OF, TEMPLATE_OUTPUT, TEMPLATE_BAD };
struct template
{
    enum template_kind kind;
    /* NAME: the name; OUTPUT: the task and its output. Point into the text */
    struct span name, output;
};
/* Classifies a text. BAD: it contains {{ but is not a whole template. */
struct template template_parse(struct span text);

struct plan_variable {
    const char *name; /* texts are lent by the tree */
    const struct yaml_node *node;
    enum parameter_type type;
    bool broken;      /* a problem with its declaration has been reported */
    bool as_of;       /* the default is {{as_of}} */
    struct buf value; /* the default, then what --set says; empty: none */
    const char *set;  /* the value given with --set; NULL: none */
};

struct plan_condition {
    const struct yaml_node *node; /* of `task` */
    const char *name;
    uint32_t task;
    uint8_t is, layer;
};

struct plan_list {
    const char *name;
    const struct yaml_node *node;
    uint32_t variable; /* NOBODY: the items are in `values` */
    struct buf values;
    uint32_t *at;
    uint32_t n;
};

struct plan_parameter {
    const char *name;
    const struct yaml_node *node;
    struct template from;
    struct buf value;              /* TEMPLATE_NONE */
    uint32_t list, variable, task; /* the one the template names; the others are NOBODY */
};

struct plan_task {
    const char *name;
    const struct yaml_node *node, *key;
    char *job;
    const char *address;
    bool each, join_or, may_fail;
    enum on_lost on_lost;
    int64_t priority, lost_after_ms, start_within_ms, timeout_ms;
    struct plan_condition *after;
    uint32_t n_after;
    struct plan_list *lists;
    uint32_t n_lists;
    struct plan_parameter *parameters;
    uint32_t n_parameters;
    uint32_t count; /* set by values.c */
    UT_hash_handle hh;
};

struct plan_draft {
    struct yaml *tree;
    struct problems *problems;
    const char *name, *timezone;
    struct plan_variable *variables;
    uint32_t n_variables;
    struct plan_task *tasks;
    uint32_t n;
    struct plan_task *by_name;
    char *as_of;
};

/* A problem at the node's place; beyond PLAN_PROBLEMS_MAX they are dropped. */
void plan_complain(struct plan_draft *p, const struct yaml_node *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Reports the error of a reader that failed, and returns whether it succeeded. */
bool plan_fine(struct plan_draft *p, int rc, const struct error *err);

/* ---- read.c, readtask.c: the tree as a plan. Task names in conditions are looked up once all
   tasks are read. */
void plan_read(struct plan_draft *p);
void plan_read_task(struct plan_draft *p, struct plan_task *t);
uint32_t plan_find_task(const struct plan_draft *p, struct span name); /* NOBODY: none */
uint32_t plan_find_variable(const struct plan_draft *p, struct span name);
bool plan_check_keys(struct plan_draft *p, const struct yaml_node *map,
                     const char *const allowed[]);
void plan_free(struct plan_draft *p);

/* ---- validate.c: what is wrong between tasks */
void plan_validate(struct plan_draft *p);

/* ---- values.c: --set, defaults, as_of, sizes of for_each */
void plan_take_values(struct plan_draft *p, const struct plan_order *order);

/* ---- zone.c */
bool zone_exists(const char *zone);
/* RFC 3339 with milliseconds and the zone's offset at that moment; yours to free. */
char *zone_format(const char *zone, int64_t wall_ms);

/* ---- compile.c: only for plans without problems */
void plan_compile(const struct plan_draft *p, struct plan_made *ret);

#endif
