/* core.h - the broker's decisions. Pure: (state, event) -> (state, records, effects), with no
 * clock, socket, file or random source.
 *
 * Only one function changes the durable part of the state (runs, parents, operators' decisions,
 * deployments, certificates, revocations): it applies a record. A step decides, emits records and
 * applies them; a replay applies the same records again. So replaying the journal gives the state,
 * which is a law (bcore_digest). Everything else (sessions, leases, ready queues, credit, timers,
 * followers) is derived and starts empty in a new process.
 *
 * An effect names the record that it rests on (`rests_on`, an lsn; 0: none). The shell releases it
 * only after the store has committed that lsn. Effects for one peer leave in the order in which
 * they were emitted.
 *
 * The core does not judge rights: the shell does (broker/dispatch.h), before the core sees a
 * message. The core refuses what only it can know: unknown runs, conflicts, wrong states, limits,
 * overload. */
#ifndef LB_BROKER_CORE_CORE_H
#define LB_BROKER_CORE_CORE_H

#include "proto/messages.h"
#include "proto/outcome.h"
#include "proto/state.h"

struct bcore;

struct bcore_config {
    uint64_t lease_ms, lost_after_ms; /* 0: LEASE_MS, LOST_AFTER_MS */
    /* bytes for waiting calls; beyond it CALL is answered `busy` */
    uint64_t memory_budget;
    /* the part of memory_budget for the bytes of the calls themselves; those of waiting calls
       beyond it stay in the store only; 0: memory_budget / BODIES_PART */
    uint64_t bodies_budget;
    uint64_t max_runs; /* live runs; beyond it `busy` */
    /* which part of either one principal may have (trust/budget.h); 0: as in the table there */
    uint64_t runs_percent, memory_percent;
    /* live pairs of job and address, likewise; 0: CLASSES_MAX */
    uint64_t classes_max;
    /* bytes of results that do not count which one server may have kept at once; a sixteenth comes
       back each hour; 0: as in that table */
    uint64_t evidence_bytes;
    char cluster[LIMIT_NAME + 1], broker[LIMIT_NAME + 1];
    struct span certificate; /* the broker's own d_signed, for WELCOME; copied */
    struct span next;        /* the one for its next key; empty: none; copied */
    /* how long and how many keys of ended runs are kept in memory; 0: KEPT_MS, KEPT_MAX */
    uint64_t kept_ms, kept_max;
    uint8_t hash_key[16]; /* random; for tables whose keys peers choose (SipHash) */
};

enum {
    BODIES_PART = 4, /* higher: more reads of the store; lower: fewer calls fit in all */
    /* for this long after a run's end its key is found without asking the store */
    KEPT_MS = 7 * 86400000,
    /* about 100 bytes each; older keys are looked up in the store (BCORE_FX_LOOKUP_KEY). One
       principal's many ends push out the keys of others, which then cost a look into the store */
    KEPT_MAX = 250000,
    /* each change of a server looks at all of them, about 10 ms for so many */
    CLASSES_MAX = 1 << 17
};

/* The other end of a session, from its verified certificate. Lent for the step; the core copies
 * what it keeps. */
struct bcore_peer {
    const char *name;         /* the principal */
    const char *role;         /* as in certificates; "": a one-time key, which may only ENROL */
    struct span certificate;  /* d_signed as received; handed to workers with calls */
    const char *const *pools; /* of a server, without "all" */
    unsigned n_pools;
    const char *address; /* network address, for people */
};

