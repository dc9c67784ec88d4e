/* pkg_deploy.h - the two halves of lbpkg deploy: bringing it there (pkg_deploy.c) and watching it
 * arrive (pkg_wait.c). */
#ifndef LB_ADMIN_PKG_DEPLOY_H
#define LB_ADMIN_PKG_DEPLOY_H

#include "client/longboat.h"
#include "package/archive.h"

struct deploy {
    struct longboat *lb;
    const char *archive, *address;
    int fd;
    struct manifest m;
    struct buf json, signature;
    struct hash hash;
    uint64_t size;
    enum refusal refusal; /* of the request that failed */
};

/* Prints how each server of the address fared; returns the exit code: 1 if one lacks it, or
 * there is none. */
int deploy_wait(struct deploy *d, int64_t timeout_ms, bool json, char **argv);

#endif
