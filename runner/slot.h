/* slot.h - one slot: its keeper, and the steps queued there. Used by slots.c alone. */
#ifndef LB_RUNNER_SLOT_H
#define LB_RUNNER_SLOT_H

#include "common/channel.h"
#include "common/loop.h"
#include "proto/kept.h"
#include "proto/messages.h"

/* What we keep of a step once its bytes have gone to a keeper. */
struct slot_step {
    struct id run;
    uint64_t attempt, try_no;
    char step[LIMIT_NAME + 1];
    struct hash identity;
    int64_t expires;
    bool runs, wanted_back;
    bool told; /* the keeper itself has confirmed that it holds the step */
};
void slot_step_of(const struct s_launch *l, struct slot_step *ret);
/* As a message, which points into *h. */
void slot_step_kept(const struct slot_step *h, unsigned slot, enum kept_state state,
                    struct s_kept *ret);

struct slot;
/* What a slot tells its owner. */
struct slot_events {
    /* its keeper has died and the step is lost with it */
    void (*gone)(void *self, struct slot *t, const struct slot_step *h);
    void (*begun)(void *self, struct slot *t, const struct slot_step *h);
    /* a step has ended, after about this many ms */
    void (*ended)(void *self, int64_t ms);
    void (*given_back)(void *self, struct span launch);
    /* the keeper says how a step has ended. launched: it had started */
    void (*outcome)(void *self, const struct s_ended *e, bool launched);
    /* it no longer holds the step */
    void (*over)(void *self, struct slot *t, const struct slot_step *h);
    void (*trouble)(void *self); /* a slot's `failed` or `trouble` has changed */
    void (*turn)(void *self);    /* a keeper has spoken or has died */
    void *self;
};

enum {
    SLOT_AGAIN_MS = 250, /* until the next keeper where one did not work; twice that each time */
    SLOT_AGAIN_MS_MAX = 60000
};

struct slotfile;
struct slot {
    const struct slot_events *events;
    struct loop *loop;
    unsigned number;
    struct channel *channel; /* NULL: no keeper */
    bool heard;              /* the keeper has reported everything it holds */
    uint64_t version;        /* as the keeper speaks; 0: not said yet */
    bool works;              /* this keeper has spoken, other than of trouble */
    unsigned failed;         /* keepers, one after another, that did not work */
    int64_t not_before;      /* boot ms: no keeper is started here before */
    char *trouble;           /* as the last of them said; NULL: none */
    bool written;            /* something is queued on its channel */
    struct slot_step *held;  /* in the order in which it will run them */
    unsigned n;
    struct slotfile *file; /* the same, for the next runner; NULL: it could not be made */
    int64_t since;         /* boot ms: about when the first of them started */
};

/* Takes the channel; on failure it is closed. */
int slot_open(struct slot *t, struct channel *c, struct error *err);
/* The keeper is gone: calls `gone` for each step that it held. No effect without a keeper. */
void slot_lost(struct slot *t);
void slot_send(struct slot *t, struct span message); /* queued; slot_flush writes */
void slot_flush(struct slot *t);
/* Its keeper has said a version that we speak. */
bool slot_speaks(const struct slot *t);
void slot_hold(struct slot *t, const struct slot_step *h);
/* Takes a report from the keeper; `told` false: from our files, for a keeper that does not
 * answer. */
void slot_take_kept(struct slot *t, const struct s_kept *k, bool told);

#endif
