/* probes.h - would this server take such a step, whoever calls, and does what it needs hold?
 *
 * The worker asks, and offers the broker only what the answer allows. The judgement is the one that
 * the step itself will meet: the same proxy, account, subsystem, package, signer and walls. Needs
 * are probed in a process that has become the child's user, behind its walls and with its
 * variables, so that what runs finds what was probed.
 *
 * One process probes at a time, for all questions that wait and have the same context. It may hang
 * (a dead file server): what has not answered within PROBES_STUCK_MS does not hold. */
#ifndef LB_RUNNER_PROBES_H
#define LB_RUNNER_PROBES_H

#include "common/loop.h"
#include "runner/policy.h"
#include "runner/proxies.h"

enum {
    PROBES_STUCK_MS = 10000, /* a need whose probe takes longer does not hold */
    PROBES_HUNG_MAX = 4,     /* so many processes may hang; then nothing is probed */
    PROBES_WAITING_MAX = 4096
};

struct probes;
/* An S_PROBED. */
typedef void probes_answer_fn(void *self, const struct s_probed *answer);
/* policy and proxies are lent for its life. */
struct probes *probes_new(const struct runner_paths *paths, struct policy *policy,
                          struct proxies *proxies, struct loop *loop, probes_answer_fn *answer,
                          void *self);
void probes_free(struct probes **p);

/* Answers at once if nothing is to be probed. Beyond PROBES_WAITING_MAX it is refused as busy. */
void probes_take(struct probes *p, const struct s_probe *question, int64_t now_wall);
/* Who asked is gone: what waits is forgotten. */
void probes_clear(struct probes *p);
/* A process of ours has ended; false: it was none of these. */
bool probes_reaped(struct probes *p, pid_t pid);

#endif
