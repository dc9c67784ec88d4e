/* config.h - our identity and the broker's addresses, as joining wrote them below the configuration
 * folder.
 *
 *   client.yaml           brokers: [host:port, ...]
 *                         unsigned_results: refuse (the default) or accept
 *   trust/administrators  the root: who may sign certificates (trust/certificate.h)
 *   trust/certificate     our own certificate, as signed
 *   trust/broker          the broker's; its transport key is pinned
 *   trust/broker.next     the one for its next key, while that is rotated
 *   keys/sign.key         our secret seed (trust/keys.h) */
#ifndef LB_CLIENT_CONFIG_H
#define LB_CLIENT_CONFIG_H

#include "trust/certificate.h"
#include "trust/keys.h"

#define CLIENT_FILE         "client.yaml"
#define ADMINISTRATORS_FILE "trust/administrators"
#define CERTIFICATE_FILE    "trust/certificate"
#define BROKER_FILE         "trust/broker"
#define SIGN_KEY_FILE       "keys/sign.key"
#define SEAL_KEY_FILE       "keys/seal.key"

enum { CLIENT_BROKERS_MAX = 16 };

struct client_config {
    char *folder;     /* where it was read from */
    char **addresses; /* of the broker */
    size_t n_addresses;
    bool accept_unsigned; /* results without a signature: unsigned_results of client.yaml */
    struct trust_anchors anchors;
    struct key key;
    struct certificate me, broker;  /* verified */
    struct certificate broker_next; /* all zero: none */
};

/* Reads and verifies all of it. `folder` NULL: that of paths_resolve. -ENOENT: there is no identity
 * here; the sentence says how to join. -EINVAL, -EBADMSG, ...: the sentence names the file and what
 * is wrong with it. */
int client_config_load(struct client_config *ret, const char *folder, struct error *err);
void client_config_free(struct client_config *c); /* wipes the key; back to all zero */

/* A newer certificate of our own key, from a WELCOME: it is verified, replaces
 * trust/certificate and is used from now on. 0 also if it is the one we have. -EBADMSG, ...: not
 * ours or not newer; -EACCES, ...: it is used, but could not be written. */
int client_config_adopt(struct client_config *c, struct span certificate, int64_t now,
                        struct error *err);

/* A certificate of the broker's next key, from a WELCOME or a person: it is verified and written.
 * 1: it is new; 0: it is known. -EBADMSG, ...: it is not a newer one of this broker. */
int client_config_next_broker(struct client_config *c, struct span certificate, int64_t now,
                              struct error *err);
/* The broker has its next key: pin that one. */
int client_config_pin_next(struct client_config *c, struct error *err);

/* The text of a client.yaml. */
void client_config_format(const char *const *addresses, size_t n, struct buf *out);

#endif
