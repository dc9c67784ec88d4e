/* steps.h - the step machine: which step of an attempt comes next. Pure.
 *
 * How far an attempt is follows from its job, from the tries of its steps in the order in which
 * they were asked for, and from how these ended. Worker and runner each feed what they know, the
 * worker what its spool says, the runner what its keepers say, and come to the same answer, so the
 * runner need not ask the worker:
 *
 *     struct steps s;
 *     steps_begin(&s, &job, &scope);
 *     for (each try, in order)
 *         steps_add(&s, &try);
 *     steps_next(&s, &next);
 *
 * A stop (cancel, or timeout of the call) acts on the last try of the main part alone: the earlier
 * ones have had their effect. */
#ifndef LB_PROTO_STEPS_H
#define LB_PROTO_STEPS_H

#include "proto/messages.h"
#include "proto/outcome.h"

enum {
    /* tries of all steps of one attempt: a goto that loops for ever ends here */
    STEPS_STARTS_MAX = 1000,
    STEPS_WAIT_MAX_MS = 86400000 /* between two tries, whatever interval and backoff say */
};

/* ---- A compiled job, decoded */
struct steps_job {
    struct d_job head; /* points into the bytes, like the steps */
    struct d_step *steps;
    unsigned n;
};
/* `bytes` is lent for the life of *ret. On success *ret is yours: steps_job_free. -EPROTO: it is
 * malformed, two steps have one name, all steps are `always` steps, or an action leads nowhere. */
int steps_job_read(struct span bytes, struct steps_job *ret, struct error *err);
void steps_job_free(struct steps_job *j);
int steps_find(const struct steps_job *j, struct span name); /* index; -1: there is none */
/* True if the job has one step that is tried once: its first try is all that can ever come. */
bool steps_is_single(const struct steps_job *j);

/* ---- One try of one step */
struct steps_try {
    unsigned step; /* index in the job */
    /* 1, 2, ...: counts the starts of this step in this attempt, retries and loops alike */
    uint64_t try_no;
    bool launched, ended;
    /* of its outcome, once it has ended; see steps_take_end */
    bool cancelled, timed_out;
    uint64_t package, code, signal;
    int64_t exit_code;
    int64_t ended_at; /* wall ms */
    /* Set by the machine: what its end led to. handled: it failed, but the job goes on or succeeds
     * because its on_failure says so; such a failure is not one of the run. */
    bool handled;
    enum step_action action;
    unsigned target;
};
/* Copies into *t what the machine needs of an outcome. */
void steps_take_end(struct steps_try *t, const struct d_step_outcome *o);

/* ---- The machine */
struct steps_scope {
    bool rerun; /* an attempt that is lost may be run elsewhere */
    bool stopped;
    bool force; /* no `always` steps */
    enum job_outcome stopped_as;
};

enum { STEPS_NONE = -1 };

enum steps_what {
    STEPS_BUSY, /* the last try has not ended */
    STEPS_RUN,
    STEPS_OVER
};

struct steps_next {
    enum steps_what what;
    unsigned step; /* RUN: start this step, its try `try_no`; BUSY: it runs */
    uint64_t try_no;
    bool always; /* the outcome is decided; what runs now are `always` steps */
    /* RUN: a retry, to be started this long after the end of the last try; 0: at once */
    uint64_t wait_ms;
    int64_t failed_at;        /* wall ms: that end */
    enum job_outcome verdict; /* once decided */
    /* the runner refused the call before anything was launched; else REFUSAL_NONE */
    enum refusal refused;
    int by;           /* which try decided, counted from 0; STEPS_NONE: no try did */
    bool by_stop;     /* the stop decided: its reason is the message */
    const char *text; /* the machine's own message; NULL: that of try or stop */
    bool torn;        /* never set by the machine: more may have happened than it was told */
};

/* The state between two calls; use the functions. */
struct steps {
    const struct steps_job *job;
    struct steps_scope scope;
    struct steps_next next;
    struct steps_try *last;
    bool taken;     /* what the end of `last` leads to has been worked out */
    int at;         /* the next step; STEPS_NONE: none is left in this part of the job */
    unsigned visit; /* tries of it since the job came to it */
    unsigned n;     /* tries in all */
    bool decided;   /* the outcome of the job is decided */
    bool retry;
    bool launched; /* any try so far was launched */
    uint8_t starts[LIMIT_STEPS];
};

void steps_begin(struct steps *s, const struct steps_job *job, const struct steps_scope *scope);
/* The next try; only the last one need not have ended. *t must live until steps_next. */
void steps_add(struct steps *s, struct steps_try *t);
/* From now on the attempt counts as stopped. */
void steps_stop(struct steps *s, enum job_outcome as);
/* What comes now. It may end the main part, so to go on with steps_add work on a copy of *s. */
void steps_next(struct steps *s, struct steps_next *ret);

/* ---- The package layer of an attempt. All zero is the state before the first try. */
struct steps_layer {
    enum package_outcome all;
    bool handled;
};
/* Does this try count? It has ended, no other try of its step followed it, and it is none of an
 * `always` step. */
bool steps_counts(const struct steps_job *j, const struct steps_try *t);
/* Each try, in order. One that does not count changes nothing. */
void steps_layer_add(struct steps_layer *l, const struct steps_job *j, const struct steps_try *t);
/* If all that ran are failures that were handled, the job's verdict says what came of that. */
enum package_outcome steps_layer_end(const struct steps_layer *l, enum job_outcome verdict);

#endif
