/* query.h - QUERY: what people and programs ask of the broker. Rows are JSON objects, each judged
 * before it is written by the grants of the principal that asks. */
#ifndef LB_BROKER_QUERY_QUERY_H
#define LB_BROKER_QUERY_QUERY_H

#include "broker/depot/depot.h"
#include "broker/events/events.h"
#include "broker/logs/logs.h"

/* Lent while queries are taken. */
struct query_sources {
    struct shell *shell;
    const struct events *events;
    const struct depot *depot;
    const struct logs *logs;
};

/* Always answers: ROWS or ERROR, at once or when the store has answered. */
void query_take(const struct query_sources *from, struct shell_peer *p, struct span message);

#endif
