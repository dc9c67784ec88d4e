/* audit.h - the audit trail in the store: what is appended, and what is read. */
#ifndef LB_BROKER_STORE_AUDIT_H
#define LB_BROKER_STORE_AUDIT_H

#include "trust/audit.h"

enum store_audit_what {
    STORE_AUDIT_ENTRY,      /* number, at, body, hash */
    STORE_AUDIT_CHECKPOINT, /* seq, number, at, body, certificate */
    STORE_AUDIT_DROP        /* number: entries up to it go */
};

/* One piece of the trail. */
struct store_audit {
    enum store_audit_what what;
    uint64_t number, seq;
    int64_t at;
    struct hash hash;
    struct span body, certificate;
};

/* Where the trail ends. */
struct store_audit_end {
    struct audit_head head;
    uint64_t first;        /* number of the oldest entry; 0: there is none */
    uint64_t seq, sealed;  /* of the last checkpoint; 0: there is none */
    struct hash previous;  /* BLAKE2b-256 of its bytes */
    struct hash sealed_to; /* the hash in it */
};

#endif
