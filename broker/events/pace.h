/* pace.h - how much of the broker's time events may take. Pure: the times are given.
 *
 * While the loop has other work, events get a small share of its time; a follower falls behind then
 * and reads on later. While it has none, they get most of it. In between the share falls with the
 * loop's other work. What events cost other threads (the store's reader, the encryption of what is
 * sent) is charged as well, since it is taken from the same processors. */
#ifndef LB_BROKER_EVENTS_PACE_H
#define LB_BROKER_EVENTS_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PACE_WINDOW_US = 10000,      /* how often the loop's other work is measured */
    PACE_LONGEST_US = 100000000, /* a pause that pays any debt; longer ones count as this */
    PACE_SLICE_US = 2000,        /* of one turn, so that dispatch never waits longer */
    PACE_IDLE = 600, /* the share of an idle broker, per mille; less would show who is not */
    /* A broker whose other work takes this part of its time (per mille) is busy. */
    PACE_BUSY = 200,
    /* What events get of a busy broker, per mille of its loop's other work: for one reader, for
       each further one, and at most. The loop is about half of the broker's work; followers on
       the same machine take as much again as what is sent to them costs here. */
    PACE_FIRST = 10,
    PACE_FURTHER = 2,
    PACE_SHARE_MAX = 60,
    PACE_SPARE = 8 /* and, per mille, of the time in which the loop could run and did not */
};

/* What the clocks of the loop's thread say, in us. */
struct pace_clocks {
    int64_t wall;
    int64_t used;   /* processor time */
    int64_t waited; /* it could have run, but others had the processor; only for pace_measures */
};

struct pace {
    int64_t at;               /* wall us, of the last pace_now */
    struct pace_clocks since; /* the beginning of the window */
    int64_t own;              /* processor time of the loop that events took in this window */
    int64_t busy;             /* other work: per mille of the time in which the thread could run */
    int64_t work;             /* other work: per mille of all time */
    int64_t runs;             /* per mille of the time in which it could run */
    int64_t have;             /* us that may be spent; negative: owed */
    int64_t rest;             /* millionths of a us that will be added to it */
};

/* Is it time to measure? Then pace_now needs all of the clocks; else only the wall's. */
bool pace_measures(const struct pace *p, int64_t wall);
void pace_now(struct pace *p, const struct pace_clocks *now, unsigned readers);
/* Processor time was spent: of the loop, and of other threads. */
void pace_spend(struct pace *p, int64_t loop_us, int64_t others_us);
/* How long until something may be spent again, as far as is known now; 0: now. */
int64_t pace_wait_ms(const struct pace *p, unsigned readers);

#endif
