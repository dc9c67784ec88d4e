/* pace.c - see pace.h. */
#include "broker/events/pace.h"

/* Us that events may have of a second, by what was measured: of a busy broker a share of what its
 * other work took, not of the time, so that it is as small beside work that has to wait itself; and
 * a little of the time in which its loop has nothing to do, so that a broker whose work comes in
 * bursts has its followers wait for none of them. */
static int64_t allowed(const struct pace *p, unsigned readers)
{
    int64_t share = PACE_FIRST + (readers ? readers - 1 : 0) * (int64_t)PACE_FURTHER;
    share = share < PACE_SHARE_MAX ? share : PACE_SHARE_MAX;
    int64_t spare = p->runs > p->work ? (p->runs - p->work) * PACE_SPARE : 0,
            least = p->work * share + spare,
            idle = p->runs * (PACE_IDLE - p->busy * PACE_IDLE / PACE_BUSY);
    return least > idle ? least : idle;
}

bool pace_measures(const struct pace *p, int64_t wall)
{
    return wall - p->since.wall >= PACE_WINDOW_US;
}

/* Time for which others had the processor is left out: it says nothing about how much the loop has
 * to do. Work that begins is noticed at once; that it has ended is believed after half a second. */
static void measure(struct pace *p, const struct pace_clocks *now)
{
    /* a quarter more for sending what the steps made, and for credit and acknowledgements */
    int64_t own = p->own + p->own / 4, wall = now->wall - p->since.wall,
            runs = wall - (now->waited - p->since.waited);
    int64_t other = now->used - p->since.used - own, rest = runs - own;
    int64_t busy = other <= 0 ? 0 : rest > other ? other * 1000 / rest : 1000;
    bool long_ago = wall >= 50 * PACE_WINDOW_US;
    p->busy = busy >= p->busy || long_ago ? busy : (p->busy * 31 + busy) / 32;
    p->runs = runs > 0 ? runs * 1000 / wall : 0;
    p->work = other > 0 ? other * 1000 / wall : 0;
    p->since = *now;
    p->own = 0;
}

void pace_now(struct pace *p, const struct pace_clocks *now, unsigned readers)
{
    if (pace_measures(p, now->wall))
        measure(p, now);
    int64_t passed = now->wall - p->at;
    p->rest += (passed < PACE_LONGEST_US ? passed : PACE_LONGEST_US) * allowed(p, readers);
    p->have += p->rest / 1000000;
    p->rest %= 1000000; /* small steps add up as well */
    p->have = p->have < PACE_SLICE_US ? p->have : PACE_SLICE_US;
    p->at = now->wall;
}

void pace_spend(struct pace *p, int64_t loop_us, int64_t others_us)
{
    p->own += loop_us;
    p->have -= loop_us + others_us;
}

int64_t pace_wait_ms(const struct pace *p, unsigned readers)
{
    if (p->have > 0)
        return 0;
    int64_t wait = (1 - p->have) * 1000000 / (allowed(p, readers) + 1);
    wait = wait < PACE_WINDOW_US ? wait : PACE_WINDOW_US; /* more may be allowed by then */
    return (wait + 999) / 1000; /* a loop that woke sooner would turn in vain, and count as busy */
}
