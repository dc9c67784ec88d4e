/* parsed.h - runs lbparse once and waits for what it says. */
#ifndef LB_RUNNER_PARSED_H
#define LB_RUNNER_PARSED_H

#include "common/buf.h"
#include "common/error.h"
#include "runner/privilege.h"

/* Has `program` compile, as `user` (NULL: as ours), what `fd` holds, and appends its document of at
 * most `most` bytes. also: its third argument; NULL: none. Blocks for at most wait_ms, then kills
 * it. -EINVAL: the file is wrong, *err has lines and columns; -ETIMEDOUT; -EPROTO: it could not be
 * started, has failed or said too much. */
int parsed_run(const char *program, const struct privilege_user *user, const char *kind,
               const char *shown, const char *also, int fd, int64_t wait_ms, size_t most,
               struct buf *out, struct error *err);

#endif
