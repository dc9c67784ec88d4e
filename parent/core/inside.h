/* inside.h - internal: what the files of the parent's core share. */
#ifndef LB_PARENT_CORE_INSIDE_H
#define LB_PARENT_CORE_INSIDE_H

#include "common/hashtable.h"
#include "common/heap.h"
#include "common/mem.h"
#include "parent/core/core.h"

enum {
    /* called is success in the layer delivery, so it needs no slot of its own */
    KINDS = IS_CALLED,
    SLOTS = KINDS * LAYER_COUNT, /* conditions that others can have on one task */
    CHILD_TEXT_KEPT = 1000,      /* bytes kept of a child's message; the broker has it all */
    REASONS_NAMED = 3            /* conditions that a skip's reason names; the rest are counted */
};

enum constraint_verdict { VERDICT_OPEN, VERDICT_HOLDS, VERDICT_IMPOSSIBLE };

struct name {
    UT_hash_handle hh;
    char s[];
};

struct child_record {
    struct child_record *prev, *next; /* asked or live, in the order of the calls */
    struct id run;
    int64_t called_at, started_at, ended_at;
    uint32_t task, index;
    uint32_t attempt, attempt_told; /* told: reported as started */
    uint8_t state, run_state, percent;
    uint8_t delivery, job, package, status;
    bool called, cancel_asked;
    const char *server; /* text of a struct name; NULL: none */
    char *text;
    uint8_t *outputs; /* a map's items */
    uint32_t n_outputs, outputs_size;
};

struct task {
    struct child_record *children; /* NULL until it starts */
    uint32_t count, called, ended, succeeded, not_started;
    uint32_t ok[LAYER_COUNT], bad[LAYER_COUNT]; /* instances, by layer */
    uint32_t first_bad[LAYER_COUNT];            /* index, if bad is not 0 */
    uint32_t watchers[SLOTS];                   /* first of each list in core->watchers; 0: none */
    uint8_t slot[SLOTS];                        /* enum verdict */
    uint32_t holds, impossible;                 /* of its own conditions */
    struct hash job_hash;
    struct heap_node ready;
    char *reason;
    const char *cause; /* of its skip; text of a struct name */
    uint8_t state;
    bool known; /* is `count` known? */
    bool resolved, resolving;
    bool outputs_wanted;  /* some parameter takes an output of it */
    bool dirty, starting; /* in core->dirty, in core->starts */
};

struct constraint_watcher {
    uint32_t waiter, next;
};

struct pcore {
    struct id parent;
    const struct graph *graph;
    uint32_t max_in_flight;
    struct task *tasks;
    struct constraint_watcher *watchers; /* from 1 */
    struct name *names;
    struct heap ready; /* tasks that have calls to make */
    uint64_t turn;
    struct child_record *first, *last; /* asked or live */
    uint32_t in_flight, resolving;
    uint32_t *dirty;  /* tasks whose slots must be judged again */
    uint32_t *starts; /* tasks that may start once everything known is judged */
    uint32_t n_dirty, n_starts;
    uint32_t n_waiting; /* tasks */
    struct pcore_totals totals;
    bool begun;
    char *cancel_reason;
    /* of this step */
    struct pcore_out *out;
    int64_t now;
};

/* ---- core.c */
struct pcore_effect *pcore_fx(struct pcore *c, enum pcore_effect_kind kind, uint32_t task,
                              uint32_t index);
const char *pcore_name_keep(struct pcore *c, const char *name);

/* ---- child.c */
void child_call(struct pcore *c, struct child_record *k); /* marks it as asked */
void child_run(struct pcore *c, struct child_record *k, const struct pcore_event *ev);
void child_ended(struct pcore *c, struct child_record *k, const struct pcore_event *ev);
/* Ends a child that was not called, because the broker or the core refused. */
void child_refused(struct pcore *c, struct child_record *k, enum delivery delivery,
                   const char *text);
void child_cancel(struct pcore *c, struct child_record *k);
void child_free(struct child_record *k);

/* ---- constraint.c */
void constraint_watch(struct pcore *c); /* once, at the start: sets who waits for whom */
void constraint_touch(struct pcore *c, uint32_t task); /* call it after a task's counts change */
/* judges all touched tasks, starts and skips, until nothing changes */
void constraint_settle(struct pcore *c);
/* can a waiting task start (constraint_settle does it), or never? */
void constraint_judge(struct pcore *c, uint32_t task);

/* ---- schedule.c */
void task_start(struct pcore *c, uint32_t task);
/* Takes the reason; keeps a copy of the cause. */
void task_skip(struct pcore *c, uint32_t task, char *reason, const char *cause);
void task_resolved(struct pcore *c, uint32_t task, const struct pcore_event *ev);
void schedule_pump(struct pcore *c); /* makes calls while there is room */
void schedule_cancel(struct pcore *c, const char *reason);

/* ---- bind.c */
/* Why the task can never get its parameters; NULL: it can. *ret_cause: the cause of the skip, if
   what it needs was skipped; else NULL. */
char *bind_missing(const struct pcore *c, uint32_t task, const char **ret_cause);
/* Appends the parameters' items to the arena. -EMSGSIZE: they are too large. */
int bind_parameters(const struct pcore *c, uint32_t task, uint32_t index, struct buf *arena,
                    uint32_t *ret_count);

#endif