enum bcore_event_kind {
    /* peer, who, message (its HELLO): a session has opened. The core emits WELCOME, not the
     * shell. */
    BCORE_PEER_UP,
    BCORE_PEER_DOWN, /* peer: its session has ended (BYE, RESET, superseded, dropped) */
    /* peer, who, message: CALL RESOLVE FOLLOW CANCEL PARENT_* ATTEST HAVE HAVE_END STARTED PROGRESS
       RESULT RETURNED PING OPERATE (drain undrain forget release) DEPLOY ENROL PUBLISH REVOKE.
       All others are the shell's. */
    BCORE_MESSAGE,
    /* peer, window_open. false: its send queue is full; what it follows is noted, once for each
       run, and not sent. true: it can take messages again. */
    BCORE_WINDOW,
    BCORE_COMMITTED,  /* lsn: everything up to it is on disk */
    BCORE_STORE_FULL, /* the disk is full: new CALLs are answered `busy` */
    BCORE_STORE_OK,   /* there is space again */
    /* keys, n_keys, last. Keys of runs and parents whose ends the replay left out. The shell reads
       them after bcore_begin with left_out, each at least once, in any order, in as many events as
       it likes; `last`: there are no more. Until then the core asks the store about every key that
       it does not know. */
    BCORE_ENDED_KEYS,
    BCORE_TICK /* time has passed: due timers fire */
};

struct bcore_event {
    enum bcore_event_kind kind;
    int64_t now;   /* ms of CLOCK_BOOTTIME: every timer and lease */
    int64_t wall;  /* ms since 1970: what records say and `expires` is compared with; may jump */
    uint64_t peer; /* handle of a session, chosen by the shell and never reused; 0: none */
    const struct bcore_peer *who;
    struct span message; /* an encoded m_; the core checks its form */
    /* COMMITTED: see there. bcore_begin: the last record of the store, even if the replay left it
       out. With looked_up: every end up to it was looked at, `called_lsn` of the effect at the
       least. */
    uint64_t lsn;
    bool window_open;   /* PEER_UP, MESSAGE, WINDOW: whether `peer` can take messages now */
    uint8_t random[16]; /* for the id of a new run */
    uint64_t size;      /* DEPLOY: bytes of the package in the depot */
    bool restored;      /* bcore_begin: the records are those of a backup */
    /* bcore_begin: the newest end in the store that the replay left out, neither as its records nor
       as an r_kept; 0: none is left out */
    uint64_t left_out;
    const struct bcore_ended_key *keys; /* ENDED_KEYS */
    unsigned n_keys;
    bool last;
    /* CALL and PARENT_BEGIN after BCORE_FX_LOOKUP_KEY, RESULT after BCORE_FX_LOOKUP_HANDED: the
       store has answered, and `known` is its answer. */
    bool looked_up;
    const struct bcore_known *known;
};

struct bcore_ended_key {
    struct span principal, key;
    bool parent;
};

/* The ended run of (principal, key) in the history. A NULL pointer: there is none. */
struct bcore_known {
    struct id run;
    struct hash digest;
};

struct bcore_record {
    uint64_t lsn; /* without a gap, from the last one of bcore_begin + 1 */
    struct span body;
};

enum bcore_effect_kind {
    BCORE_FX_SEND, /* peer, body: an encoded m_ */
    /* peer, body: an encoded m_refused or m_reset, sent last; then the shell drops the session. The
       core has forgotten the peer; a later PEER_DOWN for it is harmless. */
    BCORE_FX_CLOSE,
    /* peer, req, run, level: the run is not in memory. The shell answers from the history with
       RUN_ENDED, or with ERROR {req, unknown_run}. req 0: this follower did not ask, but is still
       to be told the end. */
    BCORE_FX_LOOKUP,
    /* peer, run, called_lsn, body: an encoded m_execute without its call: bcore_execute_fill. */
    BCORE_FX_EXECUTE,
    /* peer, req, key, parent, body: a CALL or PARENT_BEGIN whose key may be that of a run no longer
       in memory. The shell looks (principal, key) up in the history, which must have every end up
       to called_lsn, and steps the same BCORE_MESSAGE again with looked_up; or it answers with
       ERROR {req, busy}. */
    BCORE_FX_LOOKUP_KEY,
    /* peer, run, attempt, key (the server's name), body: a RESULT that does not count, from a
       server that may never have had that attempt. The shell looks for its r_assigned in the
       history and steps the same BCORE_MESSAGE again with looked_up; `known` is not NULL if it is
       there. */
    BCORE_FX_LOOKUP_HANDED,
    BCORE_FX_NOTE /* run, key (who), body: a sentence for the view `events`, not a record */
};

