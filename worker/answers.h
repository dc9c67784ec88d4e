/* answers.h - what the runner says of each kind of step that is here: would it take one, whoever
 * calls, and does what it needs hold? Calls go where it says yes: jobs.h attests what follows.
 *
 * A kind is a proxy, a subsystem and a package. The runner is asked about new ones at once, about
 * all when it comes up, when a file that decides has changed, and every ANSWERS_PERIOD_MS. While it
 * is down, what it said last stands. */
#ifndef LB_WORKER_ANSWERS_H
#define LB_WORKER_ANSWERS_H

#include "common/loop.h"
#include "proto/messages.h"

enum { ANSWERS_PERIOD_MS = 30000 };

struct answers_calls {
    void *self;
    void (*ask)(void *self, struct span s_probe);
    void (*changed)(
        void *self); /* a kind is taken or refused, a need holds or not, other than before */
};

struct answers;
struct answers *answers_new(struct loop *loop, const struct answers_calls *calls);
void answers_free(struct answers **a);

struct answers_said {
    char *refused;    /* why it would be refused; NULL: it would not */
    struct buf needs; /* a d_need each, under its name here */
    uint32_t n_needs;
};
/* What was said of such a step, lent until answers_sweep; NULL: nothing yet. */
const struct answers_said *answers_find(struct answers *a, const struct d_step *step);
/* After all jobs were read: forgets kinds that nobody has looked for since the last sweep, and asks
 * about those that are new. */
void answers_sweep(struct answers *a);
void answers_ask_all(struct answers *a);

/* speaks: it understands S_PROBE. One that does not is taken to agree, and no need is probed. */
void answers_runner_up(struct answers *a, bool speaks);
void answers_runner_down(struct answers *a);
void answers_take(struct answers *a, const struct s_probed *m);

/* What a need is called in attestations: its text, and the proxy if that is not `default`, since
 * each may have a user and an environment of its own. */
void answers_name(struct span need, struct span proxy, char ret[LIMIT_SHORT + 1]);
/* A d_need for each name, as an m_attest lists them; one holds if it does for every kind that needs
 * it. The list points into *items. */
struct wire_list answers_needs(const struct answers *a, struct buf *items);

#endif
