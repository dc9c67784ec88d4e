/* names.h - names of principals, addresses and jobs: as in common/name.h, except that `all` means
 * every server and is never a name, and that a job may be `package:` and a name. Pure. */
#ifndef LB_TRUST_NAMES_H
#define LB_TRUST_NAMES_H

#include <stdbool.h>

#include "common/buf.h"

bool name_is_good(struct span name);             /* 1 to LIMIT_NAME bytes, not "all" */
bool names_address_is_good(struct span address); /* a name or "all" */
bool names_job_is_good(struct span job);         /* a name, or "package:" and a name */

/* The `as_of` of a call or parent: empty, a day ("2026-11-21"), or RFC 3339 with its offset. */
bool names_as_of_is_good(struct span as_of);

#endif
