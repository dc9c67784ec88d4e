/* broker.h - the whole broker, assembled.
 *
 * One turn: messages arrive (net/), each is judged and handed to the core or to a service
 * (dispatch.c). The core's records go to the store at the end of the turn; its effects wait for the
 * disk (shell/turn.h). Services (events, depot, logs, queries) answer themselves. */
#ifndef LB_BROKER_BROKER_H
#define LB_BROKER_BROKER_H

#include "broker/query/query.h"
#include "broker/shell/shell.h"
#include "trust/budget.h"
#include "trust/certificate.h"
#include "trust/keys.h"

struct broker_options {
    const char *cluster, *name;
    const char *const *listen;
    unsigned n_listen;
    const char *config, *state; /* the folders etc and var */
    uint64_t retention_ms, history_bytes, reserve_bytes, memory_budget, max_runs, lease_ms,
        lost_after_ms;
    uint64_t bodies_budget; /* 0: the part of memory_budget that broker/core/core.h names */
    uint64_t depot_bytes, logs_bytes, logs_keep_ms;
    uint64_t budgets[BUDGET_COUNT]; /* limits; 0: the default of trust/budget.h */
    uint64_t audit_retention_ms;    /* 0: for ever */
    enum copy audit_copy;
    bool restored; /* the store is a restored backup */
};

/* One note in the view `events` for each principal and message in this time, with the count of
 * those skipped, so that a program in a loop does not fill the history. */
enum { BROKER_DENIAL_NOTE_MS = 10000 };

/* For broker.c and dispatch.c only. */
struct broker {
    struct broker_options options; /* lent: its strings outlive the broker */
    struct shell shell;
    struct events *events;
    struct depot *depot;
    struct logs *logs;
    struct query_sources sources;
    struct trust_anchors anchors;
    struct key key;
    struct certificate own;
    struct buf next_certificate; /* for the key that it will have soon; empty: none */
    uint64_t last_lsn;           /* of the store, before the core starts */
    struct loop_timer minute;
    struct loop_timer gathered; /* auditing.c: gathered denials are written */
    bool asked_due;             /* the store is asked what of the trail may be dropped */
    struct broker_denial {
        char name[LIMIT_NAME + 1];
        uint64_t kind, count;
        int64_t noted;
    } denials[64]; /* the latest */
};

/* Opens trust, store and services, and listens. Everything in `o` is lent until broker_close. An
 * error says which part failed and what to do; nothing is left open then. */
int broker_open(struct broker **ret, struct loop *loop, const struct broker_options *o,
                struct error *err);
/* Commits what is queued and says goodbye. Sets *b to NULL; NULL is fine. */
void broker_close(struct broker **b);
const char *broker_endpoint(struct broker *b, unsigned index);

#endif
