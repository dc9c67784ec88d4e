/* probe.h - tests the broker's socket before it is bound: a loopback twin with the same options
 * must refuse an unknown key and accept an allowed one. Takes a few milliseconds, or up to some
 * seconds when something is wrong. */
#ifndef LB_NET_PROBE_H
#define LB_NET_PROBE_H

#include "net/socket.h"
#include "net/zap.h"

/* Needs the ZAP handler that uses `allowed`. -EPERM: the socket is not safe or accepts no one; *err
 * says what was seen. Other codes: the test could not be done. */
int net_probe(const struct net_keys *keys, struct zap_keys *allowed, struct error *err);

#endif
