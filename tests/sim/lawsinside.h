/* lawsinside.h - what the witness remembers; for the laws*.c and witness.c. */
#ifndef LB_TESTS_SIM_LAWSINSIDE_H
#define LB_TESTS_SIM_LAWSINSIDE_H

#include "common/hashtable.h"
#include "common/mem.h"
#include "parent/core/oracle.h"
#include "tests/sim/laws.h"

enum {
    MOVES_A_STEP = 4, /* in one step of the broker: returned, assigned, started, cancelled */
    PLANS_MAX = 16,
    MONITORS_MAX = 4
};

/* A run, as the durable journal has it. */
struct fact {
    struct id run, parent;
    char caller[LIMIT_NAME + 1], key[LIMIT_KEY + 1], address[LIMIT_NAME + 1];
    struct hash body, call; /* of the body, and of all that was signed */
    struct hash pinned;     /* zero: any version */
    enum on_lost signed_on_lost;
    /* by the journal's moves: never PARKED; OUT_OF_CONTACT only when lost to fail */
    enum run_state state;
    uint64_t attempt, ended_attempt;
    uint64_t end; /* its number among all ends, from 1 */
    /* attempts up to this one may still execute somewhere: an operator has released the run */
    uint64_t by_hand;
    bool live;  /* the attempt is with a server */
    bool again; /* another attempt may follow */
    bool started, cancelled, ended, accepted;
    struct buf outcome;
    UT_hash_handle hh;
};

struct child_fact {
    char step[LIMIT_NAME + 1];
    uint64_t try_no;
    int64_t over_at; /* true time */
    bool live, vanished, always;
    enum package_outcome package;
};

struct tried_key {
    struct id run;
    uint64_t attempt;
};

/* An attempt, as the world knows it. */
struct tried {
    struct tried_key key;
    char server[LIMIT_NAME + 1];
    struct id spool, boot, incarnation;
    struct hash job;
    enum on_lost on_lost;
    bool assigned, returned, declined, is_finished, started;
    uint64_t lost_after_ms;
    int64_t stop_heard;                   /* 0: not */
    int64_t waits_said;                   /* that it waits for its next try; 0: not yet */
    uint64_t evidence_in;                 /* the broker's process that recorded it */
    struct buf finished, finished_before; /* before: a power cut took that entry */
    struct child_fact *children;
    unsigned n_children, live;
    UT_hash_handle hh;
};

/* A key, as its caller used it. */
struct keyed {
    struct {
        char caller[32], key[64];
    } key;
    struct id run;    /* zero: no answer yet */
    struct hash body; /* of the accepted call */
    UT_hash_handle hh;
};

/* A live run in the broker's memory. */
struct viewed {
    struct id run;
    enum run_state state;
    uint64_t seen; /* the step in which it was last seen */
    UT_hash_handle hh;
};

struct job_fact {
    struct hash hash;
    bool idempotent;
    uint64_t concurrency;
};

/* ---- Parents */
struct plan_fact {
    char caller[32], key[48];
    struct hash body;
    const struct graph *graph;
};

struct parent_fact {
    struct id run;
    const struct plan_fact *plan; /* NULL: no driver had such a plan */
    uint64_t epoch, told_epoch, told_peer;
    struct id children[ORACLE_TASKS][ORACLE_COUNT];
    bool accepted, cancel_asked, ended;
    enum status status;
    UT_hash_handle hh;
};

/* ---- Events, in the order of the journal; lsn: index + 1 */
struct event_fact {
    uint64_t kind;
    struct id parent; /* of its run */
    int status;       /* -1: none */
    char server[16];
};

struct monitor_fact {
    char name[32];
    uint64_t req, position;
    struct sim_filter filter;
};

struct credit_fact { /* of a subscription, as the broker has it */
    uint64_t peer, req, credit, sent, taken, longest;
    /* 1 + the number behind which the store was asked since the monitor's last message; 0: not */
    uint64_t asked;
};

struct member_fact {
    char name[LIMIT_NAME + 1];
    unsigned pools;
};

