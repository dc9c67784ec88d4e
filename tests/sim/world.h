/* world.h - the simulated world: one virtual clock, one source of chance, one queue of events,
 * processes with clocks of their own that can be down or stopped.
 *
 * Everything that happens follows from the seed: events happen in the order of their times, those
 * of one time in the order in which they were set, and all random numbers come from generators that
 * start from the seed. So a seed replays to the last byte, and the hash of what happened
 * (`trace_hash`) proves it.
 *
 * There is always one generator, `rng`; but the n-th turn of a process, the n-th trouble and the
 * n-th call each have their own (world_chance_begin), so that what they draw does not depend on
 * what else has happened: when a trouble is left out (subset.h), the others stay as they were.
 *
 * True time is in microseconds since the world began; nodes see milliseconds of their own clocks,
 * which run up to 1 % fast or slow and whose wall time may step. Nodes never see true time. */
#ifndef LB_TESTS_SIM_WORLD_H
#define LB_TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/heap.h"
#include "common/id.h"
#include "proto/state.h"

#define MS(n)   ((int64_t)(n)*1000)
#define SECS(n) ((int64_t)(n)*1000000)

/* ---- Chance: xoshiro256** */
struct rng {
    uint64_t s[4];
};
void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n);                 /* 0 .. n - 1; n 0: 0 */
int64_t rng_between(struct rng *r, int64_t low, int64_t high); /* both included */
bool rng_chance(struct rng *r, unsigned per_mille);

/* ---- Clocks of machines */
struct clock_sim {
    int64_t since;   /* true time at which boot time was `base_ms` */
    int64_t base_ms; /* CLOCK_BOOTTIME then */
    /* it runs this much fast; within +-9000, so that two differ by less than DESIGN's 1 % each */
    int64_t ppm;
    int64_t wall_ms; /* wall time at boot time 0; steps change it */
};

/* ---- What happens: faults by name, counted; a run of many seeds shows which were met */
/* clang-format off */
#define FAULTS(X) \
    X(BROKER_CRASH, "broker crash") \
    X(BROKER_CRASH_IN_COMMIT, "broker crash in a commit") \
    X(BROKER_PAUSE, "broker stopped") \
    X(WORKER_CRASH, "worker crash") \
    X(WORKER_CRASH_IN_STEP, "worker crash in a step") \
    X(WORKER_PAUSE, "worker stopped") \
    X(RUNNER_CRASH, "runner crash") \
    X(KEEPER_KILL, "keeper killed") \
    X(REBOOT, "server rebooted") \
    X(POWER_CUT, "power cut at a server") \
    X(REINSTALL, "server reinstalled") \
    X(SECOND_WORKER, "second worker under the name") \
    X(COPIED_HOME, "second worker with the first one's spool") \
    X(CALLER_CRASH, "caller crash") \
    X(CALLER_PAUSE, "caller stopped") \
    X(PARTITION, "partition") \
    X(ONE_WAY, "one-way partition") \
    X(BREAK, "connection broken") \
    X(LOST_TAIL, "lost tail") \
    X(OLD_FRAME, "frame of an old connection") \
    X(DROP, "frame dropped") \
    X(DUPLICATE, "frame doubled") \
    X(REORDER, "frame overtaken") \
    X(SPIKE, "slow frame") \
    X(DISK_FULL, "disk full") \
    X(DISK_SLOW, "disk slow") \
    X(WALL_STEP, "wall clock step") \
    X(ATTEST, "attestation changed") \
    X(FENCE, "child fenced") \
    X(BELL_LOST, "bell lost") \
    X(SAME_KEY, "key repeated") \
    X(OTHER_BODY, "key with another body") \
    X(DRAIN, "drained") \
    X(RELEASE, "released") \
    X(CANCEL, "cancelled") \
    X(LOOKUP, "history asked") \
    X(LOOKUP_KEY, "key looked up") \
    X(KEYS_LISTED, "keys of before the start listed") \
    X(SIGNED_AGAIN, "old key signed again") \
    X(BODY_FETCHED, "call fetched from the store") \
    X(REDUCED_REPLAY, "replay of a folded journal") \
    X(EVIDENCE, "result not counted") \
    X(RETURNED, "attempt returned") \
    X(DECLINED, "run sent on after a refusal") \
    X(RECALL, "attempt recalled") \
    X(SLOT_LENT, "slot free while a step waits") \
    X(LOST, "attempt lost") \
    X(WINDOW_FULL, "window full") \
    X(REFUSED, "session refused") \
    X(TIDY, "spool tidied") \
    X(DRIVER_CRASH, "driver crash") \
    X(DRIVER_PAUSE, "driver stopped") \
    X(DRIVER_REPLACED, "driver replaced") \
    X(LEASE_HELD, "lease held by another driver") \
    X(OLD_EPOCH, "end by an old epoch refused") \
    X(PARENT_CANCEL, "Ctrl-C at a driver") \
    X(PARENT_SUCCEEDED, "parent succeeded") \
    X(PARENT_FAILED, "parent failed") \
    X(PARENT_CANCELLED, "parent cancelled") \
    X(TASK_SKIPPED, "task skipped") \
    X(MONITOR_CRASH, "monitor crash") \
    X(MONITOR_PAUSE, "monitor stopped") \
    X(MONITOR_STORE, "monitor served from the store") \
    X(CREDIT_OUT, "credit used up") \
    X(HOSTILE_ACCEPTED, "hostile call accepted") \
    X(HOSTILE_BUSY, "hostile call beyond its share") \
    X(HOSTILE_REFUSED, "hostile message refused")
