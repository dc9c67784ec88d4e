/* view.h - looks into the core, for its shell: rights, QUERY, statistics. Nothing here changes
 * anything.
 *
 * Every pointer and span that comes out is lent until the next bcore_step. Listings are walked by
 * name or id: give the last one seen, get the next, so that a page can end anywhere and go on in a
 * later turn, whatever has changed between. */
#ifndef LB_BROKER_CORE_VIEW_H
#define LB_BROKER_CORE_VIEW_H

#include "broker/core/core.h"

/* ---- Runs that have not ended (ended ones are the store's) */
struct view_run {
    struct id id;
    enum run_state state;
    const char *principal, *job, *address;
    struct hash job_hash; /* signed; zero: pin_latest */
    uint64_t priority, attempt;
    enum on_lost on_lost; /* of the current attempt as resolved; else as signed */
    int64_t called_at;    /* wall, as are the following; 0: not yet */
    int64_t assigned_at, started_at;
    const char *server; /* of the current attempt; NULL: none */
    const char *step;   /* that started last; "" */
    uint64_t percent;   /* last PROGRESS */
    const char *text;
    bool cancelled, cancel_forced;
    const char *cancelled_by; /* "" */
    struct id parent;
    /* d_signed as received; empty: in the store only, in record called_lsn */
    struct span call;
    struct span certificate; /* likewise, always here */
    uint64_t called_lsn;
    uint64_t lsn; /* of its last record: what is said of it rests on this */
    uint64_t followers;
};
/* False: it is not in memory: unknown, or ended (then view_ended). */
bool view_run(const struct bcore *c, const struct id *run, struct view_run *ret);
/* The runs in the order of their acceptance: first with after = ID_ZERO. False: no more. */
bool view_run_after(const struct bcore *c, const struct id *after, struct view_run *ret);
/* The same walk from the newest to the oldest: first with before = ID_ZERO. */
bool view_run_before(const struct bcore *c, const struct id *before, struct view_run *ret);
/* Is it a run whose end is still remembered? Its outcome is in the store. */
bool view_ended(const struct bcore *c, const struct id *run);

/* For rights, cheaper: whose run is it, which job, which address. False as view_run. */
struct view_owner {
    const char *principal, *job, *address;
};
bool view_owner(const struct bcore *c, const struct id *run, struct view_owner *ret);

/* ---- Servers: all with a certificate, connected or not */
struct view_job {
    const char *name, *version;
    struct hash job_hash;
    uint64_t concurrency, live; /* live: attempts of it at this server now */
    bool idempotent;
    int64_t mean_us;      /* measured run time; 0: not measured */
    unsigned older;       /* as in it */
    struct span attested; /* d_attested_job */
};
struct view_server {
    const char *name;
    const char *const *pools; /* without "all" */
    unsigned n_pools;
    /* "up", "attaching" (its HAVE is not complete), "unreachable" (lease ended, or never seen) */
    const char *state;
    bool draining;
    const char *draining_reason, *address, *software; /* "" */
    int64_t heard_wall, up_since;                     /* wall; 0: not since the broker began */
    struct id spool, boot;                            /* zero: never seen */
    /* credit: attempts that it would get now of a job never measured */
    uint64_t slots, live, running, credit;
    uint64_t ended; /* results counted since the broker began */
    unsigned n_jobs, n_packages, n_needs;
    struct span facts; /* encoded map items of its last ATTEST, and their count */
    uint32_t n_facts;
    uint64_t peer; /* its session; 0: none */
};
bool view_server(const struct bcore *c, const char *name, struct view_server *ret);
/* In the order of their names: first with after = "". */
bool view_server_after(const struct bcore *c, const char *after, struct view_server *ret);
bool view_server_job(const struct bcore *c, const char *server, unsigned index,
                     struct view_job *ret);
/* d_attested_package */
struct span view_server_package(const struct bcore *c, const char *server, unsigned index);
/* d_need */
struct span view_server_need(const struct bcore *c, const char *server, unsigned index);

/* Is it a server's, a pool's name, or "all"? */
enum view_address {
    VIEW_ADDRESS_UNKNOWN,
    VIEW_ADDRESS_SERVER,
    VIEW_ADDRESS_POOL,
    VIEW_ADDRESS_ALL
};
enum view_address view_address(const struct bcore *c, const char *address);
bool view_in_address(const struct bcore *c, const char *server, const char *address);

/* ---- Parents that have not ended */
struct view_parent {
    struct id id;
    const char *principal;
    struct span key, name;
    int64_t begun_at;
    uint64_t epoch;     /* of the last driver; 0: none yet */
    const char *driver; /* principal that drives now; "": nobody */
    uint64_t driver_peer;
    struct span parent; /* d_signed of the d_parent */
    uint64_t lsn;
};
bool view_parent(const struct bcore *c, const struct id *parent, struct view_parent *ret);
/* by id */
bool view_parent_after(const struct bcore *c, const struct id *after, struct view_parent *ret);

/* ---- Desired packages, certificates, revocations */
struct view_deployment {
    const char *address, *name, *by;
    struct hash package;
    int64_t at;
    uint64_t size;
    struct span deployment; /* d_signed */
};
/* In the order of (address, name): first with both "". */
bool view_deployment_after(const struct bcore *c, const char *address, const char *name,
                           struct view_deployment *ret);
/* A server's whole desired state as in DESIRED: d_deployed each, appended with wire_add_bin. */
uint32_t view_desired(const struct bcore *c, const char *server, struct buf *items);

struct view_certificate {
    const char *name, *role;
    uint64_t serial;
    int64_t at;
    struct span certificate; /* d_signed */
};
/* serial 0: the one recorded last for this name. */
bool view_certificate(const struct bcore *c, const char *name, uint64_t serial,
                      struct view_certificate *ret);
/* In the order of (name, serial): first with "" and 0. */
bool view_certificate_after(const struct bcore *c, const char *name, uint64_t serial,
                            struct view_certificate *ret);

/* d_signed; empty: none yet, number 0 */
struct span view_revocations(const struct bcore *c, uint64_t *ret_number);
bool view_revoked(const struct bcore *c, uint64_t serial);

/* ---- Counts */
struct view_counts {
    uint64_t runs[RUN_STATE_COUNT]; /* in memory, by state; ENDED: always 0 */
    uint64_t parents, servers, servers_up, sessions, classes, kept;
    uint64_t memory; /* bytes that runs take, as judged against memory_budget */
    uint64_t bodies; /* of them those of calls as received, of what is on disk */
    uint64_t epoch, lsn, committed;
    uint64_t accepted, ended, refused, returned, lost, evidence; /* since the broker began */
    /* attempts handed over since the broker began */
    uint64_t decisions;
};
void view_counts(const struct bcore *c, struct view_counts *ret);

#endif
