/* crc32c.h - the checksum of records in files (Castagnoli, as used by iSCSI and ext4). It detects
 * accidents, not attacks. Pure. */
#ifndef LB_COMMON_CRC32C_H
#define LB_COMMON_CRC32C_H

#include <stdint.h>

#include "common/buf.h"

/* Of "123456789" it is 0xe3069283; of nothing, 0. */
uint32_t crc32c(struct span s);

/* The same with a table, for processors without the instruction; external so that the test can
 * compare the two. */
uint32_t crc32c_portable(struct span s);

#endif
