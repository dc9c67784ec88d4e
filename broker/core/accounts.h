/* accounts.h - what each principal holds in the core, so that one that is greedy is refused before
 * it costs others anything. Shared by the files of the core; no other room includes it. */
#ifndef LB_BROKER_CORE_ACCOUNTS_H
#define LB_BROKER_CORE_ACCOUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/limits.h"

struct bcore;
struct text;

/* What one sender may make the broker write. */
enum {
    EVIDENCE_MAX = 10000, /* remembered results that did not count; a repeat makes no new record */
    EVIDENCE_OUTCOME_MAX = 64 << 10, /* of a longer one the layers are kept */
    EVIDENCE_LOOK = 1 << 10, /* what it costs a server to have the history asked, in bytes */
    EVIDENCE_BACK_HOURS = 16,
    STARTED_MAX = LIMIT_STEPS * LIMIT_TRIES, /* records of one attempt; a job has no more tries */
    REST_MOST_MS = 60000, /* the pause doubles with each unasked return up to this */
    RATE_SESSIONS = 12,   /* records of one server's sessions in a minute */
    RATE_DRIVES = 12,     /* of one parent's drivers in a minute */
    RATE_ACTS = 600,      /* of one operator's acts in a minute */
    ACCOUNTS_GONE_MAX = 256,
    ACCOUNT_GONE_MS = 60000 /* as long as any rate counts */
};

/* What somebody may make the broker write: `used` of it falls back to 0 within a fixed time. */
struct rate {
    uint64_t used;
    int64_t at; /* boot */
};
/* May `amount` more be used, of `most` that come back within `full_ms`? Then it is. */
bool account_rate(const struct bcore *c, struct rate *r, uint64_t amount, uint64_t most,
                  uint64_t full_ms);

/* Derived. A name that holds nothing and has no session is gone. Its account stays for
 * ACCOUNT_GONE_MS (of the last ACCOUNTS_GONE_MAX), so that nobody has new rates by coming again. */
struct account {
    struct text *name;
    uint64_t refs; /* sessions, parents, groups, classes */
    uint64_t sessions, runs, parents, classes, follows, bodies, memory;
    uint64_t most_runs, most_memory, refused_runs, refused_memory;
    /* number of the last decision that served it; of a new one, of the last at all: who comes waits
       for those who have waited */
    uint64_t served;
    int64_t retry_at; /* boot: when the last call that was refused as `busy` may return */
    struct rate acts; /* as an operator */
    int64_t gone_at;  /* boot */
    struct account *gone_next, *gone_prev; /* oldest first */
};

struct account *account_get(struct bcore *c, struct text *name); /* a reference */
void account_put(struct bcore *c, struct account **a);
void account_free_gone(struct bcore *c); /* all that are gone */
/* Memory that counts against memory_budget. All of it is charged to somebody. */
void account_charge(struct bcore *c, struct account *a, uint64_t bytes);
void account_release(struct bcore *c, struct account *a, uint64_t bytes);
/* May it have `bytes` more? If not, answers `busy`. */
bool account_allows_memory(struct bcore *c, struct account *a, uint64_t req, uint64_t bytes);
/* The same for one more run or parent, of which it has `own` and all together `all`. */
bool account_allows_live(struct bcore *c, struct account *a, uint64_t req, const char *what,
                         uint64_t own, uint64_t all);
/* ... and for one more kind of call. */
bool account_allows_class(struct bcore *c, struct account *a, uint64_t req);

#endif
