/* outcome.c - see outcome.h. Words and rules come from the tables there. */
#include "proto/outcome.h"

#include <string.h>

#define X(n, t) t,
static const char *const delivery_words[] = {DELIVERY_STATES(X)};
static const char *const job_words[] = {JOB_STATES(X)};
static const char *const package_words[] = {PACKAGE_STATES(X)};
static const char *const status_words[] = {STATUSES(X)};
static const char *const action_words[] = {STEP_ACTIONS(X)};
static const char *const on_lost_words[] = {ON_LOST(X)};
#undef X

static const char *word(const char *const *words, unsigned count, uint64_t v)
{
    return v < count ? words[v] : "?";
}

static int parse(const char *const *words, unsigned count, struct span w)
{
    for (unsigned i = 0; i < count; i++)
        if (span_eq_str(w, words[i]))
            return (int)i;
    return -1;
}

const char *delivery_text(uint64_t v)
{
    return word(delivery_words, DELIVERY_COUNT, v);
}

const char *job_outcome_text(uint64_t v)
{
    return word(job_words, JOB_COUNT, v);
}

const char *package_outcome_text(uint64_t v)
{
    return word(package_words, PACKAGE_COUNT, v);
}

const char *status_text(uint64_t v)
{
    return word(status_words, STATUS_COUNT, v);
}

const char *step_action_text(uint64_t v)
{
    return word(action_words, ACTION_COUNT, v);
}

const char *on_lost_text(uint64_t v)
{
    return word(on_lost_words, ON_LOST_COUNT, v);
}

int status_parse(struct span w)
{
    return parse(status_words, STATUS_COUNT, w);
}

int on_lost_parse(struct span w)
{
    return parse(on_lost_words, ON_LOST_COUNT, w);
}

int step_action_parse(struct span w)
{
    return parse(action_words, ACTION_COUNT, w);
}

enum status outcome_status(enum delivery d, enum job_outcome j, enum package_outcome p)
{
    if (d == DELIVERY_REFUSED)
        return STATUS_REFUSED;
    if (d == DELIVERY_UNREACHABLE)
        return STATUS_UNREACHABLE;
    if (j == JOB_CANCELLED)
        return STATUS_CANCELLED;
    if (j == JOB_TIMED_OUT)
        return STATUS_TIMED_OUT;
    if (j == JOB_LOST)
        return STATUS_LOST;
    /* the package's own verdict; if we ended it, the job says why */
    if (p == PACKAGE_CANCELLED)
        return STATUS_CANCELLED;
    if (j == JOB_UNKNOWN || p == PACKAGE_UNKNOWN)
        return STATUS_UNKNOWN;
    if (j == JOB_FAILED || p == PACKAGE_FAILED)
        return STATUS_FAILED;
    /* It was called, and nothing went wrong. A job that was delivered but never called contradicts
     * itself: unknown. */
    return j == JOB_NOT_CALLED ? STATUS_UNKNOWN : STATUS_SUCCEEDED;
}

enum package_outcome package_outcome_fold(enum package_outcome so_far, enum package_outcome step)
{
    static const unsigned char weight[PACKAGE_COUNT] = {
        [PACKAGE_NOT_EXECUTED] = 0, [PACKAGE_CANCELLED] = 1, [PACKAGE_SUCCEEDED] = 2,
        [PACKAGE_UNKNOWN] = 3,      [PACKAGE_FAILED] = 4,
    };
    return weight[step] > weight[so_far] ? step : so_far;
}
