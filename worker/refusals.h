/* refusals.h - which jobs of this server its runner would refuse, whoever calls: a proxy that is
 * missing or cannot be used, a subsystem that it does not take, a package without a signer of
 * trust/signers. Such a job is attested with a need that does not hold, so that no call goes to it
 * and `lbctl explain` says why.
 *
 * The judgement is the runner's own (trust/proxyserver.h), made here beforehand. It decides only
 * where calls go: the runner asks for itself at every step. */
#ifndef LB_WORKER_REFUSALS_H
#define LB_WORKER_REFUSALS_H

#include "common/paths.h"
#include "package/installed.h"

struct refusals;
/* Reads trust/signers; proxies are read as they are asked about. Yours: refusals_free. */
struct refusals *refusals_new(const struct paths *paths, const struct installed_store *store);
void refusals_free(struct refusals **r);

/* A step that would be refused, and why. */
typedef void refusals_trouble_fn(void *self, struct span step, const struct error *why);
/* Returns how many steps of this compiled job the runner would take from nobody. */
unsigned refusals_judge(struct refusals *r, struct span job, refusals_trouble_fn *trouble,
                        void *self);

#endif
