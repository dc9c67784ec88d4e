/* dispatch.h - one table of all messages that a session may bring: who may send each, what a grant
 * must cover, and who takes it. */
#ifndef LB_BROKER_DISPATCH_H
#define LB_BROKER_DISPATCH_H

#include "broker/broker.h"
#include "broker/shell/rights.h"

typedef void dispatch_take_fn(struct broker *b, struct shell_peer *p, uint64_t kind,
                              struct span message);

struct dispatch_row {
    struct rights_rule rule;
    dispatch_take_fn *take; /* the core itself, or the service that takes it */
    bool core;              /* it reaches the core: at once, or after the service has judged it */
};

/* The row of this message for senders of this role (rights_role). NULL: they may not send it. */
const struct dispatch_row *dispatch_row_of(uint64_t kind, unsigned role);
/* Walks the rows in the order of the table. NULL: no more. */
const struct dispatch_row *dispatch_row_at(unsigned i);

/* A message of a session: judges it, counts it, and hands it on. A denied sender is told so, and
 * the denial is noted in the view `events`. `broker` is a struct broker. */
void dispatch_message(void *broker, uint64_t peer, uint64_t kind, struct span message);

#endif
