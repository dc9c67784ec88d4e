/* core.h - what the broker decides. Pure: (state, event) -> (state, records, effects); no clock,
 * socket, file, chance.
 *
 * The durable part of the state (runs, parents, operators' decisions, deployments, certificates,
 * revocations) is changed by one function only, which applies a record; a step decides, emits
 * records and applies them itself, and replay applies the same records again. So replaying the
 * journal gives the state: a law, see bcore_digest. Everything else (sessions, leases, ready
 * queues, credit, timers, followers) is derived and starts empty in a new process.
 *
 * An effect names the record that it rests on (`rests_on`, an lsn; 0: none). The shell lets it
 * leave only when the store has committed that lsn; effects of one peer leave in the order in which
 * they were emitted.
 *
 * Rights are not judged here: the shell has judged the message (broker/dispatch.h) before the core
 * sees it. What the core refuses is what only it can know: unknown runs, conflicts, states, limits,
 * overload. */
#ifndef LB_BROKER_CORE_CORE_H
#define LB_BROKER_CORE_CORE_H

#include "proto/messages.h"
#include "proto/outcome.h"
#include "proto/state.h"

struct bcore;

struct bcore_config {
    uint64_t lease_ms, lost_after_ms; /* defaults LEASE_MS, LOST_AFTER_MS */
    /* bytes that waiting calls may take; beyond it CALL is answered `busy` */
    uint64_t memory_budget;
    /* of them for the calls' own bytes; beyond it those of calls that wait stay in the store only;
       0: a BODIES_PART-th of memory_budget */
    uint64_t bodies_budget;
    uint64_t max_runs; /* live runs; beyond it `busy` */
    char cluster[LIMIT_NAME + 1], broker[LIMIT_NAME + 1];
    struct span certificate; /* the broker's own d_signed, for WELCOME; copied */
    /* keys of ended runs in memory: for so long and so many; 0: KEPT_MS, KEPT_MAX */
    uint64_t kept_ms, kept_max;
    uint8_t hash_key[16]; /* random, for the tables whose keys peers choose (SipHash) */
};

enum {
    BODIES_PART = 4, /* more: the store is asked more often; less: fewer calls fit in all */
    /* the same key with another body is refused this long after the run's end */
    KEPT_MS = 7 * 86400000,
    /* about 100 bytes each; for what is older the store is asked (BCORE_FX_LOOKUP_KEY) */
    KEPT_MAX = 250000
};

/* Who is at the other end of a session: from its verified certificate. Lent for the call; the core
 * copies what it keeps. */
struct bcore_peer {
    /* principal; role as in certificates: "server", "caller", ...; "": a one-time key, which may
       only ENROL */
    const char *name, *role;
    struct span certificate;  /* d_signed as received; handed to workers with calls */
    const char *const *pools; /* of a server, without "all" */
    unsigned n_pools;
    const char *address; /* for people: where it comes from */
};

enum bcore_event_kind {
    /* peer, who, message (its HELLO): a session is open; the shell has not yet sent WELCOME: the
       core emits it */
    BCORE_PEER_UP,
    BCORE_PEER_DOWN, /* peer: its session is over (BYE, RESET, superseded, dropped) */
    /* peer, who, message: CALL RESOLVE FOLLOW CANCEL PARENT_* ATTEST HAVE HAVE_END STARTED PROGRESS
       RESULT RETURNED PING OPERATE (drain undrain forget release) DEPLOY ENROL PUBLISH REVOKE;
       others are the shell's */
    BCORE_MESSAGE,
    /* peer: its window has become full (window_open false: what it follows is remembered, once for
       each run, and not sent) or can take messages again */
    BCORE_WINDOW,
    BCORE_COMMITTED,  /* lsn: everything up to it is on disk */
    BCORE_STORE_FULL, /* the disk refuses: new CALLs are answered `busy` */
    BCORE_STORE_OK,
    BCORE_TICK /* time has passed; due timers act */
};

struct bcore_event {
    enum bcore_event_kind kind;
    int64_t now; /* CLOCK_BOOTTIME ms: every timer and lease */
    /* ms since 1970: what is written into records and compared with a call's `expires`; may step */
    int64_t wall;
    uint64_t peer; /* session handle given by the shell, never reused within a process; 0: none */
    const struct bcore_peer *who;
    struct span message; /* encoded m_; checked in form by the core */
    /* COMMITTED; bcore_begin: the last that the store has, those left out of the replay included;
       looked_up: `rests_on` of the effect that asked */
    uint64_t lsn;
    bool window_open;   /* of `peer`, as the shell knows it now: with PEER_UP, MESSAGE and WINDOW */
    uint8_t random[16]; /* for a new run's id */
    uint64_t size;      /* DEPLOY: bytes of the package in the depot */
    bool restored;      /* bcore_begin: the records are those of a backup; see there */
    /* CALL, PARENT_BEGIN that BCORE_FX_LOOKUP_KEY gave back: the store has been asked, `known` is
       its answer */
    bool looked_up;
    const struct bcore_known *known;
};

