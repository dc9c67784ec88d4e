/* keyfilter.h - a set of keys that is never wrong about what it does not have: a chain of Bloom
 * filters. Pure.
 *
 * Each filter of the chain is a split block Bloom filter: a key sets one bit in each of the eight
 * words of one block of 32 bytes, so a question touches one cache line (Putze, Sanders and Singler,
 * "Cache-, hash-, and space-efficient Bloom filters", 2009; the constants are those of Parquet
 * files, which use the same). At 16 bits a key about one answer in 1,000 is a false yes. When a
 * filter has the keys that it is made for, one of twice the size follows (Almeida and others,
 * "Scalable Bloom filters", 2007), so a few keys take little memory and no key is ever
 * added twice. */
#ifndef LB_BROKER_CORE_KEYFILTER_H
#define LB_BROKER_CORE_KEYFILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    KEYFILTER_FIRST = 4096, /* keys of the first filter: 8 KiB */
    KEYFILTER_CHAIN = 13    /* filters: 33,550,336 keys in 64 MiB */
};

/* Zero: empty. */
struct keyfilter {
    uint32_t *blocks[KEYFILTER_CHAIN]; /* NULL: not in use */
    unsigned last;                     /* the filter that takes new keys */
    uint32_t n;                        /* keys in that filter */
    bool full;                         /* the chain has an end: every answer is yes from now on */
};

void keyfilter_free(struct keyfilter *f); /* and makes it empty */
/* `hash`: of the key, keyed, all 64 bits of it random. */
void keyfilter_add(struct keyfilter *f, uint64_t hash);
/* false: it was never added. */
bool keyfilter_may_have(const struct keyfilter *f, uint64_t hash);

#endif
