/* keyfilter.c - see keyfilter.h. */
#include "broker/core/keyfilter.h"

#include "common/mem.h"

enum { WORDS = 8, KEYS_OF_BLOCK = 16 }; /* 256 bits for 16 keys */

static const uint32_t SALTS[WORDS] = {0x47b6137b, 0x44974d91, 0x8824ad5b, 0xa2b7289d,
                                      0x705495c7, 0x2df1424b, 0x9efc4947, 0x5c6bfb31};

static uint32_t keys_of(unsigned i)
{
    return (uint32_t)KEYFILTER_FIRST << i;
}

/* The upper half of the hash chooses the block, the lower half the bits in it. */
static uint32_t *block_of(const struct keyfilter *f, unsigned i, uint64_t hash)
{
    uint64_t blocks = keys_of(i) / KEYS_OF_BLOCK;
    return f->blocks[i] + ((hash >> 32) * blocks >> 32) * WORDS;
}

static uint32_t bit_of(uint64_t hash, unsigned word)
{
    return UINT32_C(1) << ((uint32_t)hash * SALTS[word] >> 27);
}

void keyfilter_free(struct keyfilter *f)
{
    for (unsigned i = 0; i < KEYFILTER_CHAIN; i++)
        mem_free(&f->blocks[i]);
    *f = (struct keyfilter){0};
}

void keyfilter_add(struct keyfilter *f, uint64_t hash)
{
    if (f->full)
        return;
    if (f->n == keys_of(f->last)) {
        f->full = f->last + 1 == KEYFILTER_CHAIN;
        if (f->full)
            return;
        f->last++;
        f->n = 0;
    }
    if (!f->blocks[f->last])
        f->blocks[f->last] =
            mem_zalloc(keys_of(f->last) / KEYS_OF_BLOCK * WORDS, sizeof *f->blocks[0]);
    uint32_t *block = block_of(f, f->last, hash);
    for (unsigned w = 0; w < WORDS; w++)
        block[w] |= bit_of(hash, w);
    f->n++;
}

static bool block_has(const uint32_t *block, uint64_t hash)
{
    for (unsigned w = 0; w < WORDS; w++)
        if (!(block[w] & bit_of(hash, w)))
            return false;
    return true;
}

bool keyfilter_may_have(const struct keyfilter *f, uint64_t hash)
{
    if (f->full)
        return true;
    for (unsigned i = 0; i < KEYFILTER_CHAIN && f->blocks[i]; i++)
        if (block_has(block_of(f, i, hash), hash))
            return true;
    return false;
}
