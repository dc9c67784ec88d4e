/* inner.h - what the files of liblongboat share. Nobody outside this room includes it. */
#ifndef LB_CLIENT_INNER_H
#define LB_CLIENT_INNER_H

#include "client/config.h"
#include "client/longboat.h"
#include "common/mem.h"
#include "net/dialer.h"
#include "net/socket.h"

/* What a peer chooses (run ids) keys some of these tables: SipHash with a secret of this
   process. */
#include "net/keyhash.h"

enum { ANSWER_MS = 30000 /* what the forms without a timeout of their own wait for one answer */ };

struct resolution;
struct watch;

/* A call from longboat_call_start to its end. In one list at a time: waiting for its job's hash, or
 * for its signature. */
struct call {
    struct longboat *lb;
    uint64_t req;       /* of its CALL, and of each FOLLOW */
    struct buf body;    /* d_call; until it is signed, with the hash it was given */
    struct buf message; /* m_call, signed */
    longboat_follow follow;
    void *self;
    struct id run;     /* zero: not accepted yet */
    uint64_t followed; /* the session in which its run is followed */
    struct loop_timer retry;
    bool busy;         /* so the broker has answered its CALL; it waits to be said again */
    struct call *next; /* in a list */
    struct call *same; /* another call with this run: its key was used twice */
    UT_hash_handle by_run, hh;
};
struct call_list {
    struct call *first, *last;
    unsigned n;
};

struct request {
    uint64_t req;
    struct buf message;
    longboat_answer answer;
    void *self;
    bool sent;         /* at least once, in whichever session */
    UT_hash_handle hh; /* the table keeps the order of coming: those not yet sent are its tail */
};

struct longboat {
    struct loop *loop;
    bool own_loop;
    struct client_config config;
    struct dialer *dialer;
    bool withdrawn; /* no call is submitted any more */
    bool newer;     /* the broker speaks a newer minor version */
    /* counts sessions: what was counted per session begins anew when it changes */
    uint64_t session;
    uint64_t last_req;
    enum refusal refused; /* of the session; not `busy`, which passes */
    char refused_text[ERROR_TEXT_MAX];
    char name[LIMIT_NAME + NET_ENDPOINT_MAX + 32];
    struct buf scratch;
    struct buf revocations; /* the newest list that the broker has pushed */

    struct request *requests;
    struct request *unsent; /* the first of the tail */

    struct call *calls;       /* all that have not ended, by req */
    struct call *runs;        /* those that were accepted, by run id */
    struct call_list to_sign; /* the calls of this turn */
    bool follows_left;        /* runs of an older session are still to be followed */
    struct resolution *resolutions;
    struct watch *watch; /* NULL: nobody wants to be told */
};

/* ---- connect.c */
/* Sends if there is a session with room; false: later. */
bool inner_send(struct longboat *lb, struct span message);
/* wire_decode, tolerant towards a newer broker. */
int inner_decode(const struct longboat *lb, const struct wire_schema *s, struct span message,
                 void *ret, struct error *err);

/* ---- request.c */
void request_pump(struct longboat *lb);    /* sends what waits, while there is room */
void request_session(struct longboat *lb); /* a new session: all of it is said again */
/* false: it answers no request */
bool request_take(struct longboat *lb, uint64_t kind, struct span message);
void request_free_all(struct longboat *lb);
bool request_was_sent(const struct longboat *lb, uint64_t req); /* also if there is none */
/* Another message under the same number, to be said at the next session instead. */
void request_replace(struct longboat *lb, uint64_t req, struct span message);
/* The sentence of an ERROR as an error of ours: -EBUSY, -EINVAL (bad_argument) or -EREMOTEIO. */
int request_error(const struct m_error *m, struct error *err);

/* ---- call.c */
void call_pump(struct longboat *lb); /* FOLLOWs of runs that an older session followed */
void call_session(struct longboat *lb);
bool call_sign_waiting(struct longboat *lb); /* the calls of this turn; true: there were some */
void call_take_state(struct longboat *lb, struct span message);
void call_take_ended(struct longboat *lb, struct span message);
void call_take_error(struct longboat *lb, struct span message); /* the answer to a FOLLOW */
void call_free_all(struct longboat *lb);
void call_list_add(struct call_list *l, struct call *c);
struct call *call_list_take(struct call_list *l); /* NULL: empty */
/* zero: no server has the job yet */
void call_resolved(struct call *c, const struct hash *job_hash);
void call_refused(struct call *c, enum refusal code, const char *text); /* its end */
/* When to come back after a `busy`: the broker's time and up to half of it more, by chance. */
int64_t client_busy_until(const struct longboat *lb, uint64_t retry_ms);

/* ---- resolve.c: which version of a job is signed: ends in call_resolved or call_refused, at once
   or later */
void resolve_call(struct longboat *lb, struct call *call, struct span job, struct span address);
void resolve_free_all(struct longboat *lb);

/* ---- watch.c */
void watch_free(struct longboat *lb);

#endif
