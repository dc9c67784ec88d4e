/* proxyhere.h - the proxies of this machine's server, for programs that judge them as its runner
 * would (trust/proxyserver.h) and compile their files themselves. */
#ifndef LB_PACKAGE_PROXYHERE_H
#define LB_PACKAGE_PROXYHERE_H

#include "common/paths.h"
#include "trust/proxyserver.h"

struct proxyhere_document;
struct proxyhere {
    struct proxyserver server;
    char *proxies, *subsystems, *user;
    struct proxyhere_document *documents; /* that are lent */
    struct builder *builders;             /* trust/signers */
    size_t n_builders;
};

/* Whether its runner switches users is seen by whom its socket belongs to; while there is none, it
 * is as if this user started it. Release with proxyhere_close, which takes back all documents. */
void proxyhere_open(struct proxyhere *h, const struct paths *paths);
void proxyhere_close(struct proxyhere *h);

/* Judges who signed a package; as the runner, which wants the builder in trust/signers first. */
int proxyhere_judge_signer(const struct proxyhere *h, const struct proxy_found *found,
                           const struct hash *signer_key, struct error *err);

#endif
