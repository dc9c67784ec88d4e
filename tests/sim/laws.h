/* laws.h - what must always hold, and the witness that checks it. Each law names the promise in
 * docs/promises.md that it stands for.
 *
 * The witness is not part of the system. It sees only what becomes durable, what leaves the
 * broker, what callers hear and what children really do. It is told of each as it happens and
 * complains at once; the first complaint ends the world (world.broken), and a failing seed
 * prints it. */
#ifndef LB_TESTS_SIM_LAWS_H
#define LB_TESTS_SIM_LAWS_H

#include "broker/core/view.h"
#include "parent/core/graph.h"
#include "tests/sim/disk.h"

/* name, promise, sentence */
#define LAWS(X) \
    X(SAID_IS_DURABLE, 1, "what the broker says about a run is on disk before the message leaves") \
    X(ACCEPTED_IS_KEPT, 1, \
      "once a caller has heard ACCEPTED, the run stays live or in the history for ever") \
    X(CANCEL_IS_KEPT, 1, "an answered cancel is on disk, and no new attempt starts after it") \
    X(ONE_LIVE_ATTEMPT, 2, \
      "two attempts of a run never execute at the same time (unless released by hand)") \
    X(HANDED_AS_CALLED, 2, \
      "an attempt goes to a server at the call's address, in the signed version") \
    X(HANDED_AS_SIGNED, 2, "a server receives, byte for byte, the call that was accepted") \
    X(EXECUTED_ONCE, 2, \
      "each try of a step executes at most once, on the server that it was handed to") \
    X(ONE_RESULT, 2, "one result counts for a run; a result that does not count is recorded once") \
    X(EVIDENCE_WAS_HANDED, 6, \
      "what is kept of a result is of an attempt that its server was given") \
    X(COUNTED_IS_REPORTED, 2, \
      "the counted outcome is, byte for byte, what the live attempt's server reported") \
    X(OUTCOME_IS_TRUE, 2, "an outcome says what its children really did") \
    X(HEARD_IS_RECORDED, 2, \
      "the end that a caller hears is the recorded one, and it never changes") \
    X(ONE_RUN_FOR_A_KEY, 3, "a key has one run; another body under the same key is refused") \
    X(NOT_AGAIN_UNASKED, 4, \
      "a new attempt follows only an unstarted one, or when on_lost or an operator says so") \
    X(LOST_AS_ASKED, 4, \
      "an attempt is lost only after lost_after of silence, or when its server's power was cut, " \
      "and on_lost decides what follows") \
    X(RETURNED_NEVER_RAN, 4, \
      "an attempt that was returned to the queue has neither started nor executed anything, and " \
      "never will") \
    X(DECLINED_ONCE, 4, \
      "a run goes on only from a server that has executed nothing of it, and never back there") \
    X(REPLAY_IS_STATE, 5, "replaying the journal, whole or folded, gives the broker's state") \
    X(SPOOL_IS_STATE, 5, "replaying the spool gives the worker's state") \
    X(SLOTS, 8, \
      "a server runs at most as many steps as it has slots, and its queue stays in its limit") \
    X(WAIT_FREES_SLOT, 8, \
      "a server says which steps wait long for their next try, and others get their slots") \
    X(CONCURRENCY, 8, "a server never holds more attempts of a job than the job's concurrency") \
    X(STOPPED_IN_TIME, 8, \
      "a child that is told to stop ends within the time that it has to clean up") \
    X(MOVES, 5, "a run moves only as the table in proto/state.h allows") \
    X(STEPS_WITHIN_TIME, 8, \
      "a core that is asked again at once has nothing more to do: no busy loop") \
    X(ONE_DRIVER, 2, "an epoch of a parent belongs to one session, and epochs increase by one") \
    X(ONE_PARENT_END, 2, "a parent has one end: from the driving epoch, as its driver sent it") \
    X(ONE_CALL_FOR_AN_INSTANCE, 3, "each instance of a task is called once, whoever drives") \
    X(STARTS_WHEN_IT_MAY, 4, \
      "a task starts only when the recorded ends of the others satisfy its constraints") \
    X(VERDICT_IS_TRUE, 2, "the recorded verdict follows from the children's recorded outcomes") \
    X(MONITOR_IN_ORDER, 7, \
      "a monitor gets each matching event once and in order, across any interruption") \
    X(CREDIT_HOLDS, 6, \
      "what a monitor has not taken stays within its credit, except for one longer event") \
    X(QUEUE_HOLDS, 6, \
      "what is queued for a stopped monitor or caller stays within its credit or window") \
    X(STOPPED_COSTS_NOTHING, 6, "the store is not read again for a monitor that gives no credit") \
    X(OTHERS_UNTOUCHED, 6, \
      "a caller makes no call in another's name or below another's parent, and neither drives, " \
      "cancels nor hears of what is another's") \
    X(REFUSED_LEAVES_NOTHING, 6, "a message that is refused leaves no record") \
    X(SHARES_HOLD, 6, "no principal has more than three quarters of the live runs or parents") \
    X(ROOM_FOR_OTHERS, 6, \
      "while all but the greediest hold less than an eighth, nobody else is refused for room") \
    X(TURNS, 6, \
      "a run waits for at most two starts of each other principal in its class and priority") \
    X(FIRST_STAYS, 4, \
      "while a server's worker answers, no worker from another home is let in under its name") \
    X(PARENT_ENDS, 1, "after the last fault, every parent ends") \
    X(DRIVER_HEARS, 1, "after the last fault, every driver hears the ends of all its parents") \
    X(MONITOR_CATCHES_UP, 7, "after the last fault, every monitor reaches the last event") \
    X(RUN_ENDS, 1, \
      "after the last fault, every accepted run ends, or is held or parked and says why") \
    X(CALLER_HEARS, 1, "after the last fault, every caller hears the ends of all its runs") \
    X(SPOOL_EMPTIES, 1, \
      "after the last fault, every result is recorded, and its worker forgets it") \
    X(HELD_GOES_ON, 8, "a held run's last attempt does not end before a person has decided") \
    X(NO_CHILD_LEFT, 8, "when everything has ended, no child is left")
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
/* How many ends the broker keeps in memory (0: all); for older runs it cannot know that a result
 * was counted. */
