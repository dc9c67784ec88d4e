/* probe.h - tries the door before it is opened: a loopback twin of the broker's socket, with the
 * same options, must refuse a stranger's key and let in a key that is allowed. Takes a few
 * milliseconds; at most some seconds when something is wrong. The ZAP handler that judges by
 * `allowed` is there already. */
#ifndef LB_NET_PROBE_H
#define LB_NET_PROBE_H

#include "net/socket.h"
#include "net/zap.h"

/* -EPERM: the door is not safe (or lets nobody in), and the sentence says what was seen. Other
 * codes: it could not be tried. */
int net_probe(const struct net_keys *keys, struct zap_keys *allowed, struct error *err);

#endif
