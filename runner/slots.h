/* slots.h - what runs and waits where: the queue of verified steps, and a keeper for each slot.
 *
 * A step goes to a keeper that has nothing to do; else a keeper is made if there are fewer than
 * slots; else, while steps are short, some lie ahead at each keeper (about AHEAD_MS of work, at
 * most AHEAD_MAX), so that the next child starts without anybody asking. What lies behind a step
 * that turns out long is taken back when another slot is idle. */
#ifndef LB_RUNNER_SLOTS_H
#define LB_RUNNER_SLOTS_H

#include "common/loop.h"
#include "proto/messages.h"
#include "runner/runnerpaths.h"
#include "runner/report.h"

enum {
    AHEAD_MS = 50,
    AHEAD_MAX = 16,    /* below KEEPER_WAITING */
    TAKE_BACK_MS = 50, /* how often it is looked whether something waits behind a long step */
    LOCKED_MS = 100,   /* how often a slot is tried whose last keeper's tree is still being ended */
    ADOPT_MS = 2000    /* keepers of an earlier runner answer within this, or are stopped */
};

struct slots;

/* What the owner is told. */
struct slots_events {
    /* A keeper has died. state 3. launched: its S_LAUNCHED is in the spool; if not, the step may be
     * asked for again. */
    void (*gone)(void *self, const struct s_kept *kept, bool launched);
    void *self;
};

struct slots *slots_new(const struct runner_paths *paths, struct loop *loop, struct report *report,
                        const struct slots_events *events);
/* Keepers go on; what only waited here is lost with us and will be asked for again. */
void slots_free(struct slots **s);

/* Finds the keepers of an earlier runner by their sockets and hears what they hold; of one that
 * does not answer, the spool says it. Turns the loop for up to ADOPT_MS. */
int slots_adopt(struct slots *s, struct error *err);
void slots_resize(struct slots *s, unsigned n);

/* Takes the bytes of an S_LAUNCH. */
void slots_take(struct slots *s, struct span launch);
/* Ends what runs of the attempt, drops what waits. */
void slots_halt(struct slots *s, const struct s_halt *h);
/* Everything that is held: calls fn with state 1 (waits; slot 0: here) or 2. Returns how many. */
typedef void slots_kept_fn(void *self, const struct s_kept *kept);
unsigned slots_list(struct slots *s, slots_kept_fn *fn, void *self);
/* Sends what the last turn has queued. */
void slots_flush(struct slots *s);

#endif
