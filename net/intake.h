/* intake.h - for server.c only: what arrives. A turn takes frames from libzmq and handles messages
 * for about 2 ms, at least one; the rest waits in the backlog, where principals take turns.
 *
 * Frames are always taken, so that heartbeats and acknowledgements count at once and libzmq's
 * queues stay short: a session whose connection dies while libzmq waits for us to read is the state
 * in which it has its worst faults (docs/transport.md). */
#ifndef LB_NET_INTAKE_H
#define LB_NET_INTAKE_H

#include "net/server.h"

void intake_turn(struct net_server *s);

#endif
