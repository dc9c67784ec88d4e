/* proxyserver.h - would this server take a step under this proxy? The whole judgement, but for the
 * signer of its package: files, principal, subsystem, account, credentials.
 *
 * The runner asks it at every step, with files that lbparse compiles; `lbctl proxy test` and
 * `lbworker check` ask it beforehand, with files that they compile themselves. */
#ifndef LB_TRUST_PROXYSERVER_H
#define LB_TRUST_PROXYSERVER_H

#include "trust/account.h"
#include "trust/proxy.h"
#include "trust/subsystem.h"

/* The document of a file: "proxy" or "subsystem". `shown`: what messages call it. *ret is lent
 * until the judgement is no longer used. -ENOENT: there is no such file. */
typedef int proxyserver_read(void *self, const char *kind, const char *path, const char *shown,
                             struct span *ret, struct error *err);
struct proxy_found;
/* Fills in found->account, perhaps from memory. `document`: of the proxy. */
typedef int proxyserver_account(void *self, struct span document, struct proxy_found *found,
                                struct error *err);

struct proxyserver {
    const char *proxies, *subsystems; /* the folders */
    const char *user;                 /* the runner's */
    bool separated;                   /* the runner can switch users */
    bool skip_credentials; /* who asks may not open them: they are the runner's to judge */
    uid_t also;            /* who besides root may own what decides; see ownfile.h */
    struct account_own own;
    /* scratch, which proxyserver_close frees: what needs no file */
    struct buf implied, builtins[SUBSYSTEM_BUILTINS];
    proxyserver_read *read;
    proxyserver_account *account; /* one that remembers; NULL: proxyserver_find_account */
    void *self;
};
void proxyserver_close(struct proxyserver *s);

/* A proxy that allows a step. Its texts are lent, as the documents are. */
struct proxy_found {
    struct d_proxy proxy;
    char file[PROXY_FILE_TEXT]; /* for messages */
    struct account_user account;
    struct d_subsystem subsystem; /* empty name: none was asked for */
};

/* Negative: refused; *err says why, and what to do. With an empty principal it is the question
 * whether this server would take such a step at all. */
int proxyserver_judge(struct proxyserver *s, struct span name, const struct proxy_question *q,
                      struct proxy_found *ret, struct error *err);
/* The first part alone: is there such a proxy, and is it usable? */
int proxyserver_find(struct proxyserver *s, struct span name, struct proxy_found *ret,
                     struct span *ret_document, struct error *err);
/* A subsystem by itself: of subsystems.d, else one that every server has (subsystem.h). *ret is
 * lent like a proxy_found. -ENOENT: there is none. */
int proxyserver_subsystem(struct proxyserver *s, struct span name, struct d_subsystem *ret,
                          struct error *err);
/* Asks the system's databases. */
int proxyserver_find_account(const struct proxyserver *s, struct proxy_found *found,
                             struct error *err);

#endif
