/* install.h - has packages unpacked, one after the other, by lbunpack: a program that can do
 * nothing else.
 *
 * Each request is checked first: its deployment must be signed by a principal who may deploy this
 * package to this server, and no newer one may have been taken (deployed.h); without one nothing is
 * installed. The builder's signature must be valid in any case: lbunpack verifies hash and signer
 * against trust/signers. */
#ifndef LB_RUNNER_INSTALL_H
#define LB_RUNNER_INSTALL_H

#include "common/loop.h"
#include "proto/messages.h"
#include "runner/runnerpaths.h"
#include "runner/policy.h"

enum {
    INSTALLS_WAITING = 256,  /* beyond these: REFUSAL_BUSY */
    INSTALL_MAX_MS = 1800000 /* an lbunpack that takes longer is killed */
};

/* Called once for each request. code: REFUSAL_NONE: it is installed. */
typedef void installed_fn(void *self, const struct hash *package, enum refusal code,
                          const char *sentence);

struct installer;
struct installer *installer_new(const struct runner_paths *paths, struct policy *policy,
                                struct loop *loop, installed_fn *fn, void *self);
void installer_free(struct installer **i);
void installer_take(struct installer *i, const struct s_install *request, int64_t now);
/* On SIGCHLD, for each child that has ended. True: it was the lbunpack. */
bool installer_reaped(struct installer *i, pid_t pid, int status);

#endif
