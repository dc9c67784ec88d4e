/* catalog.h - what is the same in every simulated cluster: its jobs and its members'
 * certificates. */
#ifndef LB_TESTS_SIM_CATALOG_H
#define LB_TESTS_SIM_CATALOG_H

#include "proto/messages.h"
#include "proto/outcome.h"
#include "tests/sim/world.h"

#define SIM_CLUSTER "sim"

enum { CATALOG_JOBS = 7, CATALOG_POOLS = 2 };

struct sim_job {
    const char *name, *version;
    struct hash hash;
    struct buf body; /* d_job */
    uint64_t concurrency;
    bool idempotent;
    int64_t least_us, most_us; /* how long a try of a step takes */
    unsigned fails;            /* per mille of tries */
};

struct catalog {
    struct sim_job jobs[CATALOG_JOBS];
};
void catalog_make(struct catalog *c);
void catalog_free(struct catalog *c);
const struct sim_job *catalog_by_hash(const struct catalog *c, const struct hash *hash);

/* Appends the m_attest of a server that has these jobs (bits). Job `chain` has a need that may not
 * hold. */
void catalog_attest(const struct catalog *c, unsigned jobs, unsigned slots, bool need_holds,
                    struct buf *out);

extern const char *const sim_pools[CATALOG_POOLS];

/* Appends a d_signed d_certificate without a signature: the simulation verifies none. */
void catalog_write_certificate(const char *name, const char *role, uint64_t serial, unsigned pools,
                               struct buf *out);

/* What a caller wants; certificate and signature are the same as above. */
void catalog_write_call(const struct d_call *call, struct buf *body, struct buf *signed_call);

#endif
