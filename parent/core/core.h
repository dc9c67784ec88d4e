/* core.h - the decisions of a parent: which tasks start, which are skipped and why, and the
 * verdict. Pure: (state, event) -> (state, effects); no clock, socket, file or randomness.
 *
 * A task starts when its conditions hold (graph.h defines them): all of them, or one with join_or.
 * The core then asks what its address offers (RESOLVE), which fixes the job's version for all of
 * its instances, and, with `each`, which servers there are. Instances are called by priority, then
 * round robin among the tasks that are ready, at most `in_flight` at a time. A task whose
 * conditions can no longer hold is skipped, with a reason and its root cause, and so are the tasks
 * that wait for it. Parameters that take another task's output are bound when the call is made.
 *
 * Nothing here is durable, and nothing needs to be: every call has the key PARENT/task/index/1
 * (with `each` PARENT/task/SERVER/1, since servers come and go), and a key makes one run. A driver
 * that restarts with the same graph and parent makes the same calls and finds the existing runs.
 *
 * Events may arrive twice, and states may be missing; late events are ignored. An event costs O(1),
 * except for the tasks that it starts or skips: each costs O(its conditions) once.
 *
 * Verdict: cancelled, if requested before the end; failed, if an instance of a task without
 * `may_fail` ended with a status other than succeeded; otherwise succeeded. Skipped tasks do not
 * count. */
#ifndef LB_PARENT_CORE_CORE_H
#define LB_PARENT_CORE_CORE_H

#include "parent/core/graph.h"
#include "proto/state.h"

enum {
    /* calls at a time: enough for 250 servers of four slots; more would only wait at the broker,
       ahead of other parents' calls, and take its memory */
    PCORE_IN_FLIGHT = 1000,
    /* bytes of outputs kept for the report if no parameter needs the child's outputs */
    PCORE_OUTPUTS_KEPT = 4096,
    PCORE_ITEM_MAX = LIMIT_SHORT /* bytes of the items in a child's name; a call holds as many */
};

struct pcore;

struct pcore_config {
    struct id parent;
    const struct graph *graph; /* lent for the core's lifetime */
    unsigned in_flight;        /* 0: PCORE_IN_FLIGHT */
};

enum pcore_event_kind {
    PCORE_BEGIN, /* once, first */
    /* task: the answer to RESOLVE: `found`, job_hash and, for `each`, servers; or not `found`, and
       `text` may say why */
    PCORE_RESOLVED,
    /* task, index: accepted or changed: run, attempt, state, server, percent, text */
    PCORE_RUN,
    /* task, index, run, attempt, server, outcome; the server's name comes from the broker, since
       the one in the outcome is only what the worker says */
    PCORE_ENDED,
    PCORE_REFUSED, /* task, index: the broker did not accept the call: code, text */
    /* text: the reason. Nothing new starts, running children are cancelled, and the parent ends
       when they have ended */
    PCORE_CANCEL
};

struct pcore_event {
    enum pcore_event_kind kind;
    int64_t now; /* wall ms, only for the report */
    uint32_t task, index;
    struct id run;
    uint64_t attempt;
    enum run_state state;
    unsigned percent;
    const char *server, *text; /* NULL: none */
    const struct d_outcome *outcome;
    enum refusal code;
    bool found;
    struct hash job_hash;
    const char *const *servers;
    uint32_t n_servers;
};

enum pcore_effect_kind {
    PCORE_FX_RESOLVE, /* task: what does its address offer? Answer: PCORE_RESOLVED */
    /* task, index, key, address, parameters, job_hash (zero: whatever the server has) */
    PCORE_FX_CALL,
    PCORE_FX_CANCEL,  /* task, index, run */
    PCORE_FX_CHILD,   /* task, index, news: it has changed; for displays */
    PCORE_FX_SKIPPED, /* task: see pcore_task */
    PCORE_FX_END      /* verdict; the last effect */
};

enum child_news {
    NEWS_PROGRESS, /* only percent or text changed */
    NEWS_STATE,    /* a new state: parked, out of contact, ... */
    NEWS_STARTED,  /* an attempt runs; once for each attempt */
    NEWS_ENDED     /* once */
};

