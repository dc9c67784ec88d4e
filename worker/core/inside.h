/* inside.h - what the files of this room share: attempts, their steps, queues. Nobody else includes
   it. */
#ifndef LB_WORKER_CORE_INSIDE_H
#define LB_WORKER_CORE_INSIDE_H

#include <utlist.h>

#include "common/hashtable.h"
#include "common/heap.h"
#include "common/mem.h"
#include "worker/core/core.h"

enum {
    /* tries of all steps of one attempt: a goto that loops for ever ends here */
    STEP_STARTS_MAX = 1000,
    STARTED_DELAY_MS = 20, /* STARTED waits this long: a job that is over by then needs none */
    PROGRESS_MS = 200,     /* between two PROGRESS of one attempt; the newest wins */
    /* RESULTs on their way and not RECORDED; more follow as RECORDED come */
    OUTBOX_BYTES = 1 << 20,
    FINISHED_BYTES = 64 << 20, /* outcomes not RECORDED; beyond it nothing new is taken */
    RETRY_WAIT_MAX = 86400000, /* between two tries, whatever interval and backoff say */
    STOP_GRACE_MS = KILL_GRACE_MS
};

/* ---- Jobs, shared by the attempts that run them */
struct wjob {
    struct hash hash;
    unsigned refs;
    struct buf bytes; /* d_job */
    struct d_job head;
    struct d_step *steps;
    unsigned n;
    UT_hash_handle hh;
};

/* ---- One start of one step */
struct wtry {
    unsigned step; /* index in the job */
    /* 1, 2, ...: how often this step was started in this attempt, retries and loops alike */
    uint64_t try_no;
    int64_t asked_at, launched_at; /* wall */
    bool launched, ended;
    struct buf outcome; /* d_step_outcome once ended; `o` points into it */
    struct d_step_outcome o;
    /* not durable */
    bool kept, halted;
    bool handled; /* its failure led to a goto: set by steps_fold, as are the two below */
    enum step_action action;
    unsigned target;
};

enum attempt_state {
    ATTEMPT_SEEKING, /* EXECUTE came, its job is being looked for; not durable */
    ATTEMPT_LIVE,    /* TAKEN */
    ATTEMPT_FINISHED /* has its outcome; waits for RECORDED */
};

struct attempt {
    struct wrun *run;
    uint64_t attempt;
    enum attempt_state state;
    int64_t taken_at;   /* wall */
    struct buf execute; /* m_execute; x, call point into it */
    struct m_execute x;
    struct d_call call;
    struct wjob *job;
    struct wtry *tries; /* in the order of their STEPPED */
    unsigned n_tries, cap_tries;
    bool stopped, force;
    enum job_outcome stopped_as;
    struct buf stopped_why;
    struct buf outcome; /* d_outcome once finished */

    /* ---- not durable */
    enum { NOT_QUEUED, QUEUED_FRESH, QUEUED_GOING } queued;
    int64_t retry_due; /* boot; 0: no try is waited for */
    int64_t deadline;  /* boot; 0: none */
    bool say_started, say_progress;
    uint64_t percent;
    struct buf text; /* of the newest progress */
    int64_t said_at; /* boot: the last PROGRESS */
    bool sent;       /* RESULT went out in this session */
    struct heap_node retry, timer, say;
    struct attempt *prev, *next;     /* of the queue it is in, or of the outbox */
    struct attempt *a_prev, *a_next; /* of its run */
};

/* All attempts of one run that are here; nearly always one. */
struct wrun {
    struct id id;
    struct attempt *attempts;
    UT_hash_handle hh;
};

struct wcore {
    struct wcore_config config;
    struct wrun *runs;
    struct wjob *jobs;
    unsigned n_attempts, n_unfinished;
    unsigned open; /* steps asked for and not ended */
    size_t finished_bytes;
    struct attempt *fresh, *going; /* wait for a slot: not begun; begun, next step due */
    struct attempt *outbox;        /* finished, oldest first */
    /* the first of it whose RESULT has not left in this session; so have none after it */
    struct attempt *unsent;
    size_t in_flight; /* bytes of outcomes that have left and are not RECORDED */
    struct heap retries, timers, says;
    uint64_t tie;
    uint64_t lost_after_ms; /* the cluster's, as the last WELCOME said */
    bool begun, up, runner;
    /* of the step that is going on */
    const struct wcore_event *ev;
    struct wcore_out *out;
    struct buf scratch;
};

/* ---- core.c */
void emit_effect(struct wcore *c, enum wcore_effect_kind kind, const struct attempt *a,
                 struct span body);
