/* inside.h - what the files of the broker's core share; what it holds is in held.h. No other room
 * includes it. */
#ifndef LB_BROKER_CORE_INSIDE_H
#define LB_BROKER_CORE_INSIDE_H

#include "broker/core/held.h"

enum {
    /* run time sent ahead beyond a server's slots; less: slots run dry between frames */
    PREFETCH_MS = 50,
    PREFETCH_NONE_MS = 1000, /* jobs that take this long are never sent ahead of a free slot */
    RECALL_AFTER_MS = 100,   /* twice PREFETCH_MS: a run sent ahead should have started by then */
    REST_MS = 1000, /* pause of a server that returned a run unasked; less: a stream of records */
    FOLLOW_BATCH = 256, /* messages to one peer when its window opens, before others are served */
    WHY_MS = 1000,      /* how long the sentence that says why a class is parked is reused */
    CLASSES_IDLE = 256, /* classes kept without runs, so that a single call finds its seats ready */
    RETRY_SPACING_MS = 1,    /* refused calls of one principal return at most once in this time */
    RETRY_LATEST_MS = 60000, /* ... but none is told to wait longer than this */
    /* a server that has refused a job by its own fault gets no run of it for this long, unless it
       attests anew before: each time costs one run a detour of a few ms */
    REFUSED_MS = 60000,
    DECLINED_MAX = 32,        /* servers that one run goes on from; then the refusal is its end */
    RESTORED_ATTEMPTS = 1000, /* more attempts than a run has between two backups */
    MEAN_WEIGHT = 8           /* the weight of a new run time is one eighth */
};

/* ---- names.c */
uint64_t bcore_hash_keyed(const struct bcore *c, const void *p, size_t n);
uint64_t bcore_hash_id(const struct id *id);
uint64_t bcore_hash_mix(uint64_t a, uint64_t b); /* for values that peers do not choose */
struct key128 key128_of(const struct bcore *c, struct span principal, struct span key, bool parent);
struct text *text_get(struct bcore *c, struct span s);        /* adds a reference, which is yours */
struct text *text_find(const struct bcore *c, struct span s); /* lent; NULL: not in use */
struct text *text_ref(struct text *t);
void text_put(struct bcore *c, struct text **t);
void bcore_tables_init(struct bcore *c);

/* ---- out.c: records and effects of this step */
/* Encodes a record, gives it the next lsn, applies it. */
uint64_t out_emit(struct bcore *c, const struct wire_schema *s, const void *record);
#define EMIT(c, low, ...) out_emit(c, &r_##low##_schema, &(struct r_##low){__VA_ARGS__})
void out_send(struct bcore *c, uint64_t peer, uint64_t rests_on, const struct wire_schema *s,
              const void *message);
