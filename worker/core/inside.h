/* inside.h - what the files of this room share: attempts, their steps, queues. No other room
 * includes it. */
#ifndef LB_WORKER_CORE_INSIDE_H
#define LB_WORKER_CORE_INSIDE_H

#include <utlist.h>

#include "common/hashtable.h"
#include "common/heap.h"
#include "common/mem.h"
#include "proto/steps.h"
#include "worker/core/core.h"

enum {
    STARTED_DELAY_MS =
        20,            /* STARTED is sent after this delay; a job that is over by then needs none */
    PROGRESS_MS = 200, /* between two PROGRESS of one attempt; the newest wins */
    WAIT_SAID_MS = 500, /* the broker is told of waits for the next try from this length on */
    /* RESULTs sent and not yet RECORDED; more follow as RECORDEDs arrive */
    OUTBOX_BYTES = 1 << 20,
    FINISHED_BYTES = 64 << 20, /* outcomes not RECORDED; beyond this nothing new is taken */
    STOP_GRACE_MS = KILL_GRACE_MS
};

/* ---- Jobs, shared by the attempts that run them */
struct wjob {
    struct hash hash;
    unsigned refs;
    struct buf bytes; /* d_job */
    struct steps_job def;
    UT_hash_handle hh;
};

/* ---- One try of one step */
struct wtry {
    struct steps_try t;            /* for the step machine */
    int64_t asked_at, launched_at; /* wall */
    struct buf outcome;            /* d_step_outcome once ended; `o` points into it */
    struct d_step_outcome o;
    struct buf execution; /* d_execution; empty: there is none */
    bool kept;            /* not durable */
    bool doubtful; /* it may have begun or ended though the spool does not say so; not durable */
};

enum attempt_state {
    ATTEMPT_SEEKING, /* EXECUTE has come, its job is being sought; not durable */
    ATTEMPT_LIVE,    /* TAKEN */
    ATTEMPT_FINISHED /* has its outcome; waits for RECORDED */
};

struct wattempt {
    struct wrun *run;
    uint64_t attempt;
    enum attempt_state state;
    int64_t taken_at;   /* wall */
    struct buf execute; /* m_execute; x, call point into it */
    struct m_execute x;
    struct d_call call;
    struct hash call_hash; /* kept when execute is dropped; zero: not known */
    struct wjob *job;
    struct wtry *tries; /* in the order of their STEPPED */
    unsigned n_tries, cap_tries;
    bool stopped, force;
    bool patched; /* an entry of ours is lost: a keeper's shows a try that we have not asked for */
    enum job_outcome stopped_as;
    struct buf stopped_why;
    struct buf outcome;    /* d_outcome once finished */
    struct buf executions; /* d_executions, likewise; empty: no try was run */

    /* ---- not durable */
    enum { NOT_QUEUED, QUEUED_FRESH, QUEUED_GOING } queued;
    int64_t retry_due; /* boot ms; 0: no retry is due */
    int64_t deadline;  /* boot; 0: none */
    bool say_started, say_progress;
    bool waits; /* for its next try, for so long that the broker may use its slot */
    uint64_t percent;
    struct buf text; /* of the newest progress */
    int64_t said_at; /* boot: the last PROGRESS */
    bool sent;       /* its RESULT has left in this session */
    struct heap_node retry, timer, say;
    struct wattempt *prev, *next;     /* of its queue, or of the outbox */
    struct wattempt *a_prev, *a_next; /* of its run */
};

/* All attempts of one run that are here; nearly always one. */
struct wrun {
    struct id id;
    struct wattempt *attempts;
    UT_hash_handle hh;
};

struct wstranger {
    struct id run;
    uint64_t attempt, try_no;
};

struct wcore {
    struct wcore_config config;
    struct wrun *runs;
    struct wjob *jobs;
    unsigned n_attempts, n_unfinished;
    unsigned open;    /* steps asked for and not ended */
    unsigned n_waits; /* attempts with `waits` */
    size_t finished_bytes;
    struct wattempt *fresh, *going; /* wait for a slot: not started; between two steps */
    struct wattempt *outbox;        /* finished, oldest first */
    /* the first in the outbox whose RESULT has not left in this session; nor have those after it */
    struct wattempt *unsent;
    size_t in_flight; /* bytes of RESULTs that have left and are not RECORDED */
    struct heap retries, timers, says;
    uint64_t tie;
    uint64_t lost_after_ms; /* the cluster's, as the last WELCOME said */
    bool begun, up, runner;
    struct wstranger *strangers; /* steps that keepers hold and we do not know */
    unsigned n_strangers;
    /* only during wcore_step */
    const struct wcore_event *ev;
    struct wcore_out *out;
    struct buf scratch;
};

/* ---- core.c */
void wcore_emit(struct wcore *c, enum wcore_effect_kind kind, const struct wattempt *a,
                struct span body);
