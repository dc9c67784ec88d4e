/* credentials.h - files of this server that a proxy hands to its steps: passwords, keys, tokens. */
#ifndef LB_TRUST_CREDENTIALS_H
#define LB_TRUST_CREDENTIALS_H

#include <sys/types.h>

#include "proto/messages.h"

enum { CREDENTIAL_BYTES = 64 << 10 /* of one file */ };

/* Appends the content of a file that only root or `also` (common/ownfile.h) could have written and
 * can read. Wipe it. -ENOENT, -EPERM, -EFBIG; *err names the credential and says what to do. */
int credentials_read(struct span name, struct span path, uid_t also, struct buf *out,
                     struct error *err);
/* Could all of them (name and path each) be read by the keeper? Reads nothing. */
int credentials_check(const struct wire_list *credentials, uid_t also, struct error *err);

#endif
