/* settle.c - see settle.h. */
#include "net/settle.h"

#include "net/backlog.h"

/* ---- Who is light */

static void roll(struct principal *who, int64_t now)
{
    const int64_t window = now / SETTLE_WINDOW_MS;
    if (window == who->window)
        return;
    who->made_before = window == who->window + 1 ? who->made : 0;
    who->made = 0;
    who->window = window;
}

static bool is_light(const struct principal *who)
{
    return who->made < SETTLE_LIGHT_MAX && who->made_before < SETTLE_LIGHT_MAX;
}

static bool is_over(const struct peers *t, const struct principal *who, int64_t now)
{
    return who->unsettled >= (now < t->light_until ? SETTLE_BESIDE_MAX : SETTLE_MAX);
}

/* ---- What waits */

static void count(const struct peers *t, struct principal *who)
{
    const uint64_t most = who->last_lsn > t->settled ? who->last_lsn - t->settled : 0;
    if (who->unsettled > most)
        who->unsettled = most;
}

static void hold(struct peers *t, struct principal *who)
{
    backlog_hold(t, who, true);
    who->next_held = t->held;
    t->held = who;
}

void settle_made(struct peers *t, struct principal *who, uint64_t n, uint64_t last_lsn, int64_t now)
{
    roll(who, now);
    count(t, who);
    who->made += n;
    who->unsettled += n;
    who->last_lsn = last_lsn;
    if (is_light(who))
        t->light_until = now + SETTLE_WINDOW_MS;
    if (!who->held && is_over(t, who, now))
        hold(t, who);
}

void settle_done(struct peers *t, uint64_t lsn, int64_t now)
{
    struct principal **at = &t->held, *who;
    t->settled = lsn;
    while ((who = *at)) {
        count(t, who);
        if (is_over(t, who, now)) {
            at = &who->next_held;
            continue;
        }
        *at = who->next_held;
        backlog_hold(t, who, false);
    }
}

void settle_forget(struct peers *t, struct principal *who)
{
    struct principal **at = &t->held;
    if (!who->held)
        return;
    while (*at != who)
        at = &(*at)->next_held;
    *at = who->next_held;
}
