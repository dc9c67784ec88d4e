/* crc32c.c - see crc32c.h. */
#include "common/crc32c.h"

#include <string.h>

/* Half a byte at a time: sixteen words are easy to check by hand, and only old processors need
 * them. */
static uint32_t add_byte(uint32_t crc, uint8_t byte)
{
    static const uint32_t table[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                       0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                       0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                       0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    crc ^= byte;
    crc = crc >> 4 ^ table[crc & 15];
    return crc >> 4 ^ table[crc & 15];
}

uint32_t crc32c_portable(struct span s)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < s.n; i++)
        crc = add_byte(crc, s.p[i]);
    return ~crc;
}

size_t crc32c_beginning(struct span s, uint32_t sum)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < s.n; i++)
        if ((crc = add_byte(crc, s.p[i])) == ~sum)
            return i + 1;
    return 0;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t by_instruction(struct span s)
{
    uint64_t crc = ~0u, word;
    size_t i = 0;
    for (; i + sizeof word <= s.n; i += sizeof word) {
        memcpy(&word, s.p + i, sizeof word);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    uint32_t rest = (uint32_t)crc;
    for (; i < s.n; i++)
        rest = __builtin_ia32_crc32qi(rest, s.p[i]);
    return ~rest;
}

uint32_t crc32c(struct span s)
{
    return __builtin_cpu_supports("sse4.2") ? by_instruction(s) : crc32c_portable(s);
}

#else

uint32_t crc32c(struct span s)
{
    return crc32c_portable(s);
}

#endif
