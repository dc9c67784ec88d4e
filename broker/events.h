/* events.h - what happened, to whoever subscribes: every event once, in order, without a gap, under the reader's
 * credit.
 *
 * An event's `seq` is its record's lsn; only committed ones are told. While somebody subscribes the newest lie in a
 * ring in memory, ready as JSON; what is older, or was missed, comes from the store a page at a time. A subscriber
 * without credit, or whose session takes nothing, costs nothing but its entry: nothing is prepared or queued for it.
 * Each event is judged by the subscriber's grants when it is sent.
 */
#ifndef LB_BROKER_EVENTS_H
#define LB_BROKER_EVENTS_H

#include "broker/broker.h"
#include "broker/eventjson.h"

enum {
    EVENTS_RING_BYTES = 8 << 20, /* some 10,000 results; less: slow monitors read from the store sooner */
    EVENTS_RING_MOST = 16384,
    EVENTS_BATCH_BYTES = 64 << 10,
    EVENTS_SCAN_MOST = 4096,     /* records looked at for one message: who matches little does not hold the loop */
    EVENTS_SILENT_MOST = 1000,   /* records without a match before the subscriber is told how far it is */
    EVENTS_SUBSCRIPTIONS = 1000, /* of all peers */
    EVENTS_PER_PEER = 32
};

struct events *events_new(struct broker *b);
void events_free(struct events **e);
/* A record of the core, in order; not yet committed. */
void events_record(struct events *e, uint64_t lsn, struct span record);
void events_committed(struct events *e, uint64_t lsn);
void events_take(struct events *e, struct peer *p, uint64_t kind,
                 struct span message); /* SUBSCRIBE, CREDIT, UNSUBSCRIBE */
void events_window(struct events *e, uint64_t peer);
void events_forget(struct events *e, uint64_t peer);
unsigned events_subscriptions(const struct events *e);

/* Does the event match a subscription's `where`? Keys: server, job (globs), parent, run, status, event (a word or a
 * list). */
bool events_match(const struct wire_list *where, const struct event *e);
/* Is `where` a filter that we know? */
int events_check_filter(const struct wire_list *where, struct error *err);
/* A word of a status as its number; -EINVAL: there is none, and what may have been meant. */
int events_status(struct span word, struct error *err);

#endif
