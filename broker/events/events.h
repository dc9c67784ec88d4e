/* events.h - the shell around the feed (broker/core/feed.h): events as JSON, rights, sessions, the
   store. */
#ifndef LB_BROKER_EVENTS_EVENTS_H
#define LB_BROKER_EVENTS_EVENTS_H

#include "broker/broker.h"
#include "broker/core/feed.h"

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

#endif
