/* prober.h - the process that probes the needs of a kind of step: it has become the child's user,
 * has the child's variables and is behind its walls, so it finds what the child would. */
#ifndef LB_RUNNER_PROBER_H
#define LB_RUNNER_PROBER_H

#include <sys/types.h>

#include "proto/messages.h"
#include "runner/runnerpaths.h"
#include "runner/sandbox.h"

struct prober {
    const struct runner_paths *paths;
    struct sandbox *sandbox; /* of no slot; NULL: without walls */
    const struct d_context *context;
    const char *const *needs;
    size_t n_needs;
};

/* Starts it. It sends a d_need for each need, in their order, on *ret_fd (one message each), which
 * is yours to close, and ends. Reap *ret_pid. */
int prober_start(const struct prober *p, pid_t *ret_pid, int *ret_fd, struct error *err);

/* What a step of this context is without for other reasons than its walls (PROTECT_), and as whom
 * and behind which of them it runs: for sandbox_judge. user: of the context; NULL: it stays
 * ours. */
void prober_step(const struct runner_paths *paths, const struct d_context *c,
                 const struct privilege_user *user, struct sandbox_step *ret);

#endif
