/* laws.h - what must hold, each with the promise of DESIGN 14 that it stands for; and the witness
 * that checks it.
 *
 * The witness is no part of the system: it sees what became durable, what left the broker, what
 * callers heard, and what children truly did, and knows nothing else. It is told each thing when it
 * happens and complains at once; the first complaint ends the world (world.broken) and is what a
 * failing seed prints. */
#ifndef LB_TESTS_SIM_LAWS_H
#define LB_TESTS_SIM_LAWS_H

#include "broker/core/view.h"
#include "parent/core/graph.h"
#include "tests/sim/disk.h"

/* name, promise, sentence */
#define LAWS(X) \
    X(SAID_IS_DURABLE, 1, "what the broker says of a run is on disk before it leaves") \
    X(ACCEPTED_IS_KEPT, 1, \
      "a run whose acceptance a caller has heard is live or in the history, for ever") \
    X(CANCEL_IS_KEPT, 1, \
      "a cancel that was answered is on disk, and no new attempt starts after it") \
    X(ONE_LIVE_ATTEMPT, 2, \
      "two attempts of a run never execute at a time (but for one released by hand)") \
    X(HANDED_AS_CALLED, 2, \
      "an attempt goes to a server of the call's address, in the version that was signed") \
    X(HANDED_AS_SIGNED, 2, \
      "what a server is handed is, byte for byte, the call that was accepted") \
    X(EXECUTED_ONCE, 2, \
      "a try of a step of an attempt is executed at most once, on the server it was handed to") \
    X(ONE_RESULT, 2, "one result is counted for a run; one that does not count is recorded once") \
    X(COUNTED_IS_REPORTED, 2, \
      "the counted outcome is, byte for byte, what the server of the live attempt reported") \
    X(OUTCOME_IS_TRUE, 2, "an outcome says what its children did") \
    X(HEARD_IS_RECORDED, 2, \
      "the end that a caller hears is the recorded one, and it never changes") \
    X(ONE_RUN_FOR_A_KEY, 3, "one key is one run; another body under it is refused") \
    X(NOT_AGAIN_UNASKED, 4, \
      "an attempt follows another only if that came back unstarted, or on_lost or an operator says so") \
    X(LOST_AS_ASKED, 4, \
      "an attempt is lost only after lost_after without a word of its server, and then on_lost is what happens") \
    X(RETURNED_NEVER_RAN, 4, \
      "an attempt that was returned to the queue has executed nothing, and never will") \
    X(REPLAY_IS_STATE, 5, "replaying the journal gives the broker's state, whole or folded") \
    X(SPOOL_IS_STATE, 5, "replaying the spool gives the worker's state") \
    X(SLOTS, 8, \
      "a server executes no more steps than it has slots, and is asked for no more than may wait") \
    X(CONCURRENCY, 8, "a server holds no more attempts of a job than its concurrency") \
    X(STOPPED_IN_TIME, 8, \
      "a child that is to be stopped ends in the time that it has to clean up") \
    X(MOVES, 5, "a run moves only as the table of proto/state.h allows") \
    X(STEPS_WITHIN_TIME, 8, \
      "a core that is asked again at once has nothing more to do: no hot loop") \
    X(ONE_DRIVER, 2, "an epoch of a parent is one session's; epochs go up by one") \
    X(ONE_PARENT_END, 2, \
      "one end of a parent counts, that of the epoch that drives, as its driver sent it") \
    X(ONE_CALL_FOR_AN_INSTANCE, 3, "an instance of a task is called once, whoever drives") \
    X(STARTS_WHEN_IT_MAY, 4, \
      "a task starts only when its constraints hold, by what is recorded of the others") \
    X(VERDICT_IS_TRUE, 2, \
      "the recorded verdict is what the recorded outcomes of the children give") \
    X(MONITOR_IN_ORDER, 7, \
      "a monitor gets every event that its filter matches once and in order, over any break") \
    X(CREDIT_HOLDS, 6, \
      "what a monitor has not taken is no more than its credit, or one longer event") \
    X(QUEUE_HOLDS, 6, \
      "what waits for a stopped monitor or caller is bounded by its credit or window") \
    X(STOPPED_COSTS_NOTHING, 6, \
      "for a monitor that gives no credit the store is not asked for the same events again") \
    X(PARENT_ENDS, 1, "when faults have stopped, every parent that was begun ends") \
    X(DRIVER_HEARS, 1, \
      "when faults have stopped, every driver hears of the end of each of its parents") \
    X(MONITOR_CATCHES_UP, 7, "when faults have stopped, every monitor reaches the last event") \
    X(RUN_ENDS, 1, \
      "when faults have stopped, every accepted run ends, or is held or parked and says why") \
    X(CALLER_HEARS, 1, \
      "when faults have stopped, every caller hears of the end of each of its runs") \
    X(SPOOL_EMPTIES, 1, \
      "when faults have stopped, every result is recorded and forgotten by its worker") \
    X(HELD_GOES_ON, 8, "the last attempt of a held run is not ended before a person has decided") \
    X(NO_CHILD_LEFT, 8, "when all has ended, no child is left")
#define X(n, p, t) LAW_##n,
enum law { LAWS(X) LAW_COUNT };
#undef X
const char *law_name(enum law l);
const char *law_text(enum law l);
unsigned law_promise(enum law l);

