/* byhandinside.h - internal: what the files of a run by hand share. */
#ifndef LB_RUNNER_BYHANDINSIDE_H
#define LB_RUNNER_BYHANDINSIDE_H

#include "common/channel.h"
#include "proto/steps.h"
#include "runner/byhand.h"
#include "runner/probes.h"
#include "runner/report.h"
#include "runner/slots.h"
#include "runner/verify.h"

/* A file that our keeper or we write, in generations, followed from the beginning. */
struct byhand_file {
    const char *stem;
    unsigned long generation;
    struct spoolfile_reader *reader; /* NULL: there is none yet */
};

struct byhand_try {
    struct steps_try t;
    struct d_step_outcome o; /* points into outcome */
    struct buf outcome;
    bool early; /* the runner has not heard that the step before has ended: ask again */
    int64_t launched_at;
};

enum { BYHAND_FILES = 2 };

struct byhand {
    const struct runner_paths *paths;
    struct loop *loop;
    struct channel *person; /* NULL: gone */
    bool begun, over, warned;
    bool plan;        /* nothing is to run */
    unsigned asked;   /* steps whose needs are being probed */
    struct buf lacks; /* needs that do not hold, as a sentence */
    struct probes *probes;
    struct verifier *verifier;
    struct report *report;
    struct slots *slots;
    struct byhand_file files[BYHAND_FILES];
    int bell;
    struct loop_timer retry, look;
    int64_t retry_due;

    struct buf call, job, launch, scratch; /* d_signed of a d_call; d_job */
    struct hash job_hash;
    struct steps_job def;
    struct id run;
    int64_t called_at;
    struct steps_scope scope;
    struct byhand_try *tries; /* in order */
    unsigned n_tries;

    struct buf end; /* S_BY_HAND_END */
};

/* ---- byhand.c */
/* A request for this try, as a worker would send it. */
struct s_step byhand_request(const struct byhand *h, unsigned step, uint64_t try_no);
void byhand_tell(struct byhand *h, struct span message);
bool byhand_has_room(const struct byhand *h);         /* does the person read what they are told? */
struct byhand_try *byhand_open_try(struct byhand *h); /* the last one, unless it has ended */
bool byhand_is_try(const struct byhand *h, const struct byhand_try *t, struct span step,
                   uint64_t try_no);
/* No step was begun. */
void byhand_refuse(struct byhand *h, enum refusal code, const char *why);

/* ---- byhandfiles.c */
/* Tells the person what has come into the files, while they have room for it. */
void byhand_follow(struct byhand *h);

/* ---- byhandcall.c */
/* The job, compiled, and a call for it. *ret_code: why not. */
int byhand_call(struct byhand *h, const struct s_by_hand *asked, enum refusal *ret_code,
                struct error *err);

/* ---- byhandplan.c */
/* Says what each step would run; runs nothing. */
void byhand_plan(struct byhand *h);

/* ---- byhandend.c */
/* The outcome of all that was tried, as an S_BY_HAND_END. */
void byhand_outcome(const struct byhand *h, const struct steps_next *n, struct buf *out);

#endif