#define SEND(c, to, rests, low, ...) \
    out_send(c, to, rests, &m_##low##_schema, &(struct m_##low){__VA_ARGS__})
void out_close(struct bcore *c, uint64_t peer, const struct wire_schema *s, const void *message);
void out_refuse(struct bcore *c, uint64_t peer, enum refusal code, uint64_t retry_ms,
                const char *fmt, ...)
    __attribute__((format(printf, 5, 6))); /* CLOSE with REFUSED */
void out_lookup(struct bcore *c, uint64_t peer, uint64_t req, struct id run, uint64_t level,
                uint64_t rests_on);
void out_lookup_key(struct bcore *c, uint64_t peer, uint64_t req, struct span key, bool parent);
/* EXECUTE of a run whose call is in the store only; the message has none. */
void out_execute(struct bcore *c, const struct run *r, const struct m_execute *message);
/* An ERROR answer to the peer of this event. Counts as refused. */
void out_fail(struct bcore *c, uint64_t req, enum refusal code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* An ERROR that tells the state of a run or parent: it leaves once that is on disk. */
void out_fail_after(struct bcore *c, uint64_t rests_on, uint64_t req, enum refusal code,
                    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void out_fail_busy(struct bcore *c, uint64_t req, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void out_done(struct bcore *c, uint64_t req, uint64_t rests_on, const char *text);
void out_lookup_handed(struct bcore *c, const struct peer_state *p, struct id run,
                       uint64_t attempt);
void out_note(struct bcore *c, const struct peer_state *p, struct id run, const char *text);
void out_finish(struct bcore_out *out);

/* ---- apply.c: the one function that changes the durable state */
int apply_record(struct bcore *c, uint64_t lsn, struct span record, struct error *err);

/* ---- runs.c */
struct run *run_find(const struct bcore *c, struct id id);
struct run *run_by_key(const struct bcore *c, struct key128 key);
struct run *run_new(struct bcore *c, struct id id, struct span call, const struct d_call *d);
void run_unlink(struct bcore *c, struct run *r); /* out of every table, into the graveyard */
void run_free(struct bcore *c, struct run *r);
/* bytes that a run takes in total; call_n 0: without its call */
uint64_t run_cost(size_t call_n);
enum run_state run_state_of(const struct run *r); /* with PARKED */
int run_move(struct run *r, enum run_event ev, struct error *err);
struct attempt *attempt_new(struct bcore *c, struct run *r, struct span server);
void attempt_free(struct bcore *c, struct run *r);
void run_cancel_free(struct bcore *c, struct run *r);
void runs_empty_graveyard(struct bcore *c);
/* The end of a run: emits r_ended with this outcome, tells followers, frees its server's slot.
 * signature: whose words these are; empty: the broker's own. executions: as in RESULT. */
void run_end(struct bcore *c, struct run *r, struct span outcome, struct span signature,
             struct span executions, bool reported);
struct bcore_verdict {
    enum delivery delivery;
    enum job_outcome job;
    enum package_outcome package;
    enum refusal code;
};
/* The same, with an outcome made by the broker. */
void run_end_by_broker(struct bcore *c, struct run *r, struct bcore_verdict v, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A run with a pending cancel has come back from its server. */
void run_end_cancelled(struct bcore *c, struct run *r);
/* It has used up its attempt numbers. */
void run_end_used_up(struct bcore *c, struct run *r);
/* Timers of a waiting run: expiry, start_within. */
void run_watch(struct bcore *c, struct run *r);
void run_timer_due(struct bcore *c, struct run *r);

/* ---- bodies.c */
/* of a new run: copied, or left to the store */
void bodies_take(struct bcore *c, struct run *r, struct span call);
void bodies_free(struct bcore *c, struct run *r);
void bodies_settle(struct bcore *c);                      /* more records are on disk */
void bodies_forget(struct bcore *c, const struct run *r); /* the run ends */

/* ---- kept.c */
void kept_init(struct bcore *c);
void kept_free(struct bcore *c);
void kept_begin(struct bcore *c); /* after the replay */
void kept_list(struct bcore *c);  /* BCORE_ENDED_KEYS */
void kept_add(struct bcore *c, const struct kept *k);
const struct kept *kept_by_id(const struct bcore *c, struct id id);
const struct kept *kept_by_key(const struct bcore *c, struct key128 key);
/* May this key, which is not here, have ended and been forgotten, and is that left open by the
 * store's answer, if this event has one? The answer does not cover keys that ended and were
 * forgotten after the question. */
bool kept_must_ask(const struct bcore *c, struct key128 key);
void evidence_add(struct bcore *c, struct id run, uint64_t attempt, uint64_t lsn);
const struct evidence *evidence_find(const struct bcore *c, struct id run, uint64_t attempt);

/* ---- queue.c */
/* a reference */
struct lane *lane_get(struct bcore *c, const struct d_call *d, struct text *principal);
/* What a run of this call takes besides run_cost. *ret_new: no run of its class is live. */
uint64_t lane_cost(const struct bcore *c, const struct d_call *d, struct account *a, bool *ret_new);
void lane_put(struct bcore *c, struct lane **lane);
/* Also looks for a server. A run that has used up its attempt numbers ends instead. */
void queue_add(struct bcore *c, struct run *r);
void queue_remove(struct bcore *c, struct run *r); /* if it is in the queue */
void queue_serve(struct bcore *c, struct run *r);  /* the same, and the others' turn comes */
struct run *queue_first(const struct class *cl);
void class_free_all(struct bcore *c);
bool class_parked(const struct class *cl);
/* Eligibility of this server has changed: all classes look again. */
void queue_refresh_seats(struct bcore *c, struct server *s);
/* The conditions that do not hold, bits 1 << EXPLAIN_x, of the lasting ones. *ret_job: the version
 * it would run. */
unsigned seat_judge(const struct server *s, const struct class *cl, struct job_version **ret_job);

/* The run waits in the class of runs that these servers have refused. */
void lane_move(struct bcore *c, struct run *r, struct text *declined);

/* ---- placement.c */
/* The attempt begins or ceases to wait for its next try. */
void attempt_waits(struct bcore *c, struct attempt *a, bool waits);
uint64_t placement_credit(const struct server *s, const struct job_version *j);
void class_pump(struct bcore *c, struct class *cl);
void server_pump(struct bcore *c, struct server *s);      /* call when it may have more room */
void attempt_settled(struct bcore *c, struct attempt *a); /* started or gone: no longer ahead */
void placement_recall_due(struct bcore *c, struct class *cl);
void seat_place(struct bcore *c, struct seat *s);
void placement_rest_due(struct bcore *c, struct server *s);

/* ---- attest.c */
void bcore_on_attest(struct bcore *c, struct peer_state *p);
void bcore_on_resolve(struct bcore *c, struct peer_state *p);
void attest_clear(struct bcore *c, struct server *s);
/* The versions of one job among a server's jobs, the current one first. */
struct job_version *attest_named(struct job_version *jobs, unsigned n, const struct text *name,
                                 unsigned *ret_n);

/* ---- servers.c, leases.c */
struct server *server_find(const struct bcore *c, struct span name);
struct server *server_get(struct bcore *c, struct span name);
void server_free(struct bcore *c, struct server **s);
void server_remove(struct bcore *c, struct server *s);
bool server_in(const struct server *s, const struct text *address);
/* The candidates for the address, by name; ask server_in of each. Lent. */
struct server *const *servers_members(const struct bcore *c, const struct text *address,
                                      unsigned *ret_n);
void server_set_pools(struct bcore *c, struct server *s, const struct wire_list *pools);
/* one of them; NULL: no such pool */
const struct server *servers_pool_member(const struct bcore *c, struct span pool);
bool servers_know_address(const struct bcore *c, struct span address);
void server_hello(struct bcore *c, struct peer_state *p, struct server *s,
                  const struct m_hello *hello);
void server_gone(struct bcore *c, struct server *s); /* its session is over */
void bcore_on_have(struct bcore *c, struct peer_state *p);
void bcore_on_have_end(struct bcore *c, struct peer_state *p);
void cancel_send_stop(struct bcore *c, const struct run *r);
void lease_renew(struct bcore *c, struct server *s);
/* Call it before due timers fire: if the broker itself was away, stopped or asleep with its
 * machine, the time of every server starts again, as after a start. */
void leases_look(struct bcore *c);
void lease_due(struct bcore *c, struct server *s);
void attempt_silent(struct bcore *c, struct run *r,
                    int64_t since); /* out of contact; lost_after counts from `since` */
/* on_lost decides. why: a sentence for people; NULL: nothing was heard for lost_after. */
void attempt_lost(struct bcore *c, struct run *r, const char *why);

/* ---- strays.c */
/* This peer has an attempt that does not count: tells the peer to end it, or remembers it. */
void stray_met(struct bcore *c, const struct peer_state *p, struct id run, uint64_t attempt);
/* the peer no longer has it */
void stray_over(struct bcore *c, const struct peer_state *p, struct id run, uint64_t attempt);
/* The held run has been decided: the servers that still have it are told to end it. force: another
   attempt may follow. */
void strays_end(struct bcore *c, const struct run *r, bool force);
/* The connected servers that have it, "wh1, wh2". False: none. */
bool strays_text(const struct bcore *c, const struct run *r, char *ret, size_t size);
void strays_forget(struct bcore *c, struct run *r);

/* ---- the other verbs */
void bcore_on_call(struct bcore *c, struct peer_state *p);
void bcore_on_cancel(struct bcore *c, struct peer_state *p);
void cancel_release(struct bcore *c, struct peer_state *p, const struct m_operate *m);
void bcore_on_started(struct bcore *c, struct peer_state *p);
void bcore_on_progress(struct bcore *c, struct peer_state *p);
void bcore_on_result(struct bcore *c, struct peer_state *p);
void bcore_on_returned(struct bcore *c, struct peer_state *p);
void bcore_on_operate(struct bcore *c, struct peer_state *p);
void bcore_on_parent_begin(struct bcore *c, struct peer_state *p);
void bcore_on_parent_drive(struct bcore *c, struct peer_state *p);
void bcore_on_parent_end(struct bcore *c, struct peer_state *p);
void parents_peer_down(struct peer_state *p);
struct parent *parent_find(const struct bcore *c, struct id id);
void parent_free(struct bcore *c, struct parent **p);
uint64_t parent_cost(size_t body_n); /* bytes that one takes in total */
/* May this session start something below this parent? If not, answers ERROR. */
bool parents_admit(struct bcore *c, const struct peer_state *peer, uint64_t req, struct id parent,
                   uint64_t index);

/* ---- follow.c */
void follow_add(struct bcore *c, struct peer_state *p, struct run *r, uint64_t level);
uint64_t follow_cost(void); /* bytes of one */
void bcore_on_follow(struct bcore *c, struct peer_state *p);
void follow_state(struct bcore *c, struct run *r);    /* its state has changed */
void follow_progress(struct bcore *c, struct run *r); /* only its text or percentage */
void follow_end(struct bcore *c, struct run *r, struct span outcome, struct span signature,
                struct span server);
void follow_window(struct bcore *c, struct peer_state *p);
void follow_drain(struct bcore *c);
void follow_peer_down(struct bcore *c, struct peer_state *p);
void follow_send_state(struct bcore *c, struct peer_state *p, const struct run *r);
void explain_reason(const struct bcore *c, const struct run *r, char *out, size_t size);

/* ---- core.c */
struct peer_state *bcore_peer_find(const struct bcore *c, uint64_t handle);
void bcore_peer_forget(struct bcore *c, struct peer_state *p);
enum timer_kind {
    TIMER_RUN,
    TIMER_LEASE,
    TIMER_REST,
    TIMER_MEND,
    TIMER_RECALL,
    TIMER_LOOK,
    TIMER_KINDS
};
void bcore_timer_set(struct bcore *c, struct heap_node *node, enum timer_kind kind, int64_t at);
void bcore_timer_clear(struct bcore *c, struct heap_node *node);
/* Decodes the event's message; a malformed one closes the session; returns false. */
bool bcore_take(struct bcore *c, struct peer_state *p, const struct wire_schema *s, void *ret);
#define TAKE(c, p, low, ret) bcore_take(c, p, &m_##low##_schema, ret)

#endif
