/* outcome.h - how a run ended: three layers that are never folded into one, and the one word people
 * read first.
 *
 * The tables here are the only place: C enums, texts on the wire and in JSON, the status rule and
 * its exhaustive test come from the same rows. Pure. */
#ifndef LB_PROTO_OUTCOME_H
#define LB_PROTO_OUTCOME_H

#include <stdbool.h>
#include "common/buf.h"

/* clang-format off */
/* Was the job called? */
#define DELIVERY_STATES(X) X(CALLED, "called") X(REFUSED, "refused") X(UNREACHABLE, "unreachable")
/* How did the Agent job end? */
#define JOB_STATES(X) \
    X(NOT_CALLED, "not_called") \
    X(SUCCEEDED, "succeeded") \
    X(FAILED, "failed") \
    X(CANCELLED, "cancelled") \
    X(TIMED_OUT, "timed_out") \
    X(LOST, "lost") \
    X(UNKNOWN, "unknown")
/* What became of the child package? */
#define PACKAGE_STATES(X) \
    X(NOT_EXECUTED, "not_executed") \
    X(SUCCEEDED, "succeeded") \
    X(FAILED, "failed") \
    X(CANCELLED, "cancelled") \
    X(UNKNOWN, "unknown")
/* One word for all three: the first row that holds. */
#define STATUSES(X) \
    X(REFUSED, "refused") \
    X(UNREACHABLE, "unreachable") \
    X(CANCELLED, "cancelled") \
    X(TIMED_OUT, "timed_out") \
    X(LOST, "lost") \
    X(UNKNOWN, "unknown") \
    X(FAILED, "failed") \
    X(SUCCEEDED, "succeeded")
/* What a step's end leads to. */
#define STEP_ACTIONS(X) \
    X(NEXT, "next") \
    X(QUIT_SUCCESS, "quit-success") \
    X(QUIT_FAILURE, "quit-failure") \
    X(GOTO, "goto") \
    X(RETRY, "retry")
/* What happens to a run whose server is lost. DEFAULT: `rerun` if the package says
 * idempotent, else `fail`. */
#define ON_LOST(X) X(DEFAULT, "default") X(FAIL, "fail") X(RERUN, "rerun") X(HOLD, "hold")
/* clang-format on */

#define X(n, t) DELIVERY_##n,
enum delivery { DELIVERY_STATES(X) DELIVERY_COUNT };
#undef X
#define X(n, t) JOB_##n,
enum job_outcome { JOB_STATES(X) JOB_COUNT };
#undef X
#define X(n, t) PACKAGE_##n,
enum package_outcome { PACKAGE_STATES(X) PACKAGE_COUNT };
#undef X
#define X(n, t) STATUS_##n,
enum status { STATUSES(X) STATUS_COUNT };
#undef X
#define X(n, t) ACTION_##n,
enum step_action { STEP_ACTIONS(X) ACTION_COUNT };
#undef X
#define X(n, t) ON_LOST_##n,
enum on_lost { ON_LOST(X) ON_LOST_COUNT };
#undef X

/* The word for a value ("?" for one out of range) and back (-1: no such word). */
const char *delivery_text(uint64_t v);
const char *job_outcome_text(uint64_t v);
const char *package_outcome_text(uint64_t v);
const char *status_text(uint64_t v);
const char *step_action_text(uint64_t v);
const char *on_lost_text(uint64_t v);
int status_parse(struct span word);
int on_lost_parse(struct span word);
int step_action_parse(struct span word);

/* The status rule: first match of refused, unreachable, cancelled, timed_out, lost, unknown, failed
 * (job or package), succeeded. A package that was cancelled because its job timed out or was lost
 * leaves it at that. */
enum status outcome_status(enum delivery d, enum job_outcome j, enum package_outcome p);

/* The package layer of a run from its steps', without failures that the job has handled (steps.h)
 * and without `always` steps: any failed -> failed; else any unknown -> unknown;
 * none ran -> not_executed; any cancelled and none succeeded -> cancelled; else succeeded. Feed
 * steps one by one from PACKAGE_NOT_EXECUTED on. */
enum package_outcome package_outcome_fold(enum package_outcome so_far, enum package_outcome step);

#endif
