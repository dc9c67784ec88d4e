/* zap.h - who may finish a CURVE handshake: the ZAP handler (RFC 27) of this process, and its set
 * of keys.
 *
 * libzmq asks it for each connection; it answers 200 for a key of the set, with the key's 64
 * hexadecimal digits as User-Id, 300 for one that has too many connections without a session, and
 * 400 for everything else: an unknown key, another mechanism, another domain, a request of another
 * form. A client that gets 300 sees its connection end, and tries again later. It runs in a
 * thread of its own (a zactor), because libzmq asks while its owner is busy; the set is guarded by
 * a lock. There is one per process: a second one cannot be opened while the first is there
 * (-EADDRINUSE). */
#ifndef LB_NET_ZAP_H
#define LB_NET_ZAP_H

#include <stdbool.h>

#include "common/error.h"
#include "proto/wire.h"

#define ZAP_DOMAIN "longboat" /* must not be empty: see net_router_open */

/* The set of allowed keys. */
struct zap_keys;
struct zap_keys *zap_keys_new(void);
enum {
    /* connections of one key that are let in and have not opened a session, for so long at most:
     * then the server closes them */
    ZAP_SILENT_MAX = 64,
    ZAP_SILENT_MS = 10000
};
void zap_keys_free(struct zap_keys **k);
/* Takes effect from the next handshake on. Existing connections stay: rights are checked for each
 * message. */
void zap_keys_set(struct zap_keys *k, const struct hash *key, bool allowed);

/* A connection of this key has opened its first session. */
void zap_keys_spoke(struct zap_keys *k, const struct hash *key);
uint64_t zap_keys_put_off(struct zap_keys *k); /* handshakes, since the start */

struct zap;
/* `keys` must outlive it, until zap_close. -EADDRINUSE: this process already has a handler. */
int zap_open(struct zap **ret, struct zap_keys *keys, struct error *err);
void zap_close(struct zap **z);

/* The decision, for the handler and its tests. `parts` of a ZAP request after the empty delimiter:
 * version, request id, domain, address, identity, mechanism and credentials. `now`: boot ms.
 * *ret_key is who it is, unless it is refused. */
enum zap_verdict { ZAP_REFUSED, ZAP_LATER, ZAP_IN };
enum zap_verdict zap_judge(struct zap_keys *k, const struct span *parts, size_t n, int64_t now,
                           struct hash *ret_key);

#endif
