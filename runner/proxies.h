/* proxies.h - may this step run under the proxy that it names, and as whom and within what?
 *
 * The files are asked at every step (compiled.h): what was withdrawn is gone with the next step. A
 * server whose runner is not root has a proxy `default` without any file (trust/proxy.h). */
#ifndef LB_RUNNER_PROXIES_H
#define LB_RUNNER_PROXIES_H

#include "runner/policy.h"
#include "runner/runnerpaths.h"
#include "trust/proxyserver.h"

struct proxies;
struct proxies *proxies_new(const struct runner_paths *paths); /* `paths` is lent for its life */
void proxies_free(struct proxies **p);

/* proxyserver_judge of this server. *ret is lent until the next judgement. `now`: wall ms. */
int proxies_judge(struct proxies *p, struct span name, const struct proxy_question *q, int64_t now,
                  struct proxy_found *ret, struct error *err);

/* What goes with a step that is allowed. The smaller of each limit counts; 0: none. */
struct proxies_step {
    struct span principal;
    struct hash signer; /* zero: no package */
    bool is_text;       /* the step has a text of its own, not a package's entry */
    uint64_t memory, processes;
};
/* Appends the d_context. -EINVAL: the subsystem takes no text; -EMSGSIZE: it gives too much. */
int proxies_context(const struct proxy_found *f, const struct proxies_step *step, bool separated,
                    struct buf *out, struct error *err);
/* Judges a step anew that was allowed before and has waited: its S_LAUNCH, which gets the context
 * of now. A limit that was lowered counts, one that was raised does not. Negative: refused. */
int proxies_again(struct proxies *p, const struct policy *policy, struct buf *launch, int64_t now,
                  struct error *err);
/* The smaller of two limits, of which 0 is none. */
uint64_t proxies_least(uint64_t a, uint64_t b);

#endif
