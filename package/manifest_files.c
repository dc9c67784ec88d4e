/* manifest_files.c - which paths a package may have. */
#include "package/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "common/utf8.h"

int manifest_path_check(struct span path, struct error *err)
{
    int shown = (int)(path.n < 200 ? path.n : 200);
    const char *text = path.n ? (const char *)path.p : "";
    if (path.n == 0 || path.n > LIMIT_PATH - sizeof PACKAGE_FILES)
        return error_set(err, -EINVAL, "the path '%.*s' has %zu bytes; 1 to %zu are allowed",
                         shown < 60 ? shown : 60, text, path.n, LIMIT_PATH - sizeof PACKAGE_FILES);
    if (!utf8_is_valid(path, NULL))
        return error_set(err, -EINVAL, "a path is not UTF-8");
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] < ' ' || path.p[i] == 127)
            return error_set(err, -EINVAL, "a path contains control characters");
    if (path.p[0] == '/')
        return error_set(err, -EINVAL, "the path '%.*s' is absolute", shown, text);
    unsigned depth = 0;
    for (size_t at = 0; at <= path.n; depth++) {
        const uint8_t *slash = at < path.n ? memchr(path.p + at, '/', path.n - at) : NULL;
        size_t n = slash ? (size_t)(slash - path.p) - at : path.n - at;
        struct span part = span_of(path.p + at, n);
        if (n == 0 || span_eq_str(part, ".") || span_eq_str(part, ".."))
            return error_set(err, -EINVAL, "the path '%.*s' has an empty, '.' or '..' part", shown,
                             text);
        if (n > PACKAGE_COMPONENT_MAX)
            return error_set(err, -EINVAL, "a name in the path '%.60s...' has more than %d bytes",
                             text, PACKAGE_COMPONENT_MAX);
        at += n + 1;
    }
    if (depth > PACKAGE_DEPTH_MAX)
        return error_set(err, -EINVAL, "the path '%.*s' is more than %d folders deep", shown, text,
                         PACKAGE_DEPTH_MAX);
    return 0;
}

int manifest_link_check(const char *path, const char *target, struct error *err)
{
    int inside = 0;
    for (const char *p = path; *p; p++)
        inside += *p == '/';
    const char *at = target;
    while (strncmp(at, "../", 3) == 0 || strcmp(at, "..") == 0) {
        at += at[2] ? 3 : 2;
        inside--;
    }
    if (*target == '/')
        return error_set(err, -EINVAL,
                         "the symbolic link '%.200s' points to the absolute path '%.200s'", path,
                         target);
    if (inside < 0)
        return error_set(err, -EINVAL,
                         "the symbolic link '%.200s' points out of the package, to '%.200s'", path,
                         target);
    if (!*at) /* nothing but `..`: a folder of the package */
        return *target ? 0
                       : error_set(err, -EINVAL, "the symbolic link '%.200s' points nowhere", path);
    if (manifest_path_check(span_str(at), NULL) < 0)
        return error_set(
            err, -EINVAL,
            "the symbolic link '%.200s' points to '%.200s', which is not a plain path inside the "
            "package",
            path, target);
    return 0;
}

/* A file or one of the folders above it. */
struct manifest_place {
    char *folded; /* in lower case */
    const char *path;
    size_t n; /* bytes of `path` that count */
    bool file;
};

static int by_folded(const void *a, const void *b)
{
    return strcmp(((const struct manifest_place *)a)->folded,
                  ((const struct manifest_place *)b)->folded);
}

static int check_neighbours(const struct manifest_place *a, const struct manifest_place *b,
                            struct error *err)
{
    if (strcmp(a->folded, b->folded) != 0)
        return 0;
    if (a->n != b->n || memcmp(a->path, b->path, a->n) != 0)
        return error_set(err, -EINVAL, "'%.*s' and '%.*s' differ only in upper and lower case",
                         (int)a->n, a->path, (int)b->n, b->path);
    if (a->file && b->file)
        return error_set(err, -EINVAL, "'%.*s' is listed twice", (int)a->n, a->path);
    if (a->file || b->file)
        return error_set(err, -EINVAL, "'%.*s' is both a file and a folder", (int)a->n, a->path);
    return 0;
}

static void add_place(struct manifest_place **list, size_t *n, const char *path, size_t length,
                      bool file)
{
    char *folded = span_dup_str(span_of(path, length));
    for (char *p = folded; *p; p++)
        if (*p >= 'A' && *p <= 'Z') /* ASCII: what all file systems agree on */
            *p = (char)(*p - 'A' + 'a');
    if ((*n & (*n - 1)) == 0)
        *list = mem_realloc(*list, *n ? *n * 2 : 1, sizeof **list);
    (*list)[(*n)++] =
        (struct manifest_place){.folded = folded, .path = path, .n = length, .file = file};
}

/* Only folders that the file before it lacks: the list is sorted, so most repeat. */
static int check_places(const struct manifest *m, struct error *err)
{
    struct manifest_place *list = NULL;
    size_t n = 0;
    int rc = 0;
    for (size_t i = 0; i < m->n_files; i++) {
        const char *path = m->files[i].path, *before = i ? m->files[i - 1].path : "";
        size_t same = 0;
        while (path[same] && path[same] == before[same])
            same++;
        for (const char *slash = strchr(path + same, '/'); slash; slash = strchr(slash + 1, '/'))
            add_place(&list, &n, path, (size_t)(slash - path), false);
        add_place(&list, &n, path, strlen(path), true);
    }
    if (n)
        qsort(list, n, sizeof *list, by_folded);
    for (size_t i = 1; rc == 0 && i < n; i++)
        rc = check_neighbours(&list[i - 1], &list[i], err);
    for (size_t i = 0; i < n; i++)
        mem_free(&list[i].folded);
    mem_free(&list);
    return rc;
}

int manifest_check_files(const struct manifest *m, struct error *err)
{
    uint64_t most = (uint64_t)PACKAGE_SIZE_MAX_GIB << 30, all = 0;
    if (m->n_files > PACKAGE_FILES_MAX)
        return error_set(err, -EFBIG, "the package has %zu files; the limit is %d", m->n_files,
                         PACKAGE_FILES_MAX);
    for (size_t i = 0; i < m->n_files; i++) {
        const struct manifest_file *f = &m->files[i];
        int rc = manifest_path_check(span_str(f->path), err);
        if (rc == 0 && f->link)
            rc = manifest_link_check(f->path, f->link, err);
        if (rc < 0)
            return rc;
        if (i && strcmp(m->files[i - 1].path, f->path) > 0)
            return error_set(err, -EINVAL, "the list of files is not sorted at '%.200s'", f->path);
        if (f->size > most || (all += f->size) > most)
            return error_set(err, -EFBIG, "the files of the package take more than %d GiB",
                             PACKAGE_SIZE_MAX_GIB);
    }
    return check_places(m, err);
}
