/* longboat.h - the client library: connect as a principal, call jobs, wait, follow, query.
 *
 * One connection, one thread. A function that waits runs the library's loop until the answer is
 * there or `timeout_ms` has passed (-ETIMEDOUT; 0: for ever). Unanswered requests are sent again
 * after a reconnect, so a broker that restarts costs time, not work. Programs with a loop of their
 * own use the _start forms and callbacks. */
#ifndef LB_CLIENT_LONGBOAT_H
#define LB_CLIENT_LONGBOAT_H

#ifdef __cplusplus
extern "C" { /* also for the headers it includes */
#endif

#include "common/loop.h"
#include "proto/messages.h"
#include "proto/outcome.h"
#include "proto/state.h"
#include "trust/keys.h"
#include "trust/certificate.h"

struct longboat;

/* Connects with the keys and certificate below `config` (paths_resolve: etc/client.yaml, etc/keys,
 * etc/trust). `loop` NULL: the library makes one. Returns without waiting for the broker. */
int longboat_open(struct longboat **ret, const char *config_folder, struct loop *loop,
                  struct error *err);
void longboat_close(struct longboat **lb);
const struct certificate *longboat_me(const struct longboat *lb);
/* for messages: "broker wh0 at tcp://...", or "the broker at tcp://..." if it has no name of
 * its own */
const char *longboat_broker(const struct longboat *lb);

/* Sends a request: `message` is encoded with req = longboat_req(); the callback gets the answer's
 * kind and bytes (DONE, ERROR, ROWS, ...). It is sent again after a reconnect until it is answered,
 * and after `busy` when the time is over that the broker asks for, up to thirty times in a row.
 * Return true to keep a request open that has several answers (EVENTS, LOG). */
typedef bool (*longboat_answer)(void *self, uint64_t kind, struct span message);
uint64_t longboat_req(struct longboat *lb);
int longboat_request(struct longboat *lb, uint64_t req, struct span message, longboat_answer answer,
                     void *self, struct error *err);
void longboat_forget(struct longboat *lb, uint64_t req);
/* The same, waiting; *ret_answer is the caller's to free. An ERROR answer becomes -EREMOTEIO
 * (-EINVAL for bad_argument) with its sentence; *ret_refusal (may be NULL) its code. -EBUSY: the
 * broker was busy for all of the time, or thirty times. */
int longboat_ask(struct longboat *lb, uint64_t req, struct span message, int64_t timeout_ms,
                 struct buf *ret_answer, enum refusal *ret_refusal, struct error *err);

/* Decodes an answer, or a document in it. Use it for everything from the broker, instead of the
 * strict *_decode: if the session agreed on a newer minor version than ours, what the broker
 * appended is skipped; otherwise it is malformed. *ret is the struct of `schema` and points into
 * `bytes`; untouched on failure. -EPROTO: malformed; -EMSGSIZE: beyond a limit. */
int longboat_decode(const struct longboat *lb, const struct wire_schema *schema, struct span bytes,
                    void *ret, struct error *err);

/* Runs the loop until `done` returns true. -ETIMEDOUT: the sentence says what is known of the
 * broker; -EACCES: the broker refuses our session (for any reason but `busy`); -EINTR: the loop was
 * stopped. */
int longboat_wait(struct longboat *lb, bool (*done)(void *), void *self, int64_t timeout_ms,
                  struct error *err);
/* Is the session open? If not, longboat_trouble says why; "" while nothing is known. */
bool longboat_is_up(const struct longboat *lb);
/* By how many ms the broker's clock was ahead of ours when the session began; negative: behind. */
int64_t longboat_broker_ahead(const struct longboat *lb);
/* Does the broker speak a newer minor version of the protocol than we do? */
bool longboat_broker_is_newer(const struct longboat *lb);
const char *longboat_trouble(const struct longboat *lb);
struct loop *longboat_loop(struct longboat *lb);
/* The broker's current revocation list (d_signed, not verified here); empty while there is none. It
 * arrives before the answer to a session's first request. */
struct span longboat_revocations(const struct longboat *lb);
/* What verifies certificates, and the broker's certificate (d_signed), as they lie in our files. */
const struct trust_anchors *longboat_administrators(const struct longboat *lb);
struct span longboat_broker_certificate(const struct longboat *lb);

/* Calls `say` once when the broker has been silent for some seconds, with a sentence that names its
 * addresses and the trouble with each (the name does not resolve, connection refused, no answer),
 * and once when it answers again. The library keeps trying in between. Ends with longboat_close. */
typedef void (*longboat_say)(void *self, const char *sentence);
void longboat_watch(struct longboat *lb, longboat_say say, void *self);

/* ---- What servers offer */
struct longboat_offer {
    enum refusal refused;        /* not REFUSAL_NONE: the broker did not answer; `text` says why */
    const char *text;            /* else "" */
    bool found;                  /* some server has the job */
    struct hash job_hash;        /* the version, if found */
    struct wire_list parameters; /* declared: d_parameter each; empty: not known */
    const char *const *servers;  /* in the address, whether or not they have the job */
    uint32_t n_servers;
};
typedef void (*longboat_take_offer)(void *self, const struct longboat_offer *offer);
/* Asks which version of a job an address offers (RESOLVE). `take` is called once with the answer,
 * from the loop, never from within; the offer is lent for the call. Answers are remembered for some
 * seconds. `keep`: once found, a version is the answer for as long as the connection lasts, so that
 * all calls of a long parent sign the same one. */
void longboat_offer(struct longboat *lb, const char *job, const char *address, bool keep,
                    longboat_take_offer take, void *self);

/* ---- Calls */
struct longboat_call {
    const char *job, *address, *key; /* key NULL: one is made */
    struct wire_list parameters;     /* a map */
    enum on_lost on_lost;
    bool pin_latest;      /* else RESOLVE decides the hash that is signed */
    struct hash job_hash; /* not zero: sign exactly this */
    uint64_t priority, lost_after_ms, start_within_ms, timeout_ms;
    const char *as_of; /* NULL: now */
    int64_t expires;   /* wall ms; 0: one day from now */
    struct id parent;
    const char *plan, *task; /* plan: the parent's name, as events show it */
    uint64_t index, try_no;
    const char *item; /* which of its siblings it is, for people: "orders"; NULL: no siblings */
};
struct longboat_run {
    struct id run;
    uint64_t attempt;
    enum run_state state;
    char server[LIMIT_NAME + 1];
    unsigned percent;
    const char *text;                /* progress text; "" if none; valid in the callback */
    const struct d_outcome *outcome; /* not NULL: ended */
    /* not REFUSAL_NONE: the broker did not accept the call; text says why */
    enum refusal refused;
};
typedef void (*longboat_follow)(void *self, const struct longboat_run *run);
/* An outcome that the broker told is believed only if its server has signed it (trust/result.h), or
 * if it is a word that promises nothing. Else the library puts another in its place: job, package
 * and status `unknown`, and a message that says what is wrong. True: this is such an outcome. */
bool longboat_is_unproven(const struct d_outcome *outcome);
/* Signs and submits; `follow` is called at acceptance (state WAITING), at each change and once at
 * the end or refusal. BUSY is retried by the library. The calls of one turn of the loop are signed
 * together (one signature). */
int longboat_call_start(struct longboat *lb, const struct longboat_call *call,
                        longboat_follow follow, void *self, struct error *err);
/* For a program that was told to stop: submits no further calls. Calls that were never sent, and
 * those that the broker answers with `busy`, now or later, end with REFUSAL_BUSY: they do not run.
 * All others are followed as before. */
void longboat_withdraw(struct longboat *lb);
/* longboat_call_start, waiting for the end. The outcome's bytes are *ret_outcome
 * (d_outcome_decode), the caller's to free. */
int longboat_call_wait(struct longboat *lb, const struct longboat_call *call, int64_t timeout_ms,
                       struct id *ret_run, struct buf *ret_outcome, struct error *err);
/* For an operator who releases a held run as succeeded: signs this outcome of the attempt of the
 * call with this body (d_call), in the place of its server, and appends the signature to *out. */
int longboat_sign_release(struct longboat *lb, const struct id *run, uint64_t attempt,
                          struct span call, struct span outcome, struct buf *out,
                          struct error *err);
int longboat_cancel(struct longboat *lb, const struct id *run, bool force, const char *reason,
                    struct error *err);

/* ---- Queries: all pages of `what`, one JSON text a row. */
int longboat_query(struct longboat *lb, const char *what, const struct wire_list *where,
                   bool (*row)(void *self, struct span json), void *self, struct error *err);

/* ---- Events: from `after` (0 with since != 0: from that wall time) on, in order, once each,
 * across reconnects, until `event` returns false. */
typedef bool (*longboat_event)(void *self, uint64_t seq, struct span json);
int longboat_follow_events(struct longboat *lb, uint64_t after, int64_t since,
                           const struct wire_list *where, bool stay, longboat_event event,
                           void *self, struct error *err);

#ifdef __cplusplus
}
#endif

#endif
