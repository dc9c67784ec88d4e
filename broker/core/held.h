/* held.h - what the broker's core holds. Only inside.h includes it.
 *
 * Durable is what apply.c writes: runs with their attempts, keys of ended runs, parents,
 * certificates (which make the servers), deployments, secrets, revocations, draining, the epoch.
 * Fields below a line "derived" are rebuilt in a new process and are in no digest. */
#ifndef LB_BROKER_CORE_HELD_H
#define LB_BROKER_CORE_HELD_H

#include "broker/core/accounts.h"
#include "broker/core/core.h"
#include "broker/core/explain.h"
#include "broker/core/keyfilter.h"
#include "broker/core/order.h"
#include "broker/core/registry.h"
#include "broker/core/rivals.h"
#include "broker/core/table.h"
#include "broker/core/vault.h"
#include "common/heap.h"
#include "common/mem.h"
#include "trust/budget.h"
#include "trust/certificate.h"

/* ---- Names and certificates, each held once (names.c) */
struct text {
    uint64_t hash;
    uint32_t refs, n;
    char s[]; /* NUL after n */
};

struct key128 {
    uint64_t a, b;
};

struct run;
struct server;
struct peer_state;
struct class;

/* ---- Attempts: a run at a server */
struct attempt {
    struct text *server_name;
    struct id spool, boot, incarnation; /* as its server's HELLO said; zero: not known */
    struct hash job_hash;
    uint64_t lost_after_ms;
    int64_t assigned_at, started_at; /* wall; started_at 0: not yet */
    struct text *step;               /* the last one started; NULL: none */
    uint8_t on_lost;
    /* derived */
    struct run *run;
    struct server *server;
    struct attempt *prev, *next;   /* of the server */
    struct job_version *job;       /* as its server attests it; NULL: it does not */
    struct attempt *older, *newer; /* of the class, sent ahead of a free slot and not yet started */
    int64_t handed;                /* boot */
    char *progress;                /* NULL: none */
    uint8_t percent;
    uint16_t steps;             /* records of it */
    bool ahead, recalled, seen; /* seen: listed by HAVE in this session */
    bool waits;                 /* for its next try: it takes no slot */
    bool lasting; /* at hand-over its job took PREFETCH_NONE_MS or more, or was not measured */
};

/* An attempt of a held run that a server has reported (strays.c); one for each server. */
struct stray {
    struct text *server_name;
    uint64_t peer; /* the session that reported it; unknown once that has ended */
    uint64_t attempt;
    struct stray *next;
};

struct cancel {
    struct text *by;
    bool force;
    char *reason;
};

/* ---- Runs that have not ended */
struct run {
    struct id id;
    struct key128 key;
    struct hash digest;
    uint32_t attempt, call_n; /* call_n: of `call` below */
    struct text *principal, *certificate;
    struct text *declined; /* by these servers (declined.c); NULL: by none */
    struct cancel *cancel; /* NULL: not asked */
    struct attempt *at;    /* NULL: waiting or held */
    struct lane *lane;
    /* of its last record: messages about the run rest on this */
    uint64_t lsn;
    /* of its first: the store has the call's bytes there */
    uint64_t called_lsn;
    int64_t called_at, expires;              /* wall; expires 0: never */
    uint64_t start_within_ms, lost_after_ms; /* signed; 0: the cluster's */
    /* never PARKED (see run_state_of), never ENDED but in the graveyard */
    uint8_t state;
    uint8_t on_lost; /* signed */
    uint8_t priority;
    bool started_once;
    bool lost_once; /* an attempt, or the time since a backup, was lost: it may have run */
    bool restored;  /* held since a backup was restored */
    bool settled;   /* derived: its first record is on disk; see bodies.c */
    /* derived */
    uint8_t *call;    /* d_signed as received; NULL: in the store only (bodies.c) */
    uint64_t seq;     /* order of acceptance */
    int64_t accepted; /* boot; in the past if the run is older than this process */
    struct heap_node ready, timer;
    struct run *older, *newer; /* all runs, in order of acceptance */
    struct order_node node;    /* and by their ids: a walk goes on behind a run that is gone */
    struct follow *followers;
    struct stray *strays;
};

