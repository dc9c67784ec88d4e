/* enrol.h - joining a cluster with a token: what `lbworker join` and `lbsubmit join` share.
 *
 * New keys are made here and never leave this machine. The token's one-time key signs a certificate
 * for them and connects once, to hand it to the broker (ENROL). All files are first written to a
 * folder beside their place (config.h lists them) and moved there when the broker has accepted. A
 * failed join leaves nothing behind. */
#ifndef LB_CLIENT_ENROL_H
#define LB_CLIENT_ENROL_H

#include "common/loop.h"
#include "trust/certificate.h"

struct enrol_options {
    const char *token;  /* the text; white space around it does not matter */
    const char *folder; /* configuration; NULL: that of paths_resolve */
    /* expect a server's token and make a seal key; else any other principal's token */
    bool server;
    bool force;             /* replace an existing identity */
    const char *passphrase; /* encrypts the signing key; NULL: it is not encrypted */
    int64_t timeout_ms;     /* 0: 30 s */
    struct loop *loop;      /* NULL: one of its own */
};

struct enrol_result {
    char cluster[LIMIT_NAME + 1], name[LIMIT_NAME + 1], folder[512];
    enum role role;
};

/* Waits for the broker. -EEXIST: an identity exists and `force` is not set; -EINVAL: no token, or
 * one for another role; -ETIME: it has expired; -EACCES: the broker refuses; -ETIMEDOUT: it does
 * not answer; other codes: files. */
int enrol(const struct enrol_options *o, struct enrol_result *ret, struct error *err);

/* Reads a token from a descriptor to its end. The caller wipes and frees. */
int enrol_read_token(int fd, char **ret, struct error *err);

#endif
