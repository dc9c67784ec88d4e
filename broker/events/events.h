/* events.h - the service that sends events: it supplies JSON, rights, sessions and the store to the
 * feed (broker/core/feed.h), which decides what is sent to whom. */
#ifndef LB_BROKER_EVENTS_EVENTS_H
#define LB_BROKER_EVENTS_EVENTS_H

#include "broker/shell/shell.h"

struct events;

/* Yours to free. Listens to the shell from now on. */
struct events *events_new(struct shell *sh);
void events_free(struct events **e);
/* SUBSCRIBE, CREDIT, UNSUBSCRIBE. Always answers SUBSCRIBE and UNSUBSCRIBE. */
void events_take(struct events *e, struct shell_peer *p, uint64_t kind, struct span message);
/* Ends a subscription, if there is one of this number, without an answer. */
void events_end(struct events *e, const struct shell_peer *p, uint64_t req);
unsigned events_subscriptions(const struct events *e);

#endif
