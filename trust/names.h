/* names.h - which names are well formed: of principals, servers, pools, clusters, jobs.
 *
 * A name begins with a letter or digit and goes on with letters, digits, `.`, `_` or `-` (ASCII only, so that no two
 * names look alike). Jobs of packages are `package:` and a name. `all` is every server and nobody's own name. Pure.
 */
#ifndef LB_TRUST_NAMES_H
#define LB_TRUST_NAMES_H

#include <stdbool.h>

#include "common/buf.h"

bool name_is_good(struct span name);       /* 1 to LIMIT_NAME bytes, not "all" */
bool address_is_good(struct span address); /* a name or "all" */
bool job_name_is_good(struct span job);    /* a name, or "package:" and a name */

#endif
