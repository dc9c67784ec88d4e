/* broker.h - the broker's shell, inside: what its files share. Nobody outside this room includes
 * it.
 *
 * One turn: messages arrive (net), their rights are judged (rights), the core or a service takes
 * them; the core's records are gathered and go to the store at the end of the turn; its effects
 * wait in the gate for the disk. Services (queries, events, logs, depot, enrolment) answer by
 * themselves. */
#ifndef LB_BROKER_BROKER_H
#define LB_BROKER_BROKER_H

#include "broker/core/view.h"
#include "broker/shell/gate.h"
#include "broker/shell/known.h"
#include "broker/shell/rights.h"
#include "broker/store/store.h"
#include "common/hashtable.h"
#include "common/loop.h"
#include "common/mem.h"
#include "net/server.h"
#include "trust/keys.h"

struct depot;
struct events;
struct logs;
struct offload;

struct broker_options {
    const char *cluster, *name;
    const char *const *listen;
    unsigned n_listen;
    const char *config, *state; /* folders: etc, var */
    uint64_t retention_ms, history_bytes, reserve_bytes, memory_budget, max_runs, lease_ms,
        lost_after_ms;
    uint64_t depot_bytes, logs_bytes;
    bool restored; /* the store is a backup that was put back */
};

/* A session. */
struct peer {
    uint64_t handle;
    struct hash key;                       /* transport */
    const struct certificate *certificate; /* NULL: a one-time key */
    char address[64];
    char invited[LIMIT_NAME + 1]; /* what the holder of a one-time key is to become */
    bool told_full;               /* the core knows that its window is full */
    struct bcore_peer who;
    uint64_t log_bytes, log_acked; /* LOG_DATA taken so far in this session, and what it was told */
    UT_hash_handle hh;
};

struct broker {
    struct broker_options options;
    struct loop *loop;
    struct net_server *net;
    struct store *store;
    struct bcore *core;
    struct bcore_out out;
    struct gate *gate;
    struct known *known;
    struct events *events;
    struct logs *logs;
    struct depot *depot;
    struct offload *offload;
    struct trust_anchors anchors;
    struct key key;
    struct buf certificate; /* own, d_signed */
    char *invitations;      /* folder */
    struct peer *peers;     /* hash by handle */
    struct buf pending;     /* records of this turn: bodies */
    struct bcore_record *records;
    unsigned n_records, cap_records;
    uint64_t last_lsn;
    uint64_t *full; /* peers whose window has become full in this turn */
    unsigned n_full;
    struct buf scratch;
    struct loop_timer tick, minute;
    int64_t started_wall;
    bool stopping;
    uint64_t denials, messages;
    struct denial {
        char name[LIMIT_NAME + 1];
        uint64_t kind, count;
        int64_t noted;
    } denial[64]; /* the latest, to note each at most every DENIAL_NOTE_MS */
};

enum {
    DENIAL_NOTE_MS =
        10000 /* one line for each principal and message; a program in a loop fills no history */
};

/* ---- broker.c */
int broker_open(struct broker **ret, struct loop *loop, const struct broker_options *o,
                struct error *err);
void broker_close(struct broker **b); /* commits what is queued and says goodbye */
const char *broker_endpoint(struct broker *b, unsigned index);
struct peer *broker_peer(struct broker *b, uint64_t handle); /* NULL: gone */
/* Fills the times and chance of an event and steps the core. */
void broker_step(struct broker *b, struct bcore_event *ev);
void broker_step_message(struct broker *b, const struct peer *p, struct span message);
/* Sends an encoded answer; a peer that is gone is none of the caller's business. */
void broker_send(struct broker *b, uint64_t peer, const struct wire_schema *schema,
                 const void *message);
void broker_error(struct broker *b, uint64_t peer, uint64_t req, enum refusal code, const char *fmt,
                  ...) __attribute__((format(printf, 5, 6)));
void broker_done(struct broker *b, uint64_t peer, uint64_t req, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Ends a session of ours: REFUSED is the last it hears. */
void broker_drop(struct broker *b, struct peer *p, enum refusal code, const char *text);
/* Something for the view `events` that is no record of the core: a denial, an invitation, a
   backup. */
void broker_note(struct broker *b, const char *by, const char *verb, const char *target,
                 const char *text);

/* ---- hello.c */
enum refusal hello_take(struct broker *b, uint64_t handle, const struct hash *key,
                        const char *address, struct span hello, struct error *why);
/* its session is over: all that belongs to it */
void hello_forget(struct broker *b, struct peer *p);
/* REFUSAL_NONE, or why this session may say nothing any more: revoked or past its end. */
enum refusal hello_still_good(const struct broker *b, const struct peer *p, const char **ret_text);

/* ---- dispatch.c */
void handlers_take(struct broker *b, uint64_t peer, uint64_t kind, struct span message);

/* ---- lookup.c: what the core asks of the store */
void lookup_run(struct broker *b, const struct bcore_effect *e);
void lookup_key(struct broker *b, const struct bcore_effect *e);
/* For the gate: an EXECUTE whose call is in the store only. */
void lookup_call(struct broker *b, const struct bcore_effect *e, uint64_t number);

/* ---- query.c, enrol.c, operate.c */
void query_take(struct broker *b, struct peer *p, struct span message);
void enrol_take(struct broker *b, struct peer *p, struct span message);
void enrol_publish(struct broker *b, struct peer *p, struct span message);
void enrol_revoke(struct broker *b, struct peer *p, struct span message);
void enrol_certificates(struct broker *b, struct peer *p, struct span message);
void enrol_deploy(struct broker *b, struct peer *p, struct span message);
void enrol_record(struct broker *b, uint64_t kind,
                  struct span record); /* a record of the core: who is known changes with it */
void operate_take(struct broker *b, struct peer *p, struct span message);

#endif
