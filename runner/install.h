/* install.h - has packages unpacked: one after the other, by lbunpack, a program of its own that
 * can do nothing else.
 *
 * What the worker asks for is judged first: a deployment must be signed by a principal who may
 * deploy this package to this server. Without a deployment (a package brought by hand) the
 * builder's signature decides alone, as it does in any case: lbunpack verifies hash and signer
 * against trust/signers. */
#ifndef LB_RUNNER_INSTALL_H
#define LB_RUNNER_INSTALL_H

#include "common/loop.h"
#include "proto/messages.h"
#include "runner/runnerpaths.h"
#include "runner/policy.h"

enum {
    INSTALLS_WAITING = 256,  /* then `busy` */
    INSTALL_MAX_MS = 1800000 /* an unpacker that takes longer is ended */
};

/* Called once for each request taken. code: 0 or a REFUSAL_. */
typedef void installed_fn(void *self, const struct hash *package, enum refusal code,
                          const char *sentence);

struct installer;
struct installer *installer_new(const struct runner_paths *paths, struct policy *policy,
                                struct loop *loop, installed_fn *fn, void *self);
void installer_free(struct installer **i);
void installer_take(struct installer *i, const struct s_install *request, int64_t now);
/* On SIGCHLD: a process of ours has ended. True: it was the unpacker. */
bool installer_reaped(struct installer *i, pid_t pid, int status);

#endif
