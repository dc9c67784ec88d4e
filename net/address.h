/* address.h - where a broker is, as people write it: "wh0", "wh0:7411", "[::1]:7411",
   "tcp://wh0:7411". Pure. */
#ifndef LB_NET_ADDRESS_H
#define LB_NET_ADDRESS_H

#include "common/error.h"
#include "net/socket.h"

enum { NET_PORT = 7411 };

/* Writes the address as libzmq's endpoint into ret; the default port is NET_PORT. `port_free`: the
 * ports 0 and `*` are allowed, too. -EINVAL: *err says what is wrong and how to write it. */
int net_endpoint(const char *text, bool port_free, char ret[NET_ENDPOINT_MAX], struct error *err);

#endif
