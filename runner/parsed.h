/* parsed.h - runs lbparse once and waits for what it says. */
#ifndef LB_RUNNER_PARSED_H
#define LB_RUNNER_PARSED_H

#include "common/buf.h"
#include "common/error.h"

/* Has `program` compile what `fd` holds: appends its document of at most `most` bytes. Blocks for
 * at most wait_ms, then kills it. -EINVAL: the file is wrong, *err has lines and columns;
 * -ETIMEDOUT; -EPROTO: it could not be started, has failed or said too much. */
int parsed_run(const char *program, const char *kind, const char *shown, int fd, int64_t wait_ms,
               size_t most, struct buf *out, struct error *err);

#endif
