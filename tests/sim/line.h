/* line.h - the end of a peer: what net/dialer does, with a real session on a simulated connection.
 *
 * It dials, says HELLO, waits for WELCOME, sends a PING every HEARTBEAT_MS, and after a reset, a
 * gap, a lost connection, a refusal or a lease of silence it rests and dials again. It lives in its
 * process: line_down when that dies. */
#ifndef LB_TESTS_SIM_LINE_H
#define LB_TESTS_SIM_LINE_H

#include "net/session.h"
#include "tests/sim/network.h"

struct line;

struct line_calls {
    void (*up)(void *self, struct span welcome);
    void (*message)(void *self, uint64_t kind, struct span message);
    /* Each may be NULL. */
    void (*hello)(void *self, struct m_hello *ret); /* fill it; major and minor are set */
    void (*down)(void *self);
    void (*turn_end)(void *self); /* after everything of one frame was taken */
};

struct line *line_new(struct world *w, struct network *n, struct cable *cable, struct process *of,
                      const struct line_calls *calls, void *self);
void line_free(struct line **l);
void line_start(struct line *l); /* its process has begun: dials soon */
void line_down(struct line *l);  /* its process has died */

bool line_is_up(const struct line *l);
struct network *line_network(const struct line *l);
/* dropped when not up: the next session says it again */
void line_send(struct line *l, struct span message);
/* at the end of a turn: what was sent leaves */
void line_flush(struct line *l);
/* Boot time at which the newest HELLO or PING that the broker has answered was sent; 0: none since
   line_start. */
int64_t line_renewed(const struct line *l);
/* Says PING now, behind what was sent before, instead of at the next heartbeat. */
void line_renew(struct line *l);

#endif
