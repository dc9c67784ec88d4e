/* ended.h - how a step ended, from everything that is known about its child: the d_step_outcome.
 * Pure.
 *
 * The package's state: what the exit code means (the package's exit_codes; without any, 0
 * succeeded), made worse but never better by its own verdict. A signal is a failure. A step that
 * we ended (cancel, timeout, fence) is cancelled or failed, unless it exited well and its
 * verdict says `succeeded`: then it had finished before the signal arrived. Unreadable outputs
 * turn a success into a failure. */
#ifndef LB_RUNNER_ENDED_H
#define LB_RUNNER_ENDED_H

#include <sys/resource.h>

#include "proto/messages.h"
#include "proto/outcome.h"
#include "runner/excess.h"

enum stop_cause { STOP_NONE, STOP_CANCEL, STOP_TIMEOUT, STOP_FENCE };

struct ending {
    const struct s_launch *launch;
    int status; /* of wait4 */
    struct rusage usage;
    enum stop_cause stop;
    struct excess excess;
    int warned;          /* the signal with which it was warned that its time ran out; 0: none */
    const char *trouble; /* what it handed back cannot be read; NULL: it can */
    struct wire_list outputs;
    bool said; /* the package gave a verdict */
    enum package_outcome verdict;
    struct span message; /* its own */
    struct span tail;    /* the end of its standard error */
    int64_t started_at, ended_at;
    uint64_t out_bytes, err_bytes, cut_bytes;
    const char *user;
    char **argv;
    size_t n_argv;
    const char *const *off;
    size_t n_off;
    struct span execution; /* d_execution; empty: there is none */
};

/* Appends an S_ENDED. */
void ended_encode(const struct ending *e, struct buf *out);

/* A step that was never started: `code` and the message give the reason. Of the launch its names
 * and job_hash count. cancelled: it was waiting. Appends an S_ENDED. */
void ended_refused(const struct s_launch *l, enum refusal code, bool cancelled,
                   const char *sentence, int64_t now, struct buf *out);

/* A step that has begun and of which nobody can say how it ended. Appends an S_ENDED. */
void ended_unknown(const struct s_launch *l, const char *sentence, int64_t now, struct buf *out);

#endif
