/* refusals.h - which steps of this server's jobs its runner would refuse, whoever calls: a proxy
 * that is missing or cannot be used, a subsystem that it does not take, a package without a signer
 * of trust/signers; and which needs do not hold. For `lbworker check`, which asks no runner.
 *
 * The judgement is the runner's (trust/proxyserver.h), and so are the variables with which needs
 * are probed. The user is not: the runner probes as the child's user, this as who calls it. */
#ifndef LB_WORKER_REFUSALS_H
#define LB_WORKER_REFUSALS_H

#include "common/paths.h"
#include "package/installed.h"

struct refusals;
/* Reads trust/signers; proxies are read as they are asked about. Yours: refusals_free. */
struct refusals *refusals_new(const struct paths *paths, const struct installed_store *store);
void refusals_free(struct refusals **r);

struct refusals_calls {
    void *self;
    /* a step that would be refused, and why */
    void (*refused)(void *self, struct span step, const struct error *why);
    /* of a step that would not: each of its needs. name: as it is attested (answers.h) */
    void (*need)(void *self, const char *name, bool holds, const char *trouble);
};
/* Returns how many steps of this compiled job the runner would take from nobody. */
unsigned refusals_judge(struct refusals *r, struct span job, const struct refusals_calls *calls);

#endif
