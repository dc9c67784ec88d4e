/* keyhash.c - the secret of keyhash.h. */
#include "net/keyhash.h"

#include <pthread.h>

uint8_t net_hash_secret[crypto_shorthash_KEYBYTES];

static void make_secret(void)
{
    randombytes_buf(net_hash_secret, sizeof net_hash_secret);
}

void net_hash_begin(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_secret);
}
