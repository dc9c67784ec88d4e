/* feedinside.h - what feed.c, feedreaders.c and feedring.c share. No other file includes it. */
#ifndef LB_BROKER_CORE_FEEDINSIDE_H
#define LB_BROKER_CORE_FEEDINSIDE_H

#include "broker/core/feed.h"
#include "common/hashtable.h"
#include "common/mem.h"

/* The first record of a run: its events need it. Kept while the run lives, and while a slot of the
 * ring still refers to it. */
struct flying {
    struct id run;
    struct buf begin;
    unsigned slots;
    bool listed; /* in feed.flying */
    UT_hash_handle hh;
};
enum { FLYING_MAX = 20000 };

/* A record, and its event once somebody has asked for it. */
struct feed_slot {
    uint64_t lsn;
    struct span record, begin; /* record empty: only the store has it */
    struct feed_event *event;
    struct flying *run; /* of the ring */
};

/* Readers with the same filter and the same rights: what one may see, all may see. */
struct feed_class {
    struct hash rights;
    struct buf where;
    struct feed_filter filter;
    unsigned n;
    struct feed_class *next;
};

struct feed_reader {
    uint64_t peer, req;
    uint64_t position;            /* everything up to this lsn has been looked at */
    uint64_t told;                /* `to` of the last message */
    int64_t since;                /* until the first page has come */
    uint64_t credit, sent, taken; /* bytes of texts: allowed in flight; total sent; total taken */
    size_t pending; /* bytes of the event that did not fit into the credit; 0: unknown */
    bool live_told;
    struct feed_class *class;
    struct feed *feed;
};

/* The readers of one principal, who take turns; and principals take turns among themselves. */
struct feed_principal {
    struct hash key;
    struct feed_reader **readers;
    unsigned n, turn;
};

struct feed_kept_page { /* the store's last page, for whoever is inside it */
    uint64_t after, next;
    struct buf bytes;
    struct feed_slot *slots;
    unsigned n;
};

struct feed {
    struct feed_config config;
    const struct bcore *core;
    const struct feed_calls *calls;
    void *self;
    struct feed_principal **principals;
    unsigned n_principals, turn;
    struct feed_class *classes;
    unsigned n; /* readers */
    uint64_t committed;
    struct feed_reader *asker; /* the store has been asked for it; NULL: no question is open */
    uint64_t asked;            /* its number */
    struct feed_kept_page page;
    bool keep;              /* a reader is near the newest record: the ring is filled */
    struct feed_slot *ring; /* by lsn modulo ring_most */
    uint64_t first, next;   /* the ring covers lsn [first, next) */
    size_t bytes;
    struct flying *flying;
};

/* ---- feedring.c */
void feedring_empty(struct feed *f);
void feedring_near(struct feed *f, uint64_t position); /* a reader is there */
bool feedring_has(const struct feed *f, uint64_t lsn);
struct feed_slot *feedring_at(const struct feed *f, uint64_t lsn); /* NULL: not in it */

/* ---- feedpage.c */
void feedpage_keep(struct feed *f, uint64_t after, const struct feed_page *page);
void feedpage_empty(struct feed *f);
bool feedpage_covers(const struct feed *f, uint64_t position);
unsigned feedpage_behind(const struct feed *f, uint64_t position); /* the first slot behind it */

/* ---- feedreaders.c */
void feedreaders_drop(struct feed *f, uint64_t peer, bool all, uint64_t req);
struct feed_reader *feedreaders_find(const struct feed *f, uint64_t peer, uint64_t req);

/* ---- feed.c */
void feed_say_live(struct feed_reader *r); /* tells a new reader that nothing older is left */

#endif