void laws_kept(struct laws *l, uint64_t most);
/* a record has reached the disk */
void laws_durable(struct laws *l, const struct journal_record *r);
/* a message leaves the broker */
void laws_broker_says(struct laws *l, uint64_t peer, struct span message);
/* the broker takes SUBSCRIBE or CREDIT */
void laws_broker_hears(struct laws *l, uint64_t peer, struct span message);
/* the store is asked for events behind `after` */
void laws_asked(struct laws *l, uint64_t peer, uint64_t after);
/* `owed`: bytes that wait or are not acknowledged */
void laws_queued(struct laws *l, uint64_t peer, const char *name, size_t owed);
/* The broker's core produces a message that is not an answer. `window_open`: what the core was
 * last told of the peer's window. */
void laws_news(struct laws *l, const char *name, bool window_open, struct span message);
void laws_broker_state(struct laws *l, const struct bcore *c); /* after a step of the broker */
/* a new process, after its replay */
void laws_broker_begins(struct laws *l, const struct bcore *c);
/* From `since` (which may be in the future) the broker listens to its peers: it has started or
 * resumed. */
void laws_listens(struct laws *l, int64_t since);
/* the broker takes a message from this worker */
void laws_heard(struct laws *l, const char *server, struct id incarnation);
void laws_rebooted(struct laws *l, const char *server, struct id spool); /* in good order */
/* The server's power is cut: nothing of it runs, its spool has lost entries, and HELLO says this
 * boot from now on. */
void laws_power_cut(struct laws *l, const char *server, struct id spool, struct id boot);
/* A worker from another home is let in. heard_us: for how long the broker, by what the first one
 * knows, has not heard it; INT64_MAX: it has no session with this process of the broker. */
void laws_let_in(struct laws *l, const char *server, int64_t heard_us);
/* the broker's core emits a record */
void laws_decides(struct laws *l, struct span record);
void laws_digests(struct laws *l, enum law law, const char *what, const struct hash *is,
                  const struct hash *replayed);

