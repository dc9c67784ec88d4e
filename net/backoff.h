/* backoff.h - how long to rest before the next try: the time doubles, and chance keeps many peers
 * from trying at once. */
#ifndef LB_NET_BACKOFF_H
#define LB_NET_BACKOFF_H

#include <stdint.h>

enum { BACKOFF_MIN_MS = 500, BACKOFF_MAX_MS = 30000 };

struct backoff {
    int64_t ms; /* the next one, before the random factor */
};

void backoff_reset(struct backoff *b);
/* How long to rest now, in ms. */
int64_t backoff_next(struct backoff *b);
/* ms, times a random factor of 0.5 to 1.5 */
int64_t backoff_by_chance(int64_t ms);

#endif
