/* rotate.h - a new key for the principal of this home: what `lbctl certificates rotate` and
 * `lbworker rotate` share (trust/rotation.h). */
#ifndef LB_CLIENT_ROTATE_H
#define LB_CLIENT_ROTATE_H

#include "client/config.h"

/* Makes the next key beside the one of `c`, or takes the one that is there, and the request for an
 * administrator; free *ret_text. `passphrase`: of the new key; NULL: not encrypted. */
int rotate_begin(const struct client_config *c, const char *passphrase, char **ret_text,
                 struct error *err);
/* Is the key of this home encrypted? */
bool rotate_is_locked(const struct client_config *c);
/* Takes the certificate that an administrator has signed, and puts it and the new key into their
 * places. A process that runs goes on with the old key until it is started again. */
int rotate_take(const struct client_config *c, const char *text, struct error *err);

#endif
