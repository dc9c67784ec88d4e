/* proxy.h - may a step run under a proxy? One judgement for the runner, which asks at every step of
 * every attempt, and for those who want to know before (`lbctl proxy test`, `lbworker check`).
 * Pure.
 *
 * A proxy is a file of the server, proxies.d/NAME.yaml (package/proxyfile.h), compiled to a
 * d_proxy. `file` is what messages call it: "proxies.d/etl.yaml", or PROXY_IMPLIED. */
#ifndef LB_TRUST_PROXY_H
#define LB_TRUST_PROXY_H

#include "proto/messages.h"
#include "proto/protect.h"
#include "trust/builders.h"

#define PROXY_FOLDER  "proxies.d"
#define PROXY_DEFAULT "default"
#define PROXY_LOCAL   "local:" /* and a user: the principal of what is run by hand */
#define PROXY_IMPLIED "built in"
/* "proxies.d/etl.yaml:6" and the like */
enum { PROXY_FILE_TEXT = sizeof PROXY_FOLDER + LIMIT_NAME + 8 };
char *proxy_file_text(struct span name, char out[PROXY_FILE_TEXT]);

/* Protections that are on where the server has them, unless a proxy says `off`. */
#define PROXY_USUALLY_ON (PROTECT_USER | PROTECT_CGROUP | PROTECT_SECCOMP | PROTECT_MEMORY_FILES)
/* Of the implied proxy: refusing system calls makes the start of a child an eighth slower, and
 * where all is one user it is no wall between users. */
#define PROXY_IMPLIED_ON (PROXY_USUALLY_ON & ~(unsigned)PROTECT_SECCOMP)

struct proxy_question {
    struct span principal; /* a name, or local:USER; empty: whoever may */
    struct span subsystem; /* empty: any */
};
/* -EACCES: the proxy does not allow it; *err says what it allows, where, and how to change it. */
int proxy_judge(const struct d_proxy *p, const char *file, const struct proxy_question *q,
                struct error *err);
/* The same for the builder who has signed the step's package, one of trust/signers. */
int proxy_judge_signer(const struct d_proxy *p, const char *file, const struct builder *signer,
                       struct error *err);

/* What a pattern of `principals` may be: a glob over names, in which only `*` is special, or
 * `local:` and a glob over users. A pattern of the one kind never covers a principal of the other.
 * -EINVAL. */
int proxy_check_principal(struct span pattern, struct error *err);
/* What an entry of `signers` may be: a public key, or a name in trust/signers (builders.h).
 * -EINVAL. */
int proxy_check_signer(struct span text, struct error *err);
/* What a child's environment may be given: letters, digits and _, but nothing that Longboat sets
 * itself (LB_*, HOME, USER, LOGNAME) or that changes how programs are loaded (LD_*). -EINVAL. */
int proxy_check_variable(struct span name, struct error *err);

/* The proxy that a server has without any file, if its runner cannot switch users: `default`, the
 * runner's own user, who is `user`. Appends the d_proxy. */
void proxy_implied(const char *user, struct buf *out);
/* There is no proxies.d/NAME.yaml. *err says what to do; -ENOENT. */
int proxy_missing(struct span name, struct error *err);

#endif
