/* view.h - read access to the core, for its shell: rights, QUERY, statistics. Nothing here changes
 * the core.
 *
 * Pointers and spans in what comes back are lent until the next bcore_step. Listings are walked by
 * name or id: the caller gives the last one that it has seen and gets the next, so a page can end
 * anywhere and continue later, whatever has changed in between. All calls return false if there is
 * none, and leave *ret as it was. */
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
    enum on_lost on_lost;            /* of the current attempt, resolved; without one as signed */
    int64_t called_at;               /* wall, as the next two */
    int64_t assigned_at, started_at; /* of the current attempt; 0: not yet */
    const char *server;              /* of the current attempt; NULL: none */
    const char *step;                /* the last one started; "": none */
    uint64_t percent;                /* of the last PROGRESS */
    const char *text;                /* of the last PROGRESS; "" */
    bool cancelled, cancel_forced;
    const char *cancelled_by; /* "": not cancelled */
    struct id parent;         /* zero: none */
    struct span call;         /* d_signed as received; empty: only in the store, see called_lsn */
    struct span certificate;  /* d_signed of the caller's certificate */
    uint64_t called_lsn;      /* of its r_called */
    uint64_t lsn;             /* of its last record: messages about the run rest on it */
    uint64_t followers;
};
/* False: the run is unknown, or has ended (view_ended). */
bool view_run(const struct bcore *c, const struct id *run, struct view_run *ret);
/* Walks the runs in the order of their acceptance, from after = ID_ZERO. `after` may have ended in
 * the meantime: a step takes no longer for that than the logarithm of the number of runs. */
bool view_run_after(const struct bcore *c, const struct id *after, struct view_run *ret);
/* Walks them from the newest to the oldest, from before = ID_ZERO. */
bool view_run_before(const struct bcore *c, const struct id *before, struct view_run *ret);
/* Is this a run or parent that has ended and whose key is still in memory? */
bool view_ended(const struct bcore *c, const struct id *run);

/* What a check of rights needs of a run; cheaper than view_run. */
struct view_owner {
    const char *principal, *job, *address;
};
bool view_owner(const struct bcore *c, const struct id *run, struct view_owner *ret);

/* ---- Servers: all that have a certificate, connected or not */
struct view_job {
    const char *name, *version;
    struct hash job_hash;
    uint64_t concurrency, live; /* live: its attempts at this server now */
    bool idempotent;
    int64_t mean_us;      /* measured run time; 0: not measured */
    unsigned older;       /* as attested */
    struct span attested; /* d_attested_job */
    const char *refused;  /* "": its server gets runs of it; else why it gets none for a while */
};
struct view_server {
    const char *name;
    const char *const *pools; /* without "all" */
    unsigned n_pools;
    /* "up", "attaching" (inventory incomplete), "unreachable" (lease ended, or never seen) */
    const char *state;
    bool draining;
    const char *draining_reason, *address, *software; /* "": unknown */
    const char *process;                              /* of its worker, as it says; "": unknown */
    const char *rival, *rival_address; /* another worker under the name, refused last at rival_at */
    int64_t rival_at;                  /* wall; 0: there was none */
    int64_t heard_wall, up_since;      /* wall; 0: not since the broker started */
    struct id spool, boot;             /* zero: never seen */
    uint64_t slots, live, running;     /* live: attempts there; running: those that have started */
    uint64_t credit;                   /* how many attempts of an unmeasured job it would get now */
    uint64_t ended;                    /* results counted since the broker started */
    unsigned n_jobs, n_packages, n_needs;
    struct span facts; /* the items of the map `facts` of its last ATTEST */
    uint32_t n_facts;
    uint64_t peer; /* its session; 0: none */
};
bool view_server(const struct bcore *c, const char *name, struct view_server *ret);
/* Walks them by name, from after = "". */
bool view_server_after(const struct bcore *c, const char *after, struct view_server *ret);
bool view_server_job(const struct bcore *c, const char *server, unsigned index,
                     struct view_job *ret);
/* d_attested_package */
struct span view_server_package(const struct bcore *c, const char *server, unsigned index);
/* d_need */
struct span view_server_need(const struct bcore *c, const char *server, unsigned index);

