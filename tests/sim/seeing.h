/* seeing.h - the broker's events in the simulation: the real feed (broker/core/feed.h) over the
 * simulated journal and sessions, as in broker/events/events.c. An event's text is "LSN WORD",
 * padded with dots. */
#ifndef LB_TESTS_SIM_SEEING_H
#define LB_TESTS_SIM_SEEING_H

#include "tests/sim/disk.h"
#include "tests/sim/listener.h"
#include "tests/sim/laws.h"

struct seeing_mood { /* small, so that each of them is reached */
    unsigned ring_most, scan_most, silent_most, page_most;
};

struct seeing;
struct seeing *seeing_new(struct world *w, const struct seeing_mood *mood, struct process *broker,
                          struct laws *l, const struct journal *j, struct listener *listener,
                          const struct bcore *core);
void seeing_free(struct seeing **s);
void seeing_record(struct seeing *s, uint64_t lsn, struct span record);
void seeing_committed(struct seeing *s, uint64_t lsn);
/* Takes SUBSCRIBE or CREDIT. False: it is neither. */
bool seeing_take(struct seeing *s, uint64_t peer, struct span message);
void seeing_window(struct seeing *s, uint64_t peer);
void seeing_forget(struct seeing *s, uint64_t peer);
/* After an answer from the journal the broker's turn ends. */
void seeing_on_turn_end(struct seeing *s, void (*turn_end)(void *self), void *self);

#endif
