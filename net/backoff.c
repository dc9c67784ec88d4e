/* backoff.c - see backoff.h. */
#include "net/backoff.h"

#include <sodium.h>

int64_t backoff_by_chance(int64_t ms)
{
    return ms / 2 + (int64_t)randombytes_uniform((uint32_t)ms + 1);
}

void backoff_reset(struct backoff *b)
{
    b->ms = BACKOFF_MIN_MS;
}

int64_t backoff_next(struct backoff *b)
{
    const int64_t ms = backoff_by_chance(b->ms);
    b->ms = b->ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : b->ms * 2;
    return ms;
}