/* ---- Keys and ids of ended runs and parents (kept.c) */
enum { KEPT_REPORTED = 1, KEPT_PARENT = 2, KEPT_RELEASED = 4 };
struct kept {
    struct key128 key;
    struct id id;
    uint8_t digest[16]; /* the first half */
    int64_t at;
    uint64_t lsn;
    uint32_t attempt;
    uint8_t flags;
};
struct kept_ring {
    struct kept *v;
    uint64_t first, next; /* numbers of entries, from 1; entry i lies at v[i & (cap - 1)] */
    size_t cap;
    struct table by_id, by_key;
    uint64_t forgot_lsn; /* of the newest end that is missing; 0: none is */
    struct keyfilter forgotten;
    bool unlisted; /* of the ends that the replay left out, not all keys are in `forgotten` */
};

struct evidence {
    struct id run;
    uint64_t attempt, lsn;
};

/* ---- Placement (queue.c, placement.c) */
struct group { /* a principal's parent run, or its calls without a parent; groups take turns */
    struct id parent;
    struct account *account;
    uint32_t refs;
    uint64_t served; /* number of the last decision that served it */
};

/* The waiting runs of one principal and priority within a class. Principals take turns, and within
 * each its groups. Tags make the turns: what a principal has waiting has tags one apart, and the
 * class serves the lowest tag first, so two principals alternate however many runs each has. */
struct turns {
    struct class *class;
    struct account *account;
    uint8_t priority;
    uint32_t refs;
    struct heap ready;     /* of runs */
    struct heap_node node; /* in class->ready while there are any */
    uint64_t tag;          /* of the last of its runs that was served, as the class counts */
    uint64_t lane_tag;     /* the same, as its lanes count */
};

/* The runs of one group and priority within a class; lanes alternate as principals do. */
struct lane {
    struct turns *turns;
    struct class *class;
    struct group *group;
    uint8_t priority;
    uint32_t refs;
    uint64_t last_tag;
};

struct class
{ /* runs that the same servers can take */
    struct text *address, *job;
    struct hash job_hash;  /* zero: any version that the server has */
    struct text *declined; /* servers that have refused each of its runs; NULL: none */
    uint32_t refs;         /* lanes */
    struct account *owner; /* who brought it, and pays for it; NULL: idle */
    struct table lanes, turns;
    /* derived */
    size_t waiting;    /* runs */
    struct heap ready; /* of turns */
    struct heap seats; /* eligible servers, best first; a key may overrate, never underrate */
    uint64_t tag[10];  /* of the last run served, by priority */
    struct attempt *ahead_first, *ahead_last; /* oldest first */
    struct heap_node recall;                  /* timer */
    int64_t parked_since;                     /* boot; meaningful while no seat is there */
    bool seated;                              /* its seats have been computed */
    struct seat *mark;                        /* of the server that queue_refresh_seats looks at */
    char *why; /* why it is parked, as last computed: see parked_reason in follow.c */
    int64_t why_at;
    uint64_t why_eligibility;
    struct class *idle_prev, *idle_next;
    bool idle;
};

struct seat {
    struct heap_node node; /* in class->seats: key from the credit, tie the last use */
    struct class *class;
    struct server *server;
    struct job_version *job;
    struct seat *prev, *next; /* of the server */
};

/* ---- Servers */
struct job_version { /* a version that a server attests */
    struct text *name, *version;
    struct hash hash;
    uint64_t concurrency, live;
    int64_t mean_us; /* 0: not measured */
    bool idempotent;
    uint8_t older;        /* 0: the current version at its server */
    unsigned unmet;       /* 1 + index of the first need that does not hold; 0: all hold */
    struct span attested; /* in the server's attest */
    /* why it has refused a run of this job by its own fault; NULL: it has not, since it attested */
    char *refused;
    int64_t refused_until; /* boot: it gets none before; 0: it may get some */
};

