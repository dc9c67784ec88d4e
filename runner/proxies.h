/* proxies.h - may this step run under the proxy that it names, and as whom and within what?
 *
 * The files are asked at every step (compiled.h): what was withdrawn is gone with the next step. A
 * server whose runner is not root has a proxy `default` without any file (trust/proxy.h). */
#ifndef LB_RUNNER_PROXIES_H
#define LB_RUNNER_PROXIES_H

#include "runner/runnerpaths.h"
#include "trust/account.h"
#include "trust/proxy.h"

struct proxies;
struct proxies *proxies_new(const struct runner_paths *paths); /* `paths` is lent for its life */
void proxies_free(struct proxies **p);

/* A proxy that allows a step. Lent until the next judgement. */
struct proxies_found {
    struct d_proxy proxy;
    char file[PROXY_FILE_TEXT]; /* for messages */
    struct account_user account;
    struct d_subsystem subsystem; /* of subsystems.d; empty name: one of ours */
};
/* Everything that a proxy decides but the signer of a package: the proxy and the subsystem are
 * there and right, it allows subsystem and principal, it may be run as its user, its credentials
 * can be read. `now`: wall ms. Negative: *err says why, and what to do. With an empty principal it
 * is the question whether this server would take such a step at all. */
int proxies_judge(struct proxies *p, struct span name, const struct proxy_question *q, int64_t now,
                  struct proxies_found *ret, struct error *err);

/* What goes with a step that is allowed. The smaller of each limit counts; 0: none. */
struct proxies_step {
    struct span principal;
    struct hash signer; /* zero: no package */
    bool is_text;       /* the step has a text of its own, not a package's entry */
    uint64_t memory, processes;
};
/* Appends the d_context. -EINVAL: the subsystem takes no text; -EMSGSIZE: it gives too much. */
int proxies_context(const struct proxies_found *f, const struct proxies_step *step, bool separated,
                    struct buf *out, struct error *err);
/* The smaller of two limits, of which 0 is none. */
uint64_t proxies_least(uint64_t a, uint64_t b);

#endif
