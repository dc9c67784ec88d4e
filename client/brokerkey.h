/* brokerkey.h - what a session tells of the broker's key: internal to the library and lbworker. */
#ifndef LB_CLIENT_BROKERKEY_H
#define LB_CLIENT_BROKERKEY_H

#include "client/config.h"
#include "net/dialer.h"

/* Call it with each WELCOME. Keeps the certificate of the next key, and pins it once the broker has
 * that key. Negative: a file could not be written, or the certificate is not one; *err says so, and
 * the session goes on. */
int brokerkey_welcome(struct client_config *c, struct dialer *d, const struct m_welcome *welcome,
                      int64_t now, struct error *err);

#endif
