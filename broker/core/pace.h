/* pace.h - how long the core waits before it does something again, and how much it does at once,
 * with reasons. No other room includes it. */
#ifndef LB_BROKER_CORE_PACE_H
#define LB_BROKER_CORE_PACE_H

enum {
    /* run time sent ahead beyond a server's slots; less: slots run dry between frames */
    PREFETCH_MS = 50,
    PREFETCH_NONE_MS = 1000, /* jobs that take this long are never sent ahead of a free slot */
    RECALL_AFTER_MS = 100,   /* twice PREFETCH_MS: a run sent ahead should have started by then */
    REST_MS = 1000, /* pause of a server that returned a run unasked; less: a stream of records */
    FOLLOW_BATCH = 256, /* messages to one peer when its window opens, before others are served */
    WHY_MS = 1000,      /* how long the sentence that says why a class is parked is reused */
    CLASSES_IDLE = 256, /* classes kept without runs, so that a single call finds its seats ready */
    RETRY_SPACING_MS = 1,    /* refused calls of one principal return at most once in this time */
    RETRY_LATEST_MS = 60000, /* ... but none is told to wait longer than this */
    /* a server that has refused a job by its own fault gets no run of it for this long, unless it
       attests anew before: each time costs one run a detour of a few ms */
    REFUSED_MS = 60000,
    DECLINED_MAX = 32,        /* servers that one run goes on from; then the refusal is its end */
    RESTORED_ATTEMPTS = 1000, /* more attempts than a run has between two backups */
    MEAN_WEIGHT = 8           /* the weight of a new run time is one eighth */
};

#endif
