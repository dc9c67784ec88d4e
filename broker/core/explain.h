/* explain.h - why a run is where it is: for each server the conditions that do not hold, and what
 * would clear them.
 *
 * Computed on demand, from the same judgements that placement uses. */
#ifndef LB_BROKER_CORE_EXPLAIN_H
#define LB_BROKER_CORE_EXPLAIN_H

#include "broker/core/core.h"

#define EXPLAIN_CONDITIONS(X) \
    X(ADDRESS, "address")         /* the call is not addressed to it */ \
    X(CONTACT, "contact")         /* no session, or its lease has expired */ \
    X(ATTACHING, "attaching")     /* its inventory is incomplete */ \
    X(DRAINING, "draining")       /* an operator drains it */ \
    X(JOB, "job")                 /* it does not attest the job */ \
    X(VERSION, "version")         /* it attests only other versions of the job */ \
    X(NEED, "need")               /* a need of the job does not hold */ \
    X(REFUSED, "refused")         /* it has refused the job, or this run, by its own fault */ \
    X(CONCURRENCY, "concurrency") /* the job's limit of runs at one server is reached */ \
    X(CREDIT, "credit")           /* its slots are taken */ \
    X(RESTING, "resting")         /* it has just returned a run that it could not start */

#define X(n, t) EXPLAIN_##n,
enum explain_condition { EXPLAIN_CONDITIONS(X) EXPLAIN_COUNT };
#undef X
const char *explain_condition_text(enum explain_condition c);

enum { EXPLAIN_TEXT = 256 };

struct explain_unmet {
    enum explain_condition condition;
    char text[EXPLAIN_TEXT];   /* "disk_free /data 10G does not hold: 3 GiB free" */
    char clears[EXPLAIN_TEXT]; /* "lbctl undrain wh1" */
};
struct explain_server {
    const char *server;
    unsigned first, n; /* into `unmet`; n 0: it could take the run now */
    uint64_t credit;
};
struct explain {
    enum run_state state;
    char summary[1024]; /* one sentence for people */
    uint64_t ahead;     /* of a waiting run: how many of its class are ahead of it, at most 1000 */
    struct explain_server *servers;
    unsigned n_servers;
    struct explain_unmet *unmet;
    unsigned n_unmet;
};
/* -ENOENT: the run is not in memory. A server outside the address has only that condition. *ret is
 * yours: explain_free. */
int bcore_explain(const struct bcore *c, const struct id *run, struct explain *ret,
                  struct error *err);
void explain_free(struct explain *e);

#endif
