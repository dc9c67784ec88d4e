/* revoked.c - see revoked.h. */
#include "worker/revoked.h"

#include "common/file.h"
#include "common/mem.h"

int revoked_open(struct revoked *r, const char *path, const struct trust_anchors *anchors,
                 struct error *err)
{
    *r = (struct revoked){.path = NULL};
    int rc = revocations_load(&r->list, path, anchors, err);
    if (rc >= 0)
        r->path = mem_strdup(path);
    return rc < 0 ? rc : 0;
}

void revoked_close(struct revoked *r)
{
    revocations_free(&r->list);
    mem_free(&r->path);
}

int revoked_take(struct revoked *r, struct span signed_list, const struct trust_anchors *anchors,
                 struct error *err)
{
    int rc = revocations_take(&r->list, signed_list, anchors, NULL, err);
    if (rc <= 0)
        return rc;
    rc = file_write_atomic(r->path, signed_list, 0644, err);
    return rc < 0 ? rc : 1;
}
