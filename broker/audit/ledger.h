/* ledger.h - what each principal adds to the audit trail, and when: so that no denial is lost, and
 * nobody fills the disk with them. Pure.
 *
 * The first denial of a principal's verb with one code is written at once. Those that follow in
 * LEDGER_GATHER_MS become one entry with their count. A principal may add LEDGER_DENIALS_MAX bytes
 * of denials an hour; what comes beyond is counted, and the count is an entry. Acts are never left
 * out: an act beyond LEDGER_ACTS_MAX bytes an hour is refused before it is done. */
#ifndef LB_BROKER_AUDIT_LEDGER_H
#define LB_BROKER_AUDIT_LEDGER_H

#include <stdbool.h>

#include "common/error.h"
#include "trust/audit.h"

enum {
    LEDGER_GATHER_MS = 10000,
    LEDGER_HOUR_MS = 3600000,
    LEDGER_DENIALS_MAX = 256 << 10, /* about 1,000 entries */
    LEDGER_ACTS_MAX = 32 << 20,     /* about 100,000: all runs of a bad night can be cancelled */
    LEDGER_SLOTS_MAX = 64           /* verbs and codes of one principal that are gathered */
};

/* The verb of the entry about denials that were counted and not written. */
#define LEDGER_LEFT_OUT "denials-left-out"

/* Who asks. Texts are lent for a call and copied where they are kept. */
struct ledger_who {
    const char *name, *role, *address;
    struct hash key; /* transport */
    uint64_t serial;
};
struct ledger_denial {
    const char *verb;
    uint64_t code, count;
    enum audit_decision decision; /* denied; or refused, which costs as much */
    const char *object, *reason;  /* of the last of them */
};

/* Writes an entry about denials; returns its bytes. Never calls the ledger. */
typedef size_t ledger_write(void *self, const struct ledger_who *who,
                            const struct ledger_denial *denial);

struct ledger;
struct ledger *ledger_new(ledger_write *write, void *self);
void ledger_free(struct ledger **l);
/* `now`: a clock that never goes back, ms. */
void ledger_deny(struct ledger *l, int64_t now, const struct ledger_who *who,
                 const struct ledger_denial *denial);
/* Writes what was gathered long enough ago; with `all`, everything. */
void ledger_flush(struct ledger *l, int64_t now, bool all);
/* When ledger_flush will have something to do; INT64_MAX: nothing is gathered. */
int64_t ledger_due(const struct ledger *l);
/* May it do one more act? -EDQUOT: not now; *err is the sentence for `busy`. */
int ledger_may_act(struct ledger *l, int64_t now, const struct ledger_who *who, struct error *err);
/* It did, and the entry has so many bytes. */
void ledger_acted(struct ledger *l, int64_t now, const struct ledger_who *who, size_t bytes);

#endif