/* The row of an ended run that the history has under (principal, key); NULL: it has none. */
struct bcore_known {
    struct id run;
    struct hash digest;
};

struct bcore_record {
    uint64_t lsn; /* contiguous, from the last that the store had at bcore_begin + 1 */
    struct span body;
};

enum bcore_effect_kind {
    BCORE_FX_SEND, /* peer, body: an encoded m_ */
    /* peer, body: an encoded m_refused or m_reset that is sent last; then the session is dropped.
       The core has forgotten the peer; a PEER_DOWN for it does no harm */
    BCORE_FX_CLOSE,
    /* peer, req, run, level: the run is not in memory. The shell answers from the history:
       RUN_ENDED, or ERROR {req, unknown_run}. req 0: nobody asked, a follower is owed the end of
       this run */
    BCORE_FX_LOOKUP,
    /* peer, run, called_lsn, body: an encoded m_execute without its call, see bcore_execute_fill */
    BCORE_FX_EXECUTE,
    /* peer, key, parent, body: the message (CALL or PARENT_BEGIN) of a principal whose key may be
       among those no longer in memory. The shell looks (principal, key) up in the history and steps
       the same BCORE_MESSAGE again with looked_up */
    BCORE_FX_LOOKUP_KEY
};

struct bcore_effect {
    enum bcore_effect_kind kind;
    uint64_t peer;
    uint64_t rests_on;
    struct span body;
    uint64_t req, level; /* LOOKUP */
    struct id run;
    uint64_t called_lsn; /* EXECUTE */
    struct span key;     /* LOOKUP_KEY */
    bool parent;         /* LOOKUP_KEY: of a parent run, not of a call */
};

/* What one step yields; spans are valid until the next step. Owned by the caller, reused from step
   to step. */
struct bcore_out {
    struct bcore_record *records;
    unsigned n_records;
    struct bcore_effect *effects;
    unsigned n_effects;
    /* inside of the core */
    struct buf arena;
    unsigned cap_records, cap_effects;
};
void bcore_out_free(struct bcore_out *out);

struct bcore *bcore_new(const struct bcore_config *config);
void bcore_free(struct bcore **c);

/* Replay at start, in lsn order, then bcore_begin once: it emits r_epoch and starts counting
 * lost_after from `now`. `restored`: what happened after the backup was taken is unknown. Every
 * live run is held until an operator releases it; what still runs of it somewhere goes on, and its
 * result is evidence. Epoch and attempts go on from numbers that the time that was lost cannot have
 * reached.
 *
 * An unreadable record, or one that the state does not allow, is -EPROTO and names its lsn: the
 * store is refused, not repaired.
 *
 * What the store may leave out of a replay, because the state does not depend on it:
 *   - of a run or parent that has ended, everything but one r_kept in the order of the ends, and
 *     that too after
 * kept_ms (the store is asked of what may have ended before); beyond kept_max the newest kept_max +
 * 1 are enough (from the one too many the core knows how far back it remembers)
 *   - r_evidence and r_server
 *   - all but the last: r_epoch; r_revoked; r_enrolled of one (name, serial); r_deployed of one
 *     (address, package
 * name); r_operated of one target (drain, undrain, forget) Everything else of live runs and
 * parents, in lsn order, is needed. */
int bcore_replay(struct bcore *c, uint64_t lsn, struct span record, struct error *err);
void bcore_begin(struct bcore *c, const struct bcore_event *ev, struct bcore_out *out);

/* One event. Clears `out` first. A malformed or impossible message yields an ERROR or a CLOSE
 * effect, never a failure. */
void bcore_step(struct bcore *c, const struct bcore_event *ev, struct bcore_out *out);

/* BCORE_FX_EXECUTE: the call's bytes are in the store only, in the r_called that is record
 * called_lsn, which is on disk. The shell asks for it at once, and sends what this appends to `out`
 * in the effect's place among those of the peer. If there is no such record the run has ended
 * meanwhile, and the effect is dropped. */
int bcore_execute_fill(struct span execute, struct span called, struct buf *out, struct error *err);

/* When the core wants its next TICK (boot ms); INT64_MAX: never. */
int64_t bcore_deadline(const struct bcore *c);

/* Hash of the durable state: equal after step and after replay of the same records (promise 5).
 * Costs a walk over all. */
void bcore_digest(const struct bcore *c, struct hash *ret);

#endif
