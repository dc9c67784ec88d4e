/* beside.c - see depot.h: what lies beside a package, and who may replace it. */
#include <errno.h>
#include <string.h>

#include "broker/depot/inside.h"
#include "common/file.h"

static int read_beside(const char *folder, const struct hash *hash, const char *ending, size_t max,
                       struct buf *out)
{
    char *path = depot_path(folder, hash, ending);
    int rc = file_read(path, max, out, NULL);
    mem_free(&path);
    return rc;
}

static int write_one(const char *folder, const struct hash *hash, const char *ending,
                     struct span content, struct error *err)
{
    char *path = depot_path(folder, hash, ending);
    int rc = file_write_atomic(path, content, 0600, err);
    mem_free(&path);
    return rc;
}

void depot_uploader(const char *folder, const struct hash *hash, char ret[LIMIT_NAME + 1])
{
    struct buf name = {0};
    ret[0] = '\0';
    if (read_beside(folder, hash, ".by", LIMIT_NAME, &name) == 0)
        span_copy_str(buf_span(&name), ret, LIMIT_NAME + 1);
    buf_free(&name);
}

static int conflict(const char *folder, const struct depot_beside *b, const char *what,
                    const char *who, struct error *err)
{
    char by[LIMIT_NAME + 1];
    depot_uploader(folder, &b->hash, by);
    return error_set(err, -EEXIST,
                     "the depot has this package with another %s%s%s%s; only %s can replace it",
                     what, *by ? ", from '" : "", by, *by ? "'" : "", who);
}

static int judge(const char *folder, const struct depot_beside *b, struct span manifest,
                 struct span signature, struct error *err)
{
    char by[LIMIT_NAME + 1];
    if (b->administrator)
        return 0;
    if (!span_eq(manifest, b->manifest))
        return conflict(folder, b, "manifest", "an administrator", err);
    depot_uploader(folder, &b->hash, by);
    if (!span_eq(signature, b->signature) && strcmp(by, b->by) != 0)
        return conflict(folder, b, "signature", "its uploader or an administrator", err);
    return 0;
}

int depot_write_beside(const char *folder, const struct depot_beside *b, bool here,
                       struct error *err)
{
    struct buf manifest = {0}, signature = {0};
    int rc = 0;
    bool package = here && read_beside(folder, &b->hash, ".json", LIMIT_MANIFEST, &manifest) == 0 &&
                   read_beside(folder, &b->hash, ".sig", LIMIT_SIGNATURE, &signature) == 0;
    if (package)
        rc = judge(folder, b, buf_span(&manifest), buf_span(&signature), err);
    if (rc == 0 && !(package && span_eq(buf_span(&manifest), b->manifest)))
        rc = write_one(folder, &b->hash, ".json", b->manifest, err);
    if (rc == 0 && !(package && span_eq(buf_span(&signature), b->signature)))
        rc = write_one(folder, &b->hash, ".sig", b->signature, err);
    if (rc == 0 && !here)
        rc = write_one(folder, &b->hash, ".by", span_str(b->by), err);
    buf_free(&manifest);
    buf_free(&signature);
    return rc;
}
