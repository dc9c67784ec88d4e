/* testlife.h - a real core with random events, and a store beside it that gets its records. For
 * tests only. */
#ifndef LB_BROKER_STORE_TESTLIFE_H
#define LB_BROKER_STORE_TESTLIFE_H

#include "broker/core/testing.h"

#include <poll.h>

#include "broker/store/store.h"

struct life_chance {
    uint64_t state;
};

/* A number below n. */
uint64_t life_below(struct life_chance *c, uint64_t n);

/* ---- The store beside the world */
struct life_store {
    struct store *store;
    char *path;
    size_t at; /* of w->journal: how far it has been appended */
    uint64_t committed;
    bool answered;
};

void life_on_committed(void *self, uint64_t lsn);

void life_on_full(void *self, bool full);

int life_check_loaded(void *self, uint64_t lsn, struct span body, struct error *err);

/* Once a question has been answered, everything appended so far is folded. */
void life_fold_all(struct life_store *s);

void life_append(struct core_world *w, struct life_store *s);

/* ---- A life */
struct store_life {
    struct core_world *w;
    struct life_chance chance;
    uint64_t caller, worker[2];
    struct id run[64];
    unsigned n, serial;
};

void life_begin_sessions(struct store_life *l);

void life_act(struct store_life *l);

#endif
