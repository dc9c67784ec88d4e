/* slot.h - inside slots.c and slot.c: one slot, its keeper, and the steps that lie there. */
#ifndef LB_RUNNER_SLOT_H
#define LB_RUNNER_SLOT_H

#include "common/channel.h"
#include "common/loop.h"
#include "proto/messages.h"

/* A step as far as we must know it once its bytes have gone to a keeper. */
struct held {
    struct id run;
    uint64_t attempt, try_no;
    char step[LIMIT_NAME + 1];
    struct hash identity;
    int64_t expires;
    bool runs, wanted_back;
    bool told; /* by the keeper itself; of what it was sent by us that is not asked */
};
void held_of_launch(const struct s_launch *l, struct held *ret);
/* As a message; it points into *h. */
void held_to_kept(const struct held *h, unsigned slot, unsigned state, struct s_kept *ret);

struct slot;
/* What a slot tells its owner. */
struct slot_events {
    /* its keeper has died with this step */
    void (*gone)(void *self, struct slot *t, const struct held *h);
    /* a step has, after about so long */
    void (*ended)(void *self, int64_t ms);
    void (*given_back)(void *self, struct span launch);
    void (*turn)(void *self); /* after a keeper has spoken, or has died */
    void *self;
};

struct heldfile;
struct slot {
    const struct slot_events *events;
    struct loop *loop;
    unsigned number;
    struct channel *channel; /* NULL: no keeper */
    bool heard;              /* it has said what it holds */
    bool written;            /* something is queued on its channel */
    struct held *held;       /* in the order in which it will run them */
    unsigned n;
    struct heldfile *file; /* the same for the next runner; NULL: it could not be made */
    int64_t since;         /* boot ms: the first of them runs since then, about */
};

/* Takes the channel; on failure it is closed. */
int slot_open(struct slot *t, struct channel *c, struct error *err);
/* The keeper is gone: every step that it held is told. Nothing, if there was none. */
void slot_lost(struct slot *t);
void slot_send(struct slot *t, struct span message); /* queued; slot_flush writes */
void slot_flush(struct slot *t);
void slot_hold(struct slot *t, const struct held *h);
/* What the keeper says, or `told` is false and our files say it for one that does not answer. */
void slot_take_kept(struct slot *t, const struct s_kept *k, bool told);

#endif