/* Encodes and emits: EMIT(c, SEND, a, m_returned, .run = ..., ...) */
#define EMIT(c, what, a, name, ...) \
    do { \
        struct name body_ = {__VA_ARGS__}; \
        buf_clear(&(c)->scratch); \
        name##_encode(&body_, &(c)->scratch); \
        emit_effect((c), WCORE_FX_##what, (a), buf_span(&(c)->scratch)); \
    } while (0)
/* Writes the entry into the spool and applies it: the one way in which a step changes durable
   state. */
#define SPOOL(c, a, name, ...) \
    do { \
        struct name body_ = {__VA_ARGS__}; \
        spool((c), (a), &name##_schema, &body_); \
    } while (0)
void spool(struct wcore *c, const struct attempt *a, const struct wire_schema *schema,
           const void *entry);

/* ---- attempts.c: the durable state. attempts_apply is the only function that changes it. */
struct attempt *attempt_find(const struct wcore *c, struct id run, uint64_t attempt);
struct wrun *wrun_find(const struct wcore *c, struct id run);
struct attempt *attempt_add(struct wcore *c, struct id run, uint64_t attempt);
void attempt_drop(struct wcore *c, struct attempt *a);
/* Decodes an m_execute and the call in it into *a; the bytes are copied. REFUSAL_NONE or why
   not. */
enum refusal attempt_fill(struct attempt *a, struct span execute, struct error *err);
struct wtry *attempt_try(struct attempt *a, struct span step, uint64_t try_no);
struct wtry *attempt_open_try(struct attempt *a); /* asked for, not ended; NULL: none */
bool attempt_launched(const struct attempt *a);   /* has any step of it been launched? */
/* Is this step to end because the attempt is stopped? Those that always run go on, unless it is by
   force. */
bool attempt_stops(const struct attempt *a, const struct wtry *t);
int attempts_apply(struct wcore *c, struct span entry, struct error *err);
void attempts_free(struct wcore *c);

/* ---- steps.c: the step machine, a fold over the tries of an attempt */
enum machine_next { MACHINE_BUSY, MACHINE_RUN, MACHINE_OVER };
struct machine {
    enum machine_next next;
    unsigned step; /* RUN: start this step, its try `try_no` */
    uint64_t try_no;
    bool always; /* the outcome is decided; what runs now are `always` steps */
    /* RUN: this is a try after a failure: so long after the last one's end */
    uint64_t wait_ms;
    int64_t failed_at;        /* wall */
    enum job_outcome verdict; /* once decided */
    /* not NONE: the runner refused the call before anything was launched */
    enum refusal refused;
    struct span message; /* of the step that decided */
    const char *text;    /* the machine's own, when no step did */
};
void steps_fold(struct attempt *a, struct machine *ret);
/* Decodes and checks a compiled job. */
int wjob_read(struct wjob *j, struct error *err);
struct wjob *wjob_hold(struct wcore *c, const struct hash *hash, struct span bytes,
                       struct error *err);
void wjob_drop(struct wcore *c, struct wjob **j);
int wjob_step(const struct wjob *j, struct span name); /* index, -1: none */

/* ---- slots.c */
void slots_go(struct wcore *c, struct attempt *a);    /* fold, then queue, wait, or finish */
void slots_fill(struct wcore *c);                     /* start what there is room for */
void slots_leave(struct wcore *c, struct attempt *a); /* out of queue and timers */
void slots_arm(struct wcore *c, struct heap *h, struct heap_node *node, int64_t at);
void slots_stop(struct wcore *c, struct attempt *a, enum job_outcome as, bool force,
                struct span why);
void slots_runner_up(struct wcore *c);
void slots_kept(struct wcore *c, const struct s_kept *k);
void slots_kept_end(struct wcore *c);

/* ---- outcome.c */
void outcome_of_attempt(struct wcore *c, struct attempt *a, const struct machine *m,
                        struct buf *out);
void outcome_of_refusal(struct wcore *c, const struct attempt *a, enum refusal code,
                        const char *text, struct buf *out);

/* ---- outbox.c */
/* FINISHED, and its RESULT */
void outbox_finish(struct wcore *c, struct attempt *a, struct span outcome);
void outbox_refuse(struct wcore *c, struct attempt *a, enum refusal code, const char *text);
void outbox_recorded(struct wcore *c, struct attempt *a);
void outbox_session(struct wcore *c);
/* it was asked for although it left: the RESULT once more */
void outbox_again(struct wcore *c, struct attempt *a);
void outbox_returned(struct wcore *c, struct id run, uint64_t attempt, const char *reason);

#endif