struct server_fact {
    char name[LIMIT_NAME + 1];
    struct id spool; /* zero: covers all, for `reached`, `steady` and `rests` */
    /* true times; see laws_heard, laws_reached, laws_steady; rests: it may get no run before */
    int64_t heard, reached, steady, rests;
    struct id boot; /* since the last power cut; zero: there was none */
    bool rebooted;
};

struct wait_fact { /* the first waiting run of a principal, and another that is served */
    struct id run;
    char by[32];
    unsigned starts;
};

struct laws {
    struct world *w;
    enum law broken;
    char text[400];
    struct fact *facts;
    struct tried *tried;
    struct keyed *keys;
    struct viewed *views;
    struct job_fact *jobs;
    struct server_fact *servers;
    struct member_fact *members;
    unsigned n_jobs, n_members, n_servers, children;
    int64_t listens; /* see laws_listens */
    uint64_t kept, ends;
    uint64_t broker_turn, step; /* broker_turn: counts its processes, from 1 */
    bool reach[RUN_STATE_COUNT][RUN_STATE_COUNT];
    struct plan_fact *plans[PLANS_MAX];
    unsigned n_plans;
    struct parent_fact *parents;
    struct event_fact *events;
    size_t n_events, cap_events;
    struct monitor_fact monitors[MONITORS_MAX];
    unsigned n_monitors;
    struct credit_fact *credits;
    unsigned n_credits;
    struct wait_fact *waits;
    unsigned n_waits;
    struct tried_key *lenders; /* wait for their next try, as the broker was told */
    unsigned n_lenders;
    uint64_t room_runs, room_memory; /* see laws_room */
};

struct fact *fact_find(const struct laws *l, struct id run);
struct tried *tried_find(const struct laws *l, struct id run, uint64_t attempt);
/* Has this server refused one of the run's first `attempts`? Then it gets no other. */
bool tried_declined(const struct laws *l, struct id run, uint64_t attempts, struct span server);
/* It is made, if there is none yet. */
struct tried *tried_get(struct laws *l, struct id run, uint64_t attempt);
/* Of this server; spool zero: see server_fact. Valid until the next call. */
struct server_fact *lawstime_server(struct laws *l, struct span name, struct id spool);
/* Since when its worker has had session, runner and an even wall clock; INT64_MAX: it has not. */
int64_t lawstime_undisturbed(struct laws *l, const struct tried *a);
/* Was its server ever started anew? Then nobody can tell whether a step that waited there began. */
bool lawstime_was_rebooted(struct laws *l, const struct tried *a);
/* Was its server's power cut since the attempt was handed over? */
bool lawstime_was_cut(struct laws *l, const struct tried *a);
void lawstime_judge_stopped(struct laws *l, const struct tried *a, const struct child_fact *c);
void laws_forget_views(struct laws *l);

/* ---- lawsparents.c */
struct parent_fact *parent_fact_find(const struct laws *l, struct id run);
/* durable: perhaps a parent's child */
void lawsparents_called(struct laws *l, struct id run, const struct d_call *d);
/* false: it is not a record of a parent */
bool lawsparents_durable(struct laws *l, const struct journal_record *j);
void lawsparents_say(struct laws *l, uint64_t peer, const struct m_driving *m);
void lawsparents_begin(struct laws *l, const struct bcore *c); /* a new broker */
void lawsparents_free(struct laws *l);

/* ---- lawsothers.c */
void lawsothers_begin(struct laws *l); /* a new broker */
void lawsothers_free(struct laws *l);

/* ---- lawswaits.c */
/* The step is tried again. before: its last try */
void lawswaits_launched(struct laws *l, const struct tried *a, const struct child_fact *before,
                        const struct d_step *s);
void lawswaits_stepped(struct laws *l, const struct laws_turn *t);
void lawswaits_begin(struct laws *l); /* a new broker */
void lawswaits_free(struct laws *l);

/* ---- lawsseeing.c */
void lawsseeing_durable(struct laws *l, const struct journal_record *j);
void lawsseeing_say(struct laws *l, uint64_t peer, const struct m_events *m);
void lawsseeing_begin(struct laws *l);
void lawsseeing_end(struct laws *l);

#endif