/* clang-format on */
#define X(n, t) FAULT_##n,
enum fault { FAULTS(X) FAULT_COUNT };
#undef X
const char *fault_text(enum fault f);

struct counts {
    uint64_t faults[FAULT_COUNT];
    uint64_t states[RUN_STATE_COUNT]; /* observed, at most once for each run and broker step */
    /* told: events, to monitors */
    uint64_t events, runs, attempts, broker_steps, digests, parents, told;
};
void counts_add(struct counts *to, const struct counts *c);

/* ---- Events and processes */
struct world;
typedef void event_fn(struct world *w, void *self);

struct process { /* can be stopped (SIGSTOP): its events wait */
    char name[24];
    uint64_t luck, turns; /* its generators: see world_chance_begin */
    bool up;
    int64_t paused_until; /* true time; 0: it runs */
    struct clock_sim *clock;
};

/* Embed it. All zero is an event that is not set. */
struct event {
    struct heap_node node;
    event_fn *fn;
    void *self;
    struct process
        *of; /* the process whose turn it is: the event waits while that is stopped; NULL: none */
};

struct world {
    uint64_t seed;
    struct rng rng;
    /* another value gives processes other delays and ids; 0 at first */
    uint64_t dice;
    int64_t now; /* true, us */
    struct heap queue;
    uint64_t tie;
    uint64_t trace_hash;
    FILE *trace; /* NULL: silent */
    struct counts counts;
    bool broken; /* a law: see laws.h */
    bool chaos;  /* faults may still happen */
};

void world_init(struct world *w, uint64_t seed, FILE *trace);
void world_end(struct world *w);
/* Takes the next event. False: none is left, or a law is broken. */
bool world_step(struct world *w);

/* Sets (anew) an event for true time `at`. */
void world_at(struct world *w, struct event *e, int64_t at, struct process *of, event_fn *fn,
              void *self);
void world_cancel(struct world *w, struct event *e);
bool event_is_set(const struct event *e);

void process_init(struct process *p, const char *name, struct clock_sim *clock);
/* The clock of a machine that starts now; its wall time is up to off_ms ahead of or behind the
 * world's. */
enum { WALL_OFF_MS = 2000 }; /* as it usually is */
void process_init_machine(struct world *w, struct process *p, const char *name,
                          struct clock_sim *clock, int64_t off_ms);
void process_die(struct process *p);
/* SIGSTOP, and SIGCONT after a while; `what`: for the trace. False: it is down or already
 * stopped. */
bool process_stop(struct world *w, struct process *p, enum fault f, const char *what,
                  int64_t for_us);
/* it is neither down nor stopped */
bool process_runs(const struct world *w, const struct process *p);
/* What its own clock shows. */
int64_t world_boot_ms(const struct world *w, const struct process *p);
int64_t world_wall_ms(const struct world *w, const struct process *p);
/* The true time at which its clock will show `boot`; not before now. INT64_MAX stays that. */
int64_t world_true_time(const struct world *w, const struct process *p, int64_t boot);
/* a machine starts: boot time begins at 0 again */
void world_clock_boot(struct world *w, struct clock_sim *c);
/* the wall time of its machine steps */
void world_clock_step(struct world *w, const struct process *of, int64_t ms);

/* The n-th of one purpose draws from a generator of its own, until world_chance_end gets what
 * world_chance_begin gave. `purpose`: one of these, or the luck of a process. */
enum {
    LUCK_SERVER = 1,
    LUCK_CALLER,
    LUCK_FAULT,
    LUCK_TROUBLE,
    LUCK_TURN_OF_CALLS,
    LUCK_CALL,
    LUCK_PLAN,
    LUCK_BODIES,
    LUCK_HOSTILE,
    LUCK_TRICK
};
struct rng world_chance_begin(struct world *w, uint64_t purpose, uint64_t n);
void world_chance_end(struct world *w, const struct rng *was);

bool world_chance(struct world *w, unsigned per_mille);
int64_t world_between(struct world *w, int64_t low, int64_t high);
/* Mostly near `low`, sometimes up to `high`: 1 in 10 is ten times as long, as real delays are. */
int64_t world_skewed(struct world *w, int64_t low, int64_t high);
void world_random_bytes(struct world *w, void *out, size_t n);
void world_met(struct world *w, enum fault f);

/* ---- The trace: "   12.345678  wh1      RESULT 0198.. attempt 1" */
void world_trace(struct world *w, const char *who, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define TRACE(w, who, ...) ((w)->trace ? world_trace((w), (who), __VA_ARGS__) : (void)0)
void world_hash(struct world *w, uint64_t v);
void world_hash_bytes(struct world *w, struct span s);
/* The last 8 digits of an id, enough to tell runs apart in a trace; in one of four static buffers.
 * */
const char *world_short_id(struct id id);
const char *world_kind_name(
    uint64_t kind); /* The name of a kind of message, record or entry; "?": there is none. */

#endif
