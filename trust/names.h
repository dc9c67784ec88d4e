/* names.h - names as trust sees them: those of common/name.h, less `all`, which is every server and
 * nobody's own name; and jobs of packages, `package:` and a name. Pure. */
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