struct bcore_effect {
    enum bcore_effect_kind kind;
    uint64_t peer;
    uint64_t rests_on;
    struct span body;
    uint64_t req, level; /* LOOKUP, LOOKUP_KEY */
    struct id run;
    uint64_t called_lsn; /* EXECUTE, LOOKUP_KEY */
    struct span key;     /* LOOKUP_KEY, LOOKUP_HANDED, NOTE */
    uint64_t attempt;    /* LOOKUP_HANDED */
    bool parent;         /* LOOKUP_KEY: the key is a parent's, not a call's */
};

/* What one step yields. Yours, and reused for step after step. Spans are valid until the next
 * step. */
struct bcore_out {
    struct bcore_record *records;
    unsigned n_records;
    struct bcore_effect *effects;
    unsigned n_effects;
    /* private to the core */
    struct buf arena;
    unsigned cap_records, cap_effects;
};
void bcore_out_free(struct bcore_out *out);

/* Copies the configuration. Yours to free. */
struct bcore *bcore_new(const struct bcore_config *config);
void bcore_free(struct bcore **c); /* sets *c to NULL; freeing NULL is fine */

/* Applies one record of the journal. Call it at start for each record, in lsn order, and then
 * bcore_begin once. -EPROTO, with the lsn in *err: the record cannot be read, or the state does not
 * allow it. Such a store is refused, not repaired.
 *
 * The store may leave out of the replay records on which the state does not depend:
 *   - Of a run or parent that has ended, all records; one r_kept stands in for them, in the order
 *     of the ends. It may be left out, too, once kept_ms have passed, and of all but the newest
 *     kept_max; `left_out` of bcore_begin then says so, and the core asks the store for such keys.
 *   - r_evidence and r_server.
 *   - All but the last of these: r_epoch; r_revoked; r_enrolled with the same name and serial;
 *     r_deployed with the same address and package name; r_secret with the same name and address;
 *     r_operated with the same target (drain, undrain, forget).
 * All other records of live runs and parents are needed. */
int bcore_replay(struct bcore *c, uint64_t lsn, struct span record, struct error *err);

/* Ends the replay: emits r_epoch and counts lost_after from `now`. With ev->restored, what happened
 * after the backup was taken is unknown: every live run is held until an operator releases it. What
 * still runs on a server goes on, and its result is evidence. The epoch and the attempts continue
 * above any that the lost time can have reached. */
void bcore_begin(struct bcore *c, const struct bcore_event *ev, struct bcore_out *out);

/* Takes one event. Clears `out` first. Never fails: a malformed or impossible message yields an
 * ERROR or a CLOSE effect. */
void bcore_step(struct bcore *c, const struct bcore_event *ev, struct bcore_out *out);

/* Completes a BCORE_FX_EXECUTE, whose call is in the store only: in the r_called that is record
 * called_lsn, which is on disk. `execute`: the effect's body; `called`: that record. Appends the
 * message to `out`; the shell sends it in the effect's place among those for this peer. If the
 * store has no such record the run has ended in the meantime, and the shell drops the effect.
 * -EPROTO: one of the two cannot be read; `out` is as it was. */
int bcore_execute_fill(struct span execute, struct span called, struct buf *out, struct error *err);

/* When the core wants its next TICK, in ms of CLOCK_BOOTTIME; INT64_MAX: never. */
int64_t bcore_deadline(const struct bcore *c);

/* The hash of the durable state: equal after a step and after the replay of its records (promise
 * 5). Walks over all of the state. */
void bcore_digest(const struct bcore *c, struct hash *ret);

#endif