/* Encodes and emits: EMIT(c, SEND, a, m_returned, .run = ..., ...) */
#define EMIT(c, what, a, name, ...) \
    do { \
        struct name body_ = {__VA_ARGS__}; \
        buf_clear(&(c)->scratch); \
        name##_encode(&body_, &(c)->scratch); \
        wcore_emit((c), WCORE_FX_##what, (a), buf_span(&(c)->scratch)); \
    } while (0)
/* Writes the entry to the spool and applies it: the only way to change durable state. */
#define SPOOL(c, a, name, ...) \
    do { \
        struct name body_ = {__VA_ARGS__}; \
        wcore_spool((c), (a), &name##_schema, &body_); \
    } while (0)
/* RETURNED: it has launched nothing here, and never will. */
void wcore_give_back(struct wcore *c, struct wattempt *a, const char *reason);
void wcore_spool(struct wcore *c, const struct wattempt *a, const struct wire_schema *schema,
                 const void *entry);

/* ---- attempts.c: the durable state. attempts_apply is the only function that changes it. */
struct wattempt *attempt_find(const struct wcore *c, struct id run, uint64_t attempt);
struct wrun *wrun_find(const struct wcore *c, struct id run);
struct wattempt *attempt_add(struct wcore *c, struct id run, uint64_t attempt);
void attempt_drop(struct wcore *c, struct wattempt *a);
/* Decodes an m_execute and its call into *a; the bytes are copied. REFUSAL_NONE, or why it
 * failed. */
enum refusal attempt_fill(struct wattempt *a, struct span execute, struct error *err);
/* The try of a step, NULL: there is none. */
struct wtry *attempt_try(struct wattempt *a, struct span step, uint64_t try_no);
struct wtry *attempt_open_try(struct wattempt *a); /* asked for, not ended; NULL: none */
bool attempt_launched(const struct wattempt *a);   /* any step of it */
/* True if this step is to end because the attempt is stopped. Without force, `always` steps go
 * on. */
bool attempt_stops(const struct wattempt *a, const struct wtry *t);
/* Bytes of a finished one's RESULT. */
size_t attempt_result_bytes(const struct wattempt *a);
int attempts_apply(struct wcore *c, struct span entry, struct error *err);
void attempts_free(struct wcore *c);

/* Where the attempt is: what its tries tell the step machine. */
void attempt_next(struct wattempt *a, struct steps_next *ret);

/* ---- jobs.c */
struct wjob *wjob_hold(struct wcore *c, const struct hash *hash, struct span bytes,
                       struct error *err);
void wjob_drop(struct wcore *c, struct wjob **j);

/* ---- slots.c */
void slots_go(struct wcore *c, struct wattempt *a);    /* fold, then queue, wait, or finish */
void slots_fill(struct wcore *c);                      /* start what there is room for */
void slots_leave(struct wcore *c, struct wattempt *a); /* out of queue and timers */
/* The broker is told whether it waits. */
void slots_say_wait(struct wcore *c, struct wattempt *a);
void slots_arm(struct wcore *c, struct heap *h, struct heap_node *node, int64_t at);
void slots_stop(struct wcore *c, struct wattempt *a, enum job_outcome as, bool force,
                struct span why);
void slots_runner_up(struct wcore *c);
void slots_kept(struct wcore *c, const struct s_kept *k);
void slots_kept_end(struct wcore *c);
/* An S_ENDED of a step that we do not know. */
void slots_stranger_ended(struct wcore *c, const struct s_ended *e);
/* After a gap in the spool, for an attempt that was ours before: ends it if more of it may have
 * happened than we know; else it goes on. */
void slots_resume(struct wcore *c, struct wattempt *a);
void slots_doubt(struct wcore *c); /* what is open may have ended without our knowledge */

/* ---- outcome.c */
void outcome_of_attempt(struct wcore *c, struct wattempt *a, const struct steps_next *n,
                        struct buf *out);
void outcome_of_refusal(struct wcore *c, const struct wattempt *a, enum refusal code,
                        const char *text, struct buf *out);

/* ---- executions.c */
/* d_executions of what is on record of its tries; nothing if there is none. */
void executions_of_attempt(const struct wattempt *a, struct buf *out);

/* ---- outbox.c */
/* FINISHED, and its RESULT */
void outbox_finish(struct wcore *c, struct wattempt *a, struct span outcome);
void outbox_refuse(struct wcore *c, struct wattempt *a, enum refusal code, const char *text);
void outbox_recorded(struct wcore *c, struct wattempt *a);
void outbox_session(struct wcore *c);
/* The broker asks for a RESULT that has left: send it once more. */
void outbox_again(struct wcore *c, struct wattempt *a);
void outbox_returned(struct wcore *c, struct id run, uint64_t attempt, const char *reason);

#endif
