/* keyhash.h - included instead of common/hashtable.h where a peer chooses the keys: SipHash with a
 * secret of this process, so that no peer can choose keys that share a bucket. */
#ifndef LB_NET_KEYHASH_H
#define LB_NET_KEYHASH_H

#include <sodium.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t key_hash(const void *key, size_t n,
                                const uint8_t secret[crypto_shorthash_KEYBYTES])
{
    uint8_t out[crypto_shorthash_BYTES];
    uint32_t v;
    crypto_shorthash(out, key, n, secret);
    memcpy(&v, out, sizeof v);
    return v;
}

extern uint8_t net_hash_secret[crypto_shorthash_KEYBYTES]; /* of keyhash.c */
void net_hash_begin(void);                                 /* makes the secret, once */

#define HASH_FUNCTION(key, n, value) ((value) = key_hash((key), (n), net_hash_secret))
#include "common/hashtable.h"

#endif
