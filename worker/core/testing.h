/* testing.h - what the tests of this room share: a core, the spool it writes and the keepers'
 * spool, with the law that replaying both gives the state checked after every event. */
#ifndef LB_WORKER_CORE_TESTING_H
#define LB_WORKER_CORE_TESTING_H

#include "common/testing.h"
#include "proto/kept.h"
#include "worker/core/core.h"

enum { WTEST_EFFECTS = 4096, WTEST_SLOTS = 2 };

struct wtest {
    struct wcore_config config;
    struct wcore *core;
    struct wcore_out out;
    struct buf worker_log, keeper_log; /* entries one after the other */
    int64_t now, wall;
    bool auto_job; /* FIND_JOB is answered with `job` */
    struct buf job;
    /* effects since wtest_clear, copied */
    struct wcore_effect seen[WTEST_EFFECTS];
    unsigned n;
};

struct id wtest_run(unsigned n);                     /* the id of run n */
void wtest_clear(struct wtest *w);                   /* forgets what was seen */
struct wcore *wtest_replayed(const struct wtest *w); /* a core from the spool alone; yours */

/* Gives the core the event, at w->now and w->wall, and keeps what it does in w->seen. Fails if
 * replaying the spool does not give the state that the core is in. */
void wtest_step(struct wtest *w, struct wcore_event ev);
void wtest_event(struct wtest *w, enum wcore_event_kind kind);
/* WCORE_JOB: the job of this attempt; empty: it is not here, `text` says why. */
void wtest_job_event(struct wtest *w, struct id run, uint64_t attempt, struct span job,
                     const char *text);

/* MESSAGE(w, m_stop, .run = ...), KEEPER(w, s_launched, ...), TELL(w, WCORE_KEPT, s_kept, ...) */
#define TELL(w, what, name, ...) \
    do { \
        struct name tell_ = {__VA_ARGS__}; \
        struct buf bytes_ = {0}; \
        name##_encode(&tell_, &bytes_); \
        wtest_step((w), (struct wcore_event){.kind = (what), .message = buf_span(&bytes_)}); \
        buf_free(&bytes_); \
    } while (0)
#define MESSAGE(w, name, ...) TELL(w, WCORE_MESSAGE, name, __VA_ARGS__)
#define KEEPER(w, name, ...) \
    do { \
        struct name keeper_ = {__VA_ARGS__}; \
        name##_encode(&keeper_, &(w)->keeper_log); \
        TELL(w, WCORE_SPOOL, name, __VA_ARGS__); \
    } while (0)

/* ---- A job: steps as rows */
struct row {
    const char *name, *on_success, *on_failure;
    bool always;
    uint64_t attempts, interval_ms, backoff;
    const char *retry_codes; /* as bytes */
};

/* The job that a FIND_JOB is answered with from now on. */
void wtest_job(struct wtest *w, const struct row *rows, unsigned n);

/* ---- What the broker sends: EXECUTE */
void wtest_execute_call(struct wtest *w, unsigned run, uint64_t attempt, const struct d_call *call);
void wtest_execute(struct wtest *w, unsigned run, uint64_t attempt);

/* ---- What keepers write into the spool, and what the runner reports about them */
void wtest_launched(struct wtest *w, unsigned run, uint64_t attempt, const char *step,
                    uint64_t try_no);
void wtest_ended_as(struct wtest *w, unsigned run, uint64_t attempt, struct d_step_outcome o);
void wtest_ended(struct wtest *w, unsigned run, uint64_t attempt, const char *step, uint64_t try_no,
                 enum package_outcome package);
/* Launched and ended, in attempt 1. */
void wtest_ran(struct wtest *w, unsigned run, const char *step, uint64_t try_no,
               enum package_outcome package);
void wtest_kept(struct wtest *w, unsigned run, uint64_t attempt, const char *step, uint64_t try_no,
                enum kept_state state);

/* ---- Start, restart, end */
void wtest_up(struct wtest *w);     /* a session, nothing in it */
void wtest_runner(struct wtest *w); /* a runner that holds nothing */
/* kill -9 and a new process: no session, no runner yet. */
void wtest_restart(struct wtest *w);
void wtest_pass(struct wtest *w, int64_t ms); /* time passes */
int wtest_setup(void **state);
int wtest_teardown(void **state);

#define in_world(test) cmocka_unit_test_setup_teardown(test, wtest_setup, wtest_teardown)

/* ---- What was seen. The index is of the kind asked for: 0 is the first one since wtest_clear. */
struct span wtest_seen_at(const struct wtest *w, enum wcore_effect_kind fx, uint64_t kind,
                          unsigned index);
unsigned wtest_seen_count(const struct wtest *w, enum wcore_effect_kind fx, uint64_t kind);
#define sent(w, KIND)    wtest_seen_count(w, WCORE_FX_SEND, KIND_M_##KIND)
#define asked(w)         wtest_seen_count(w, WCORE_FX_RUNNER, KIND_S_STEP)
#define halted(w)        wtest_seen_count(w, WCORE_FX_RUNNER, KIND_S_HALT)
#define spooled(w, KIND) wtest_seen_count(w, WCORE_FX_SPOOL, KIND_S_##KIND)

struct s_step wtest_step_asked(const struct wtest *w, unsigned index);
struct s_halt wtest_halt_asked(const struct wtest *w, unsigned index);
void wtest_assert_asked(const struct wtest *w, unsigned index, const char *step, uint64_t try_no);
struct d_outcome wtest_result(const struct wtest *w, unsigned index);
void wtest_assert_result(const struct wtest *w, unsigned index, enum delivery d, enum job_outcome j,
                         enum package_outcome p);
struct d_step_outcome wtest_step_result(const struct wtest *w, unsigned index, unsigned step);
void wtest_assert_text(struct span s, const char *text); /* is it? */
void wtest_assert_has(struct span s, const char *part);  /* does it contain it? */

#endif
