/* sqlerror.h - the line in which sqlite3 or psql says why it stopped. Pure. */
#ifndef LB_RUNNER_SQLERROR_H
#define LB_RUNNER_SQLERROR_H

#include "common/buf.h"

/* Both show below their message the statement and a mark under it, so their last line says nothing.
 * The tail up to the end of the last line that has an error; all of it, if none has. Lent. */
struct span sqlerror_tail(struct span tail);

#endif
