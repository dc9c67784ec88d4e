/* auditing.h - the broker and its audit trail: what is written when it starts and stops, when a
 * message is taken or denied, and as time goes by. */
#ifndef LB_BROKER_AUDITING_H
#define LB_BROKER_AUDITING_H

#include "broker/broker.h"

/* After the store was loaded and before the core starts. */
int auditing_open(struct broker *b, struct error *err);
/* The last entry and checkpoint; before the turn's end is stopped. */
void auditing_stop(struct broker *b);
/* What the store has reported. */
void auditing_committed(struct broker *b);
/* Each minute: the hourly checkpoint, and what the retention drops. */
void auditing_minute(struct broker *b);

/* Takes an allowed message, and writes what it must leave in the trail. A privileged act that is no
 * record of the core is taken later, when its entry is on disk. */
void auditing_take(struct broker *b, struct shell_peer *p, uint64_t kind, struct span message);
/* A message was denied. */
void auditing_deny(struct broker *b, const struct shell_peer *p, uint64_t kind, struct span message,
                   enum refusal code, const char *why);
/* A session was refused at its HELLO. */
void auditing_deny_session(struct broker *b, const struct hash *key, const char *address,
                           enum refusal code, const char *why);

#endif
