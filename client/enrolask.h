/* enrolask.h - internal to enrol.c: the exchange with the broker. */
#ifndef LB_CLIENT_ENROLASK_H
#define LB_CLIENT_ENROLASK_H

#include "common/loop.h"
#include "trust/invitation.h"

/* Connects with the token's one-time key and hands in the certificate of `own`. *ret_broker is the
 * broker's own certificate, verified by the token's anchors and its pinned key. If the answer gets
 * lost, connecting with `own` shows whether the broker accepted. -EACCES: refused; -ETIMEDOUT. */
int enrol_ask(struct loop *loop, const struct token *t, const struct key *own,
              struct span certificate, int64_t timeout_ms, struct buf *ret_broker,
              struct error *err);

#endif
