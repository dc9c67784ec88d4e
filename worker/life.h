/* life.h - var/spool/life: in which boot and in which home the spool was last written, and whether
 * it was closed.
 *
 * A spool is not synced. So after another boot it may lack what was written last, unless the
 * worker had stopped in good order and synced its log. What the worker says as `boot` in HELLO
 * changes with each such gap, and with damage: then the broker knows that what is not listed was
 * perhaps begun.
 *
 * A home can be copied, and then there are two workers with one key and one spool id. A copy is
 * noticed by the place of the file `id`, which no copy shares: its inode, and in one boot its
 * device. `nonce` is what HELLO says as `incarnation`: the same for each worker that is started on
 * this spool in this boot, and another one for a copy. */
#ifndef LB_WORKER_LIFE_H
#define LB_WORKER_LIFE_H

#include <stdint.h>

#include "common/error.h"
#include "common/id.h"

struct spool_life {
    struct id boot; /* the kernel's */
    struct id said; /* as HELLO says it */
    int64_t closed; /* the size of worker.log when it was closed and synced; -1: it was not */
    struct id nonce;
    uint64_t device, inode; /* of the spool's `id`; 0: written by a version that did not say it */
};

/* -ENOENT: there is none. -EBADMSG: it cannot be read as one. */
int life_read(const char *folder, struct spool_life *ret, struct error *err);
/* Written and synced, whole or not at all. */
int life_write(const char *folder, const struct spool_life *l, struct error *err);
/* For a spool of before there was such a file: the boot of the worker that last wrote the fence in
 * it. False: no worker has. */
bool life_boot_of_fence(const char *folder, struct id *ret);

#endif
