/* request.h - the number of a request, which identifies its answer: the first field of requests and
 * answers alike. */
#ifndef LB_PROTO_REQUEST_H
#define LB_PROTO_REQUEST_H

#include "proto/messages.h"

enum { REQUEST_DECODED_MAX = 1024 /* no message is larger when decoded */ };

/* Reads the number of a message of this kind; `newer` as for wire_decode. False: messages of the
 * kind have none, or it is malformed. */
bool request_number(uint64_t kind, struct span message, bool newer, uint64_t *ret);
/* Reads the number alone, whatever follows it: so that a malformed request can be answered. False:
 * messages of the kind have none, or it cannot be read. */
bool request_peek(uint64_t kind, struct span message, uint64_t *ret);

#endif