/* What does this address name? */
enum view_address {
    VIEW_ADDRESS_UNKNOWN,
    VIEW_ADDRESS_SERVER,
    VIEW_ADDRESS_POOL,
    VIEW_ADDRESS_ALL
};
enum view_address view_address(const struct bcore *c, const char *address);
bool view_in_address(const struct bcore *c, const char *server, const char *address);
/* All servers in an address, by name; of one that nothing names, none. */
typedef void view_take_server(void *self, const char *server);
void view_each_in_address(const struct bcore *c, const char *address, view_take_server *take,
                          void *self);

/* ---- Parents that have not ended */
struct view_parent {
    struct id id;
    const char *principal;
    struct span key, name; /* name: the plan's */
    int64_t begun_at;
    uint64_t epoch;       /* of the last driver; 0: none yet */
    const char *driver;   /* the principal that drives it now; "": none */
    uint64_t driver_peer; /* the session that drives it now; 0: none */
    struct span parent;   /* d_signed of the d_parent */
    uint64_t lsn;         /* of its last record */
};
bool view_parent(const struct bcore *c, const struct id *parent, struct view_parent *ret);
/* Walks them by id, from after = ID_ZERO; each call costs the logarithm of their number. */
bool view_parent_after(const struct bcore *c, const struct id *after, struct view_parent *ret);
/* Walks them from the greatest id to the least, from before = ID_ZERO. */
bool view_parent_before(const struct bcore *c, const struct id *before, struct view_parent *ret);

/* ---- Desired packages, certificates, revocations */
struct view_deployment {
    const char *address, *name, *by;
    struct hash package;
    int64_t at;
    uint64_t size;
    struct span deployment; /* d_signed */
};
/* Walks them by (address, name), from both "". */
bool view_deployment_after(const struct bcore *c, const char *address, const char *name,
                           struct view_deployment *ret);
/* Appends a server's whole desired state as in DESIRED: a d_deployed each, with wire_add_bin.
 * Returns how many. */
uint32_t view_desired(const struct bcore *c, const char *server, struct buf *items);

struct view_secret {
    const char *name, *address, *by;
    uint64_t version;
    int64_t at;
    struct span secret; /* d_signed */
};
/* Walks them by (name, address), from both "". */
bool view_secret_after(const struct bcore *c, const char *name, const char *address,
                       struct view_secret *ret);

struct view_certificate {
    const char *name, *role;
    uint64_t serial;
    int64_t at;
    struct span certificate; /* d_signed */
};
/* serial 0: the last one recorded for this name. */
bool view_certificate(const struct bcore *c, const char *name, uint64_t serial,
                      struct view_certificate *ret);
/* Walks them by (name, serial), from "" and 0. */
bool view_certificate_after(const struct bcore *c, const char *name, uint64_t serial,
                            struct view_certificate *ret);

/* The signed list (d_signed) and its number; empty and 0: none yet. */
struct span view_revocations(const struct bcore *c, uint64_t *ret_number);
bool view_revoked(const struct bcore *c, uint64_t serial);

/* ---- What each principal holds: of all that have a session or something live here */
struct view_account {
    const char *name;
    uint64_t sessions, runs, parents, follows;
    uint64_t memory; /* bytes that count against memory_budget */
    uint64_t most_runs, most_memory, refused_runs, refused_memory;
    /* of a server: bytes of evidence that still count against its budget; results not kept */
    uint64_t evidence, refused_evidence;
};
/* In no order. */
void view_accounts(const struct bcore *c, void (*take)(void *self, const struct view_account *v),
                   void *self);

/* ---- Counts */
struct view_counts {
    uint64_t runs[RUN_STATE_COUNT]; /* in memory, by state; ENDED: always 0 */
    uint64_t parents, servers, servers_up, sessions, classes, kept, principals;
    uint64_t memory; /* bytes that runs take, as judged against memory_budget */
    uint64_t bodies; /* of these, the bytes of calls whose records are on disk */
    uint64_t epoch, lsn, committed;
    uint64_t accepted, ended, refused, returned, lost, evidence; /* since the broker started */
    uint64_t decisions; /* attempts handed over since the broker started */
    /* results not kept: of attempts never handed over; beyond a server's budget */
    uint64_t forged, unkept;
};
void view_counts(const struct bcore *c, struct view_counts *ret);

#endif
