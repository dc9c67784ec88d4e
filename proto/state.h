/* state.h - the states of a run and the moves between them, in one table. Pure.
 *
 * What is not in the table is refused aloud. The drawing in docs/states.md and the test come from
 * the same rows. */
#ifndef LB_PROTO_STATE_H
#define LB_PROTO_STATE_H

#include <stdint.h>

/* clang-format off */
#define RUN_STATES(X) \
    X(WAITING, "waiting") /* accepted; some server could take it, none has room yet */ \
    X(PARKED, "parked") /* accepted; no server can take it now; explain says why */ \
    X(HANDED_OVER, "handed_over") /* an attempt is on its way to, or waits at, a server */ \
    X(RUNNING, "running") /* its server says that a step has started */ \
    X(OUT_OF_CONTACT, "out_of_contact") /* its server's session lease has ended */ \
    X(CANCELLING, "cancelling") /* a server was asked to stop it */ \
    X(HELD, "held") /* lost with on_lost hold, or restored; waits for lbctl release */ \
    X(ENDED, "ended") /* it has its outcome; nothing moves it again */

#define X(n, t) RUN_##n,
enum run_state { RUN_STATES(X) RUN_STATE_COUNT };
#undef X

/* from, event, to */
#define RUN_MOVES(X) \
    X(WAITING, PARK, PARKED)                X(PARKED, UNPARK, WAITING) \
    X(WAITING, ASSIGN, HANDED_OVER)         X(WAITING, END, ENDED) \
    X(PARKED, END, ENDED)                   X(HANDED_OVER, START, RUNNING) \
    X(HANDED_OVER, RETURN, WAITING)         X(HANDED_OVER, END, ENDED) \
    X(RUNNING, END, ENDED)                  X(RUNNING, RETURN, WAITING) \
    X(HANDED_OVER, SILENCE, OUT_OF_CONTACT) X(RUNNING, SILENCE, OUT_OF_CONTACT) \
    X(OUT_OF_CONTACT, RETURN, WAITING)      X(OUT_OF_CONTACT, REATTACH_WAITING, HANDED_OVER) \
    X(OUT_OF_CONTACT, START, RUNNING)       X(OUT_OF_CONTACT, LOSE_RERUN, WAITING) \
    X(OUT_OF_CONTACT, LOSE_HOLD, HELD)      X(OUT_OF_CONTACT, END, ENDED) \
    X(HANDED_OVER, CANCEL, CANCELLING)      X(RUNNING, CANCEL, CANCELLING) \
    X(OUT_OF_CONTACT, CANCEL, CANCELLING)   X(CANCELLING, CANCEL, CANCELLING) \
    X(CANCELLING, START, CANCELLING)        X(CANCELLING, SILENCE, CANCELLING) \
    X(CANCELLING, RETURN, ENDED)            X(CANCELLING, END, ENDED) \
    X(HELD, RELEASE_RERUN, WAITING)         X(HELD, END, ENDED) \
    X(RUNNING, START, RUNNING)              X(WAITING, HOLD, HELD) \
    X(HANDED_OVER, HOLD, HELD)              X(RUNNING, HOLD, HELD) \
    X(CANCELLING, HOLD, HELD)               X(HELD, HOLD, HELD)

/* clang-format on */
enum run_event {
    RUN_EV_PARK,
    RUN_EV_UNPARK,
    RUN_EV_ASSIGN,
    RUN_EV_START,
    RUN_EV_RETURN,
    RUN_EV_SILENCE,
    RUN_EV_REATTACH_WAITING,
    RUN_EV_LOSE_RERUN,
    RUN_EV_LOSE_HOLD,
    RUN_EV_HOLD,
    RUN_EV_CANCEL,
    RUN_EV_RELEASE_RERUN,
    RUN_EV_END,
    RUN_EV_COUNT
};

const char *run_state_text(uint64_t v);
const char *run_event_text(uint64_t v);
/* 0 and *ret_to; -EINVAL: the table has no such move, *ret_to untouched. */
int run_state_next(enum run_state from, enum run_event ev, enum run_state *ret_to);

#endif
