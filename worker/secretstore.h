/* secretstore.h - the secrets of this server as they are kept in var/secrets, sealed: the worker
 * fetches them from the broker and cannot open them. The runner verifies each again when a step
 * names it.
 *
 * SECRETS lists what this server is to have. What is new is fetched one by one, what is not listed
 * any more is removed. A document that nobody with the right has signed is not kept, so a broker
 * cannot fill the disk. */
#ifndef LB_WORKER_SECRETSTORE_H
#define LB_WORKER_SECRETSTORE_H

#include "trust/certificate.h"

enum {
    SECRETSTORE_RETRY_MS = 30000, /* after a failure */
    /* the numbers of our requests begin here, those of desired.c at 1 */
    SECRETSTORE_REQ = 1 << 30
};

struct secretstore_calls {
    void *self;
    int (*send)(void *self, struct span message);
    void (*changed)(void *self); /* what is held has changed: attest */
};
struct secretstore;
/* Reads what is there. `anchors` and `me` are lent; they may change. On success *ret is yours:
 * secretstore_close. */
int secretstore_open(struct secretstore **ret, const char *folder,
                     const struct trust_anchors *anchors, const struct certificate *me,
                     const struct secretstore_calls *calls, struct error *err);
void secretstore_close(struct secretstore **s);

/* `now`: boot; `wall`: for judging documents. */
void secretstore_set(struct secretstore *s, const struct m_secrets *m, int64_t now);
void secretstore_take(struct secretstore *s, const struct m_secret *m, int64_t now, int64_t wall);
/* False: the ERROR is not about a request of ours. */
bool secretstore_error(struct secretstore *s, const struct m_error *m, int64_t now);
void secretstore_again(struct secretstore *s, int64_t now); /* a new session */
int64_t secretstore_deadline(const struct secretstore *s);  /* of the next tick; INT64_MAX: none */
void secretstore_tick(struct secretstore *s, int64_t now);

/* Can this server open the secret of a need "secret:NAME"? If not, `trouble` says why and what to
 * do. */
bool secretstore_holds(const struct secretstore *s, struct span need, char *trouble, size_t size);

#endif
