/* testing.h - a broker's core under test: sessions that send encoded messages, a log of the
 * effects, a clock.
 *
 * All records of a test are kept. At its end, and at world_restart, they are replayed into a second
 * core, whose digest must be equal. For tests only. */
#ifndef LB_BROKER_CORE_TESTING_H
#define LB_BROKER_CORE_TESTING_H

#include "common/testing.h"
#include "broker/core/explain.h"
#include "broker/core/view.h"
#include "trust/call.h"
#include "trust/envelope.h"

enum { WORLD_WALL = 1000000, WORLD_SLOTS = 2 };

struct world_logged {
    struct bcore_effect effect; /* body: a copy */
    uint64_t kind;              /* of the message */
    bool taken;
};

struct core_world {
    struct bcore_config config;
    struct bcore *core;
    struct bcore_out out;
    int64_t now, wall;
    uint64_t peers, steps, lsn; /* peers: the last handle; lsn: the last record */
    struct buf journal;         /* u64 lsn, u64 length, body ... */
    struct world_logged *log;
    size_t n_log;
    struct buf scratch[8];
    unsigned next_scratch;
    /* for the following events */
    bool window_closed;
    bool looked_up;
    uint64_t asked_at; /* their lsn; 0: the last record */
    const struct bcore_known *known;
    uint64_t deploy_size;
    uint64_t left_out; /* of the next beginnings */
};

/* An empty buffer, one of eight used in turn. */
struct buf *world_scratch(struct core_world *w);

/* ---- Stepping */
/* Appends the records of the last step to the journal, and its effects to the log. */
void world_took(struct core_world *w);

/* One event, at the current time of the test. */
void world_step(struct core_world *w, struct bcore_event ev);

/* Time passes; due timers fire. */
void world_pass(struct core_world *w, int64_t ms);

/* Forgets the effects so far. */
void world_log_clear(struct core_world *w);

/* The first effect not yet taken that sends this message to this peer. */
const struct world_logged *world_find_sent(struct core_world *w, uint64_t peer, uint64_t kind);

/* Takes that effect and decodes its message; fails the test if there is none. */
const struct world_logged *world_take_sent(struct core_world *w, uint64_t peer, uint64_t kind,
                                           const struct wire_schema *s, void *ret);
#define SENT(w, peer, UP, low, ret) world_take_sent(w, peer, KIND_M_##UP, &m_##low##_schema, ret)
#define NOT_SENT(w, peer, UP)       assert_null(world_find_sent(w, peer, KIND_M_##UP))

/* How many such effects, taken or not. */
unsigned world_count_sent(struct core_world *w, uint64_t peer, uint64_t kind);

/* Takes the first effect of this kind; NULL: there is none. */
const struct world_logged *world_find_lookup(struct core_world *w, enum bcore_effect_kind kind);

/* How many records of this kind the journal has. */
unsigned world_records_of(const struct core_world *w, uint64_t kind);

/* The record of this number; empty: the journal has none. */
struct span world_record_at(const struct core_world *w, uint64_t lsn);

/* The call of a live run as it was recorded. */
struct span world_called_bytes(const struct core_world *w, struct id run);

/* ---- The core's life */
/* A second core, made from the journal; yours to free. */
struct bcore *world_replayed(struct core_world *w);

/* Fails the test if the second core differs. */
void world_check_replay(struct core_world *w);

/* The core begins, `restored` or not. */
void world_begin_as(struct core_world *w, bool restored);

void world_begin(struct core_world *w);

void world_restart_as(struct core_world *w, bool restored);

/* The process dies and another starts: sessions are gone. */
void world_restart(struct core_world *w);

/* For cmocka; *state is the world. */
int world_setup(void **state);

int world_teardown(void **state);
#define in_world(test) cmocka_unit_test_setup_teardown(test, world_setup, world_teardown)

/* ---- Documents; nothing verifies them here, so they are not signed */
/* A d_signed around `body`. */
struct span world_wrapped(struct core_world *w, struct span body, const char *signer);

struct span world_certificate(struct core_world *w, const char *name, const char *role,
                              uint64_t serial, const char *const *pools);

/* The serial of this name's certificate; an id and a hash made of this byte repeated. */
uint64_t world_serial(const char *name);

struct id world_id(uint8_t b);

struct hash world_hash(uint8_t b);

/* ---- Sessions */
/* A new session; its handle. */
uint64_t world_up(struct core_world *w, const char *name, const char *role,
                  const char *const *pools, struct m_hello hello);

uint64_t world_caller_up(struct core_world *w, const char *name);

void world_down(struct core_world *w, uint64_t peer);

/* The peer sends a message; name: its principal. */
void world_say_bytes(struct core_world *w, uint64_t peer, const char *name, struct span message);
void world_say(struct core_world *w, uint64_t peer, const char *name, const struct wire_schema *s,
               const void *m);
#define SAY(w, peer, name, low, ...) \
    world_say(w, peer, name, &m_##low##_schema, &(struct m_##low){__VA_ARGS__})

void world_window(struct core_world *w, uint64_t peer, bool open);

/* ---- Workers */
struct world_attested {
    const char *job;
    uint8_t hash;
    uint64_t concurrency;
    bool idempotent;
    const char *need;
    uint64_t older;
};

/* The worker attests these jobs (the last one has no name), and one need. */
void world_attest(struct core_world *w, uint64_t peer, const char *name, uint64_t slots,
                  const struct world_attested *jobs, const char *need, bool holds);

/* A worker with an open session, not yet HAVE_END. */
uint64_t world_worker_hello(struct core_world *w, const char *name, uint8_t spool);

/* A ready worker in pool etl with the job `load`, hash 1. */
uint64_t world_worker_up(struct core_world *w, const char *name, uint8_t spool);

/* ---- Calls */
/* A call of job `load` at etl by anna. */
struct d_call world_call_of(const char *key);

void world_call_with(struct core_world *w, uint64_t peer, uint64_t req, const struct d_call *d,
                     uint64_t follow);

/* The caller begins a parent of 8 tasks, and drives it. */
struct id world_parent(struct core_world *w, uint64_t peer, const char *caller, const char *key);

/* Sends the call and takes the answer: the run's id. */
struct id world_call_d(struct core_world *w, uint64_t peer, struct d_call d);
struct id world_call(struct core_world *w, uint64_t peer, const char *key);

enum run_state world_state_of(struct core_world *w, struct id run);

struct span world_outcome(struct core_world *w, enum job_outcome job, enum package_outcome package,
                          int64_t ms);

void world_succeed(struct core_world *w, uint64_t peer, const char *name, struct id run,
                   uint64_t attempt, int64_t ms);

/* The outcome that a follower was told. */
struct d_outcome world_told_end(struct core_world *w, uint64_t peer, struct id run);

enum refusal world_told_error(struct core_world *w, uint64_t peer, const char *part);

#endif
