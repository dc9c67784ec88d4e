/* ctl_lists.c - see ctl_lists.h. */
#include "admin/ctl_lists.h"

#include <errno.h>
#include <stdio.h>

#include "common/file.h"
#include "proto/limits.h"

void ctl_lists_free(struct ctl_lists *l)
{
    for (unsigned i = 0; i < l->n; i++)
        buf_free(&l->bytes[i]);
    l->n = 0;
}

int ctl_lists_add(struct ctl_lists *l, const char *path, struct error *err)
{
    const unsigned i = l->n;
    int rc = i == EVIDENCE_LISTS_MAX ? error_set(err, -ENOSPC, "too many lists") : 0;
    if (rc < 0 || (rc = file_read(path, LIMIT_FRAME, &l->bytes[i], err)) < 0)
        return rc;
    snprintf(l->from[i], sizeof l->from[i], "%s", path);
    l->lists[i] = (struct evidence_list){l->from[i], buf_span(&l->bytes[i])};
    l->n++;
    return 0;
}

int ctl_lists_add_home(struct ctl_lists *l, struct error *err)
{
    struct paths paths;
    char path[PATHS_MAX];
    int rc = paths_resolve(&paths, err);
    for (unsigned i = 0; rc == 0 && i < 2; i++) {
        struct error why = {0};
        rc = path_join(path, sizeof path, err, i ? paths.state : paths.config,
                       i ? "revocations" : "trust/revocations", NULL);
        if (rc == 0 && (rc = ctl_lists_add(l, path, &why)) == -ENOENT)
            rc = 0;
        else if (rc < 0 && err && why.code)
            *err = why;
    }
    return rc;
}

void ctl_lists_offer(const struct ctl_lists *l, struct evidence_bundle *e)
{
    e->lists = l->lists;
    e->n_lists = l->n;
}