struct server {
    struct text *name;
    struct text **pools;
    const char **pool_names; /* of the same, for view.h */
    unsigned n_pools;
    bool enrolled, draining;
    char *draining_reason;
    /* of the last r_server, for people; in no digest, as the next */
    struct id last_spool, last_boot;
    struct text *software;
    /* derived */
    struct peer_state *peer; /* NULL: no session */
    struct id spool, boot, incarnation;
    char *address, *process; /* process: as HELLO says it */
    struct rival rival;
    int64_t heard, heard_wall, up_since; /* heard: boot */
    bool leased;                         /* the lease has not ended */
    bool ready;                          /* HAVE_END has come in this session */
    bool resting;
    unsigned returns; /* unasked, one after another */
    struct rate sessions, evidence;
    uint64_t forged, unkept;            /* as in bcore_counts; the first of each is noted */
    struct heap_node lease, rest, mend; /* timers; mend: jobs that it refuses may be tried again */
    /* n_waits: of n_live; n_long: without those that wait */
    uint64_t haves, slots, n_live, n_waits, n_long, n_started, ended, last_used;
    struct buf attest; /* the last m_attest as received; jobs, packages, needs point into it */
    struct job_version *jobs; /* by name, the current version of each first */
    struct span *packages, *needs;
    unsigned n_jobs, n_packages, n_needs;
    struct wire_list facts;
    struct attempt *attempts;
    struct seat *seats;
};

/* ---- Peers and what they follow */
struct peer_state {
    uint64_t handle, serial;
    struct text *name;
    struct account *account;
    struct parent *drives; /* the first of those that it drives */
    bool is_server, window_open;
    struct server *server; /* whose worker it is */
    struct follow *follows, *dirty_first, *dirty_last;
    struct peer_state *drain_next;
    bool draining; /* has dirty ones and an open window: continues at the next tick */
};

struct follow {
    struct peer_state *peer;
    struct run *run; /* NULL: it has ended and the peer is still to be told */
    struct id id;
    struct follow *run_prev, *run_next, *peer_prev, *peer_next, *dirty_next;
    uint8_t level;
    bool dirty;
};

/* ---- Parents */
struct parent {
    struct id id;
    struct key128 key;
    struct hash digest;
    struct text *principal;
    struct buf body; /* d_signed */
    int64_t begun_at;
    uint64_t epoch, lsn;
    struct text *driven_by; /* the principal of the last driver; NULL: none yet */
    /* derived */
    uint64_t tasks; /* of its body: how many children it may have, an `each` counted once */
    struct account *account;
    struct rate drives;
    struct peer_state *driver;
    struct parent *drives_prev, *drives_next; /* of the driver */
    struct order_node node;
};

struct bcore_counts {
    uint64_t accepted, ended, refused, returned, lost, evidence, decisions;
    uint64_t forged, unkept; /* results: of attempts never handed over; beyond a server's budget */
};

struct bcore {
    struct bcore_config config;
    struct buf certificate;
    struct buf next_certificate; /* for WELCOME */
    uint64_t lsn, epoch;
    struct table runs, runs_by_key, parents, parents_by_key;
    struct order_node *parents_in_order, *runs_in_order;
    struct run *oldest, *newest;
    uint64_t n_runs;
    struct kept_ring kept;
    struct enrolled *enrolled; /* by (name, serial) */
    unsigned n_enrolled, cap_enrolled;
    struct deployment *deployments; /* by (address, name) */
    unsigned n_deployments, cap_deployments;
    struct vault vault;     /* secrets */
    struct buf revocations; /* d_signed; empty: none */
    uint64_t revocations_number;
    uint64_t *revoked;
    size_t n_revoked;
    struct server **servers; /* by name */
    unsigned n_servers, cap_servers;
    /* derived */
    struct account *gone_first, *gone_last; /* accounts */
    unsigned n_gone;
    struct table texts, accounts, classes, groups, peers, pools;
    struct class *idle_first, *idle_last;
    unsigned n_idle;
    struct evidence *evidence; /* a ring */
    unsigned n_evidence, next_evidence;
    struct heap timers;
    struct heap_node look; /* timer: was the process paused? */
    /* version of eligibility: grows with each change */
    uint64_t timer_order, seq, generation, eligibility;
    /* bytes; bodies: of the calls among them that are settled */
    uint64_t memory, bodies, committed;
    /* the oldest whose first record is not known to be on disk; NULL: none */
    struct run *unsettled;
    bool store_full, live; /* live: bcore_begin was called */
    int64_t begun_at;      /* boot, of bcore_begin */
    int64_t restored_at;   /* wall, of this process's bcore_begin; 0: not from a backup */
    struct peer_state *drain_first, *drain_last;
    struct run *graveyard; /* ended in this step; linked by `newer` */
    struct bcore_counts counts;
    struct buf scratch; /* messages made by the broker */
    /* of this step */
    struct bcore_out *out;
    const struct bcore_event *ev;
    int64_t now, wall;
};

#endif
