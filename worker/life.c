/* life.c - see life.h. */
#include "worker/life.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"

enum { TEXT_MAX = 400, FENCE_BOOT = 8 /* where it stands in the fence: worker/fence.h */ };

int life_read(const char *folder, struct spool_life *ret, struct error *err)
{
    char *path = mem_printf("%s/life", folder), boot[ID_TEXT], said[ID_TEXT];
    char nonce[ID_TEXT];
    struct buf b = {0};
    *ret = (struct spool_life){.closed = -1};
    int rc = file_read(path, TEXT_MAX, &b, err);
    int n = rc < 0 ? 0
                   : sscanf(buf_str(&b),
                            "boot %36s\nsaid %36s\nclosed %" SCNd64 "\nnonce %36s\nhome %" SCNu64
                            " %" SCNu64 "\n",
                            boot, said, &ret->closed, nonce, &ret->device, &ret->inode);
    if (rc == 0 && ((n != 3 && n != 6) || id_parse_span(span_str(boot), &ret->boot, err) < 0 ||
                    id_parse_span(span_str(said), &ret->said, err) < 0 ||
                    (n == 6 && id_parse_span(span_str(nonce), &ret->nonce, err) < 0)))
        rc = error_set(err, -EBADMSG, "'%s' is damaged", path);
    buf_free(&b);
    mem_free(&path);
    return rc;
}

int life_write(const char *folder, const struct spool_life *l, struct error *err)
{
    char *path = mem_printf("%s/life", folder), boot[ID_TEXT], said[ID_TEXT];
    char nonce[ID_TEXT];
    char *text =
        mem_printf("boot %s\nsaid %s\nclosed %" PRId64 "\nnonce %s\nhome %" PRIu64 " %" PRIu64 "\n",
                   id_format(l->boot, boot), id_format(l->said, said), l->closed,
                   id_format(l->nonce, nonce), l->device, l->inode);
    int rc = file_write_atomic(path, span_str(text), 0600, err);
    mem_free(&text);
    mem_free(&path);
    return rc;
}

bool life_boot_of_fence(const char *folder, struct id *ret)
{
    char *path = mem_printf("%s/fence", folder);
    struct buf b = {0};
    bool found = file_read(path, TEXT_MAX, &b, NULL) == 0 && b.n == FENCE_BOOT + sizeof ret->b;
    if (found)
        memcpy(ret->b, b.p + FENCE_BOOT, sizeof ret->b);
    buf_free(&b);
    mem_free(&path);
    return found && !id_is_zero(*ret);
}
