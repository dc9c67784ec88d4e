/* serverjobs.h - a server's jobs, as in worker/jobs.c and attest.c: what it attests, and the job
 * of an attempt, which is found after a while. A worker that dies gets no answers to its
 * questions. */
#ifndef LB_TESTS_SIM_SERVERJOBS_H
#define LB_TESTS_SIM_SERVERJOBS_H

#include "tests/sim/catalog.h"
#include "worker/core/core.h"

struct serverjobs;
/* takes a turn of the worker: WCORE_JOB */
typedef void serverjobs_found(void *self, struct wcore_event ev);

/* jobs: bits of the catalog. */
struct serverjobs *serverjobs_new(struct world *w, struct process *worker, const struct catalog *c,
                                  unsigned jobs, serverjobs_found *found, void *self);
void serverjobs_free(struct serverjobs **j);
void serverjobs_forget(struct serverjobs *j); /* the worker has died */
void serverjobs_set(struct serverjobs *j, unsigned jobs, bool need_holds);
unsigned serverjobs_bits(const struct serverjobs *j);
/* appends m_attest */
void serverjobs_attest(const struct serverjobs *j, unsigned slots, struct buf *out);
/* of WCORE_FX_FIND_JOB */
void serverjobs_find(struct serverjobs *j, const struct wcore_effect *e);

#endif