/* ---- Principals */
/* How many runs, and as many parents, may be live, and the bytes that they may take; 0: plenty. */
void laws_room(struct laws *l, uint64_t runs, uint64_t memory);
/* A step of the broker's core. */
struct laws_turn {
    const struct bcore *core;
    const struct bcore_out *out;
    const char *sender; /* of the message that it took; NULL: it took none */
    uint64_t peer;      /* the sender's session */
    bool is_caller;     /* by its role */
    bool disk_full;     /* as the core was last told */
    struct span message;
};
void laws_stepped(struct laws *l, const struct laws_turn *t);
/* a message leaves the broker for a caller */
void laws_told(struct laws *l, const char *caller, struct span message);

/* From then on the server's worker, runner and keepers hear each other; INT64_MAX: they don't. */
void laws_reached(struct laws *l, const char *server, int64_t since);
/* From then on the worker has a session, and its wall clock does not step; INT64_MAX: it has no
 * session. */
void laws_steady(struct laws *l, const char *server, int64_t since);
void laws_worker_says(struct laws *l, struct span message); /* to the broker */
/* the worker has read STOP */
void laws_stop_heard(struct laws *l, struct id run, uint64_t attempt);
void laws_launched(struct laws *l, const char *server, struct id spool, const struct s_step *step);
void laws_child_over(struct laws *l, struct id run, uint64_t attempt, struct span step,
                     uint64_t try_no, enum package_outcome p);
/* a child has ended, and no one can say how */
void laws_child_vanished(struct laws *l, struct id run, uint64_t attempt, struct span step,
                         uint64_t try_no);
/* the worker sends FINISHED */
void laws_finished(struct laws *l, struct id run, uint64_t attempt, struct span outcome);
void laws_load(struct laws *l, const char *server, unsigned running, unsigned held, unsigned slots,
               unsigned ahead);

void laws_accepted(struct laws *l, const char *caller, const char *key, struct span body,
                   struct id run);
void laws_conflict(struct laws *l, const char *caller, const char *key, struct span body);
/* a caller is told that a run of its own is unknown */
void laws_unknown(struct laws *l, struct id run);
/* a caller hears that a run has ended */
void laws_ended(struct laws *l, struct id run, uint64_t attempt, struct span outcome);
void laws_state_heard(struct laws *l, struct id run, uint64_t state, bool after_end);
void laws_cancelled(struct laws *l, struct id run); /* a caller hears that its cancel is done */

/* ---- Parents. `graph` is lent for the witness's life. */
void laws_plan(struct laws *l, const char *caller, const char *key, struct span body,
               const struct graph *graph);
void laws_parent_accepted(struct laws *l, const char *caller, const char *key, struct id run);
/* a driver hears that it drives the parent */
void laws_driving(struct laws *l, struct id parent, uint64_t epoch, const char *process);
/* someone cancels the parent at one of its drivers */
void laws_parent_cancel(struct laws *l, struct id parent);
void laws_parent_gone(struct laws *l, struct id parent); /* a driver is told that it is not live */
/* A driver hears that the end it sent with this epoch is recorded, or (`already`) that the
 * parent had ended before. */
void laws_parent_end_heard(struct laws *l, struct id parent, uint64_t epoch, enum status status,
                           bool already);

/* ---- Monitors. A filter is one key and value, as in SUBSCRIBE; key NULL: everything. The value
 * is here in binary, too, so that the witness need not parse the text. */
struct sim_filter {
    const char *key, *value;
    uint64_t kind;      /* for key event: kind of the record */
    enum status status; /* for key status */
    struct id parent;   /* for key parent */
};
void laws_monitor_subscribes(struct laws *l, const char *name, uint64_t req, uint64_t after,
                             const struct sim_filter *filter);
void laws_monitor_hears(struct laws *l, const char *name, const struct m_events *m);

/* ---- What it knows, for the liveness phase */
uint64_t laws_last_event(const struct laws *l, const struct sim_filter *filter); /* 0: none yet */
/* parents of plans that have started and not ended */
unsigned laws_parents_open(const struct laws *l, struct id *ret_one);
/* accepted runs that have not ended */
unsigned laws_accepted_open(const struct laws *l, struct id *ret_one);
bool laws_ended_durably(const struct laws *l, struct id run);
unsigned laws_children(const struct laws *l);
unsigned laws_runs(const struct laws *l);

#endif
