/* pinned.h - the broker's transport key, as a dialer knows it: the pinned one and, while that is
 * rotated, the next one. A broker that does not have the key of a handshake hangs up without a
 * word, so the two are tried in turn. */
#ifndef LB_NET_PINNED_H
#define LB_NET_PINNED_H

#include <stdbool.h>

#include "proto/wire.h"

struct pinned {
    struct hash now, next; /* next zero: there is none */
    bool on_next;          /* the connection is for it */
};

const struct hash *pinned_key(const struct pinned *p); /* to connect with */
void pinned_turn(struct pinned *p);                    /* an attempt at all addresses has failed */
/* The broker has the next key: it is the pinned one from now on. */
void pinned_adopt(struct pinned *p);

#endif
