/* state.c - see state.h. */
#include "proto/state.h"

#include <errno.h>

#define X(n, t) t,
static const char *const state_words[] = {RUN_STATES(X)};
#undef X

static const char *const event_words[RUN_EV_COUNT] = {
    [RUN_EV_PARK] = "park",
    [RUN_EV_UNPARK] = "unpark",
    [RUN_EV_ASSIGN] = "assign",
    [RUN_EV_START] = "start",
    [RUN_EV_RETURN] = "return",
    [RUN_EV_SILENCE] = "silence",
    [RUN_EV_REATTACH_WAITING] = "reattach_waiting",
    [RUN_EV_LOSE_RERUN] = "lose_rerun",
    [RUN_EV_LOSE_HOLD] = "lose_hold",
    [RUN_EV_HOLD] = "hold",
    [RUN_EV_CANCEL] = "cancel",
    [RUN_EV_RELEASE_RERUN] = "release_rerun",
    [RUN_EV_END] = "end",
};

const char *run_state_text(uint64_t v)
{
    return v < RUN_STATE_COUNT ? state_words[v] : "?";
}

const char *run_event_text(uint64_t v)
{
    return v < RUN_EV_COUNT ? event_words[v] : "?";
}

int run_state_next(enum run_state from, enum run_event ev, enum run_state *ret_to)
{
#define X(f, e, t) \
    if (from == RUN_##f && ev == RUN_EV_##e) { \
        *ret_to = RUN_##t; \
        return 0; \
    }
    RUN_MOVES(X)
#undef X
    return -EINVAL;
}