struct laws;
struct laws *laws_new(struct world *w);
void laws_free(struct laws **l);

/* The first complaint; LAW_COUNT: none. */
enum law laws_broken(const struct laws *l, const char **ret_text);
void law_break(struct laws *l, enum law law, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- What the witness is told */
void laws_job(struct laws *l, struct hash job, bool idempotent, uint64_t concurrency);
/* a bit for each of sim_pools */
void laws_member(struct laws *l, const char *server, unsigned pools);
/* The broker keeps so many ends in memory; of what is older it cannot know that a result was
 * counted. 0: all of them. */
void laws_kept(struct laws *l, uint64_t most);
/* a record is on disk now */
void laws_durable(struct laws *l, const struct journal_record *r);
/* it leaves the broker now */
void laws_broker_says(struct laws *l, uint64_t peer, struct span message);
/* SUBSCRIBE, CREDIT: it is taken now */
void laws_broker_hears(struct laws *l, uint64_t peer, struct span message);
/* the store is asked for events behind `after` */
void laws_asked(struct laws *l, uint64_t peer, uint64_t after);
/* waits, or is not acknowledged */
void laws_queued(struct laws *l, uint64_t peer, const char *name, size_t owed);
/* The broker's core makes a message that answers nothing, for a peer whose window is as it was told
   last. */
void laws_news(struct laws *l, const char *name, bool window_open, struct span message);
void laws_broker_state(struct laws *l, const struct bcore *c); /* after a step of the broker */
/* a new process, after its replay */
void laws_broker_begins(struct laws *l, const struct bcore *c);
/* It listens to its peers from then on: it has begun, or was stopped until then (a time to
   come). */
void laws_listens(struct laws *l, int64_t since);
/* the broker takes a word of this worker */
void laws_heard(struct laws *l, const char *server, struct id spool);
/* the broker's core emits a record */
void laws_decides(struct laws *l, struct span record);
void laws_digests(struct laws *l, enum law law, const char *what, const struct hash *is,
                  const struct hash *replayed);

/* From then on its worker, runner and keepers hear each other; INT64_MAX: they do not. */
void laws_reached(struct laws *l, const char *server, int64_t since);
/* the worker has read STOP */
void laws_stop_heard(struct laws *l, struct id run, uint64_t attempt);
void laws_launched(struct laws *l, const char *server, struct id spool, const struct s_step *step);
void laws_child_over(struct laws *l, struct id run, uint64_t attempt, struct span step,
                     uint64_t try_no, enum package_outcome p);
void laws_child_vanished(struct laws *l, struct id run, uint64_t attempt, struct span step,
                         /* no word of it */
                         uint64_t try_no);
/* the worker's FINISHED */
void laws_finished(struct laws *l, struct id run, uint64_t attempt, struct span outcome);
void laws_load(struct laws *l, const char *server, unsigned running, unsigned held, unsigned slots,
               unsigned ahead);

void laws_accepted(struct laws *l, const char *caller, const char *key, struct span body,
                   struct id run);
void laws_conflict(struct laws *l, const char *caller, const char *key, struct span body);
/* a caller hears that a run that it knows is unknown */
void laws_unknown(struct laws *l, struct id run);
/* a caller hears of it */
void laws_ended(struct laws *l, struct id run, uint64_t attempt, struct span outcome);
void laws_state_heard(struct laws *l, struct id run, uint64_t state, bool after_end);
void laws_cancelled(struct laws *l, struct id run); /* a caller hears that its cancel is done */

/* ---- Parents. `graph` is lent for the witness's life. */
void laws_plan(struct laws *l, const char *caller, const char *key, struct span body,
               const struct graph *graph);
void laws_parent_accepted(struct laws *l, const char *caller, const char *key, struct id run);
/* a driver hears it */
void laws_driving(struct laws *l, struct id parent, uint64_t epoch, const char *process);
/* somebody asks one of its drivers for it */
void laws_parent_cancel(struct laws *l, struct id parent);
void laws_parent_gone(struct laws *l, struct id parent); /* a driver hears that it is not live */
/* A driver hears that the end that it sent with this epoch is recorded, or (`already`) that another
   was before. */
void laws_parent_end_heard(struct laws *l, struct id parent, uint64_t epoch, enum status status,
                           bool already);

/* ---- Monitors. One key and value as in SUBSCRIBE; key NULL: everything. What it is about stands
 * beside it, so that the witness need not read the text. */
struct sim_filter {
    const char *key, *value;
    uint64_t kind;      /* event: of the record */
    enum status status; /* status */
    struct id parent;   /* parent */
};
void laws_monitor_subscribes(struct laws *l, const char *name, uint64_t req, uint64_t after,
                             const struct sim_filter *filter);
void laws_monitor_hears(struct laws *l, const char *name, const struct m_events *m);

/* ---- What it knows, for the liveness phase */
uint64_t laws_last_event(const struct laws *l, const struct sim_filter *filter); /* 0: none yet */
/* begun and not ended */
unsigned laws_parents_open(const struct laws *l, struct id *ret_one);
/* accepted runs that have not ended */
unsigned laws_accepted_open(const struct laws *l, struct id *ret_one);
bool laws_ended_durably(const struct laws *l, struct id run);
unsigned laws_children(const struct laws *l);
unsigned laws_runs(const struct laws *l);

#endif