struct pcore_effect {
    enum pcore_effect_kind kind;
    enum child_news news;
    uint32_t task, index;
    struct id run;
    struct span key, address;
    struct wire_list parameters;
    struct hash job_hash;
    enum status verdict;
};

/* What one step yields; spans are valid until the next step. Owned by the caller, reused from step
   to step. */
struct pcore_out {
    struct pcore_effect *effects;
    uint32_t n_effects;
    /* internal to the core */
    struct buf arena;
    uint32_t cap_effects;
};
void pcore_out_free(struct pcore_out *out);

struct pcore *pcore_new(const struct pcore_config *config);
void pcore_free(struct pcore **c);
/* Takes one event; clears `out` first. */
void pcore_step(struct pcore *c, const struct pcore_event *ev, struct pcore_out *out);

/* ---- Views. Everything they return is lent until the next step. */
enum task_state { TASK_WAITING, TASK_ACTIVE, TASK_ENDED, TASK_SKIPPED };
struct pcore_task {
    enum task_state state;
    uint32_t count; /* instances; 0 with `each` until its servers are known */
    /* of these: asked of the broker; ended; succeeded */
    uint32_t called, ended, succeeded;
    /* in a cancelled parent: instances no longer in `count` */
    uint32_t not_started;
    /* skipped: why, "waits for success of 'bad', which failed"; else "" */
    const char *reason;
    /* skipped: the root cause, however many tasks lie in between: "load[orders] failed"; the same
       pointer for all tasks with the same cause. Else "" */
    const char *cause;
};
void pcore_task(const struct pcore *c, uint32_t task, struct pcore_task *ret);

enum child_state {
    CHILD_UNCALLED, /* not asked for (yet) */
    CHILD_ASKED,    /* sent; the broker has not accepted it yet */
    CHILD_LIVE,     /* accepted: `run_state` says more */
    CHILD_ENDED
};
struct pcore_child {
    uint32_t task, index;
    enum child_state state;
    enum run_state run_state;
    struct id run; /* zero until accepted */
    uint64_t attempt;
    unsigned percent;
    const char *server; /* "" if none yet; with `each`, known from the start */
    const char *text;   /* live: progress; ended: the message */
    bool cancel_asked;
    enum delivery delivery; /* valid once ended, down to `outputs` */
    enum job_outcome job;
    enum package_outcome package;
    enum status status;
    struct wire_list outputs;                /* those that are kept */
    int64_t called_at, started_at, ended_at; /* wall ms; 0: not yet */
};
/* An outcome's message for people: that of the last step that did not succeed (of the last step, if
 * all did), else the run's own. */
struct span child_message(const struct d_outcome *o);
void pcore_child(const struct pcore *c, uint32_t task, uint32_t index, struct pcore_child *ret);
/* Appends the part of a child's name that goes in brackets: the values of its for_each items,
 * joined by commas; with `each` its server; nothing for a task with one instance. Cut to
 * PCORE_ITEM_MAX bytes, at a character. Not made safe for a terminal. */
void pcore_child_item(const struct pcore *c, uint32_t task, uint32_t index, struct buf *out);
/* Appends the child's name: "load[orders]", "load". */
void pcore_child_name(const struct pcore *c, uint32_t task, uint32_t index, struct buf *out);
/* Steps through the children that are asked or live, in call order; *cursor is NULL at first.
   False: no more. */
bool pcore_next_live(const struct pcore *c, const void **cursor, struct pcore_child *ret);

struct pcore_totals {
    uint32_t tasks, tasks_skipped;
    uint64_t children; /* known so far; none of skipped tasks */
    /* of those not ended: not accepted; waiting or on their way; parked; running, cancelling, out
       of contact, held */
    uint64_t asked, waiting, parked, running;
    uint64_t ended, succeeded, not_started; /* not_started: in a cancelled parent */
    bool cancelled, over;
    enum status verdict; /* once over */
    int64_t begun_at, ended_at;
};
void pcore_totals(const struct pcore *c, struct pcore_totals *ret);
/* Calls that have not ended, for "cancelling N children". */
uint32_t pcore_in_flight(const struct pcore *c);
struct id pcore_parent(const struct pcore *c);
const struct graph *pcore_graph(const struct pcore *c);

#endif
