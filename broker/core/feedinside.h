/* feedinside.h - what feed.c and feedring.c share. No other file includes it. */
#ifndef LB_BROKER_CORE_FEEDINSIDE_H
#define LB_BROKER_CORE_FEEDINSIDE_H

#include "broker/core/feed.h"
#include "common/hashtable.h"
#include "common/mem.h"

/* The first record of a run that has not ended: later events of the run need it. */
struct flying {
    struct id run;
    struct buf begin;
    UT_hash_handle hh;
};
enum { FLYING_MAX = 20000 };

struct feed_reader {
    uint64_t peer, req;
    uint64_t position;            /* everything up to this lsn has been looked at */
    uint64_t told;                /* `to` of the last message */
    int64_t since;                /* until the first page has come */
    uint64_t credit, sent, taken; /* bytes of texts: allowed in flight; total sent; total taken */
    size_t pending; /* bytes of the event that did not fit into the credit; 0: unknown */
    bool live_told;
    uint64_t asked; /* number of the question to the store; 0: none */
    struct buf where;
    uint32_t n_where;
    struct feed *feed;
    struct feed_reader *next;
};

struct feed {
    struct feed_config config;
    const struct bcore *core;
    const struct feed_calls *calls;
    void *self;
    struct feed_reader *all;
    unsigned n;
    uint64_t committed;
    struct feed_event **ring; /* by lsn modulo ring_most; NULL: not in memory */
    uint64_t first, next;     /* the ring covers lsn [first, next) */
    size_t bytes;
    struct flying *flying;
};

/* ---- feedring.c */
void feedring_empty(struct feed *f);
const struct feed_event *feedring_at(const struct feed *f, uint64_t lsn); /* NULL: not in it */

#endif
