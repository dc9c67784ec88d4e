/* enrol.h - joining a cluster with a token: what `lbworker join` and `lbsubmit join` share.
 *
 * New keys are made here and never leave; the token's one-time key signs a certificate for them and
 * connects once, to hand it to the broker (ENROL). Everything lies ready in a folder beside before
 * the broker is asked, and takes its place (config.h lists the files) when it has said yes. When
 * joining fails, nothing of it remains. */
#ifndef LB_CLIENT_ENROL_H
#define LB_CLIENT_ENROL_H

#include "common/loop.h"
#include "trust/certificate.h"

struct enrol_options {
    const char *token;  /* the text; white space around it does not matter */
    const char *folder; /* configuration; NULL: that of paths_resolve */
    /* a server's token is wanted, and a seal key is made; else anybody's but a server's */
    bool server;
    bool force;         /* take the place of the identity that is there */
    int64_t timeout_ms; /* 0: 30 s */
    struct loop *loop;  /* NULL: one of its own */
};

struct enrol_result {
    char cluster[LIMIT_NAME + 1], name[LIMIT_NAME + 1], folder[512];
    enum role role;
};

/* Waits for the broker. -EEXIST: there is an identity and no `force`; -EINVAL: no token, or one for
 * another role; -ETIME: it has ended; -EACCES: the broker refuses; -ETIMEDOUT: it does not answer;
 * other codes: files. */
int enrol(const struct enrol_options *o, struct enrol_result *ret, struct error *err);

/* Reads a token from a descriptor to its end. The caller wipes and frees. */
int enrol_read_token(int fd, char **ret, struct error *err);

#endif
