/* byhanddoor.h - separated mode: where ordinary users come in who may run by hand on this server.
 *
 * run/byhand.sock belongs to root and to the group that lbrunner's --by-hand-group names; without
 * one, only root can open it. For each who comes, the server's runner starts another one
 * (byhand.h), with their connection as its standard input, and has no more to do with it: it reads
 * nothing from there. That runner asks the kernel who they are.
 *
 * What a child of a step could do here: nothing. It can open the socket only if its proxy gives it
 * the group, and is turned away all the same: a child has no_new_privs, which neither it nor what
 * it starts can lose, and who has that is no person's shell. The worker and the unpacker are turned
 * away, too, so a captured worker does not become local:longboat. */
#ifndef LB_RUNNER_BYHANDDOOR_H
#define LB_RUNNER_BYHANDDOOR_H

#include "common/loop.h"
#include "runner/runnerpaths.h"

#define BYHANDDOOR_SOCKET "byhand.sock"

enum { BYHANDDOOR_MAX = 8 /* runs by hand at a time */ };

struct byhanddoor;
/* `paths` and `loop` are lent. On success *ret is yours: byhanddoor_close. */
int byhanddoor_open(const struct runner_paths *paths, struct loop *loop, struct byhanddoor **ret,
                    struct error *err);
void byhanddoor_close(struct byhanddoor **d); /* who runs by hand ends with us */
void byhanddoor_reaped(struct byhanddoor *d, pid_t pid);

#endif
