/* crc32c.h - the checksum of records in files (Castagnoli, as used by iSCSI and ext4). It detects
 * accidents, not attacks. Pure. */
#ifndef LB_COMMON_CRC32C_H
#define LB_COMMON_CRC32C_H

#include <stdint.h>

#include "common/buf.h"

/* Of "123456789" it is 0xe3069283; of nothing, 0. */
uint32_t crc32c(struct span s);

/* The length of the shortest beginning of s, of at least one byte, that has this checksum; 0: none
 * has. Slow: a byte at a time. */
size_t crc32c_beginning(struct span s, uint32_t sum);

/* The same with a table, for processors without the instruction; external so that the test can
 * compare the two. */
uint32_t crc32c_portable(struct span s);

#endif
