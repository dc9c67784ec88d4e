/* inner.h - internal: what the files of liblongboat share. */
#ifndef LB_CLIENT_INNER_H
#define LB_CLIENT_INNER_H

#include "client/config.h"
#include "client/longboat.h"
#include "common/mem.h"
#include "net/dialer.h"
#include "net/socket.h"
#include "trust/result.h"
#include "trust/revocation.h"

/* Some keys of these tables are chosen by peers (run ids), so they are hashed by SipHash with a
   secret of this process. */
#include "net/keyhash.h"

enum {
    ANSWER_MS = 30000,        /* how long functions without a timeout argument wait for an answer */
    INNER_DOCUMENT_MAX = 1024 /* bytes of the struct of any message or document */
};

struct resolution;
struct signer;
struct watch;

/* A call from longboat_call_start to its end. In one list at a time: waiting for its job's hash, or
 * for its signature. */
struct call {
    struct longboat *lb;
    uint64_t req;       /* of its CALL, and of each FOLLOW */
    struct buf body;    /* d_call; with the given hash until it is signed */
    struct buf message; /* m_call, signed */
    struct hash digest; /* of the signed body */
    char *job, *address;
    uint64_t attempt; /* the newest that we have heard of */
    struct buf ended; /* RUN_ENDED that waits for the certificate of who signed it */
    longboat_follow follow;
    void *self;
    struct id run;     /* zero: not accepted yet */
    uint64_t followed; /* the session in which its run is followed */
    struct loop_timer retry;
    bool busy;         /* the broker answered its CALL with busy; it waits to be sent again */
    struct call *next; /* in a list */
    struct call *same; /* another call with this run: its key was used twice */
    UT_hash_handle by_run, hh;
};
struct call_list {
    struct call *first, *last;
    unsigned n;
};

struct client_request {
    struct longboat *lb;
    uint64_t req;
    struct buf message;
    longboat_answer answer;
    void *self;
    bool sent; /* at least once, in whichever session */
    /* Its owner hears of `busy`. Otherwise it is sent again after the time that the broker asks
     * for, and the owner hears of the REQUEST_BUSY_MAX-th only. */
    bool impatient;
    bool resting; /* until `again`, whatever sessions come and go */
    unsigned n_busy;
    struct loop_timer again;
    UT_hash_handle hh; /* the table keeps the order of arrival: those not yet sent are its tail */
};

struct longboat {
    struct loop *loop;
    bool own_loop;
    struct client_config config;
    struct dialer *dialer;
    bool withdrawn; /* no more calls are submitted */
    bool newer;     /* the broker speaks a newer minor version */
    int64_t ahead;  /* its clock, of ours, in ms */
    /* the number of this session */
    uint64_t session;
    uint64_t last_req;
    enum refusal refused; /* of the session; `busy` is not kept, since it passes */
    char refused_text[ERROR_TEXT_MAX];
    char name[LIMIT_NAME + NET_ENDPOINT_MAX + 32];
    struct buf scratch;
    struct buf revocations;     /* the newest list that the broker has pushed */
    struct revocations revoked; /* the newest list that verifies */

    struct client_request *requests;
    struct client_request *unsent; /* the first of the tail */

    struct call *calls;       /* all that have not ended, by req */
    struct call *runs;        /* those that were accepted, by run id */
    struct call_list to_sign; /* the calls of this turn */
    bool follows_left;        /* runs of an older session have not been followed in this one yet */
    struct resolution *resolutions;
    struct signer *signers;
    struct verified_roots roots; /* of results */
    struct watch *watch;         /* NULL: not watched */
};

/* ---- connect.c */
/* Sends if there is a session with room; false: later. */
bool inner_send(struct longboat *lb, struct span message);
/* The documents of `list` as this version knows them: what a newer broker appended to them is left
 * out, so that those without a session can read them with *_decode. `items` keeps what the result
 * points to. A malformed one is left out. */
struct wire_list inner_known(const struct longboat *lb, const struct wire_schema *s,
                             const struct wire_list *list, struct buf *items);

/* ---- request.c */
void request_pump(struct longboat *lb);    /* sends what waits while the window is open */
void request_session(struct longboat *lb); /* a new session: everything is sent again */
/* false: no request has this number */
bool request_take(struct longboat *lb, uint64_t kind, struct span message);
void request_free_all(struct longboat *lb);
/* longboat_request for an owner that deals with `busy` itself. */
int request_impatient(struct longboat *lb, uint64_t req, struct span message,
                      longboat_answer answer, void *self, struct error *err);
bool request_was_sent(const struct longboat *lb, uint64_t req); /* true if unknown, too */
/* Replaces the request's message from the next session on. */
void request_replace(struct longboat *lb, uint64_t req, struct span message);
/* Turns an ERROR into our error: -EBUSY, -EINVAL (bad_argument) or -EREMOTEIO. */
int request_error(const struct m_error *m, struct error *err);

/* ---- call.c */
void call_pump(struct longboat *lb); /* FOLLOWs of runs that an older session followed */
void call_session(struct longboat *lb);
bool call_sign_waiting(struct longboat *lb); /* the calls of this turn; true: there were some */
void call_take_state(struct longboat *lb, struct span message);
void call_take_ended(struct longboat *lb, struct span message);
void call_signer_known(
    struct longboat *lb); /* a certificate has come, or none will: ends that wait */
void call_take_error(struct longboat *lb, struct span message); /* the answer to a FOLLOW */
void call_free_all(struct longboat *lb);
void call_list_add(struct call_list *l, struct call *c);
struct call *call_list_take(struct call_list *l); /* NULL: empty */
/* zero: no server has the job yet */
void call_resolved(struct call *c, const struct hash *job_hash);
void call_refused(struct call *c, enum refusal code, const char *text); /* its end */
/* When to ask again after `busy`: the broker's delay and up to half of it more, at random. */
int64_t client_busy_until(const struct longboat *lb, uint64_t retry_ms);

/* ---- resolve.c: which version of a job is signed: ends in call_resolved or call_refused, at once
   or later */
void resolve_call(struct longboat *lb, struct call *call, struct span job, struct span address);
void resolve_free_all(struct longboat *lb);

/* ---- signers.c: the certificates of servers, and whether a result is its server's */
enum signers_verdict { SIGNERS_GOOD, SIGNERS_WAIT, SIGNERS_BAD };
/* Is this the end of that call? WAIT: the certificate has been asked for, and call_signer_known is
 * called once it is there. BAD: *why says it in a sentence. */
enum signers_verdict signers_judge(const struct call *c, const struct m_run_ended *m,
                                   const struct d_outcome *o, struct error *why);
/* A call to these servers is on its way: their certificates are asked for if there are few. */
void signers_expect(struct longboat *lb, const char *const *servers, uint32_t n);
void signers_free_all(struct longboat *lb);

/* ---- watch.c */
void watch_free(struct longboat *lb);

#endif
