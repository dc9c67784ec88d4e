/* older.c - see older.h. */
#include "worker/older.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "proto/messages.h"

static void set_time(int folder, const char *name, int64_t wall_ms)
{
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT},
                            {.tv_sec = wall_ms / 1000, .tv_nsec = (wall_ms % 1000) * 1000000}};
    utimensat(folder, name, t, AT_SYMLINK_NOFOLLOW);
}

/* Since when it has not been current; now, if it was current until now. */
static int64_t since_of(int folder, const char *name, int64_t now, bool read_only)
{
    struct stat st;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtim.tv_sec != 0)
        return (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    if (!read_only)
        set_time(folder, name, now);
    return now;
}

static void read_version(struct older *o, const char *folder, const char *name)
{
    struct d_job job;
    char *path = mem_printf("%s/%s", folder, name);
    if (file_read(path, LIMIT_JOB_BODY, &o->bytes, NULL) == 0 &&
        d_job_decode(buf_span(&o->bytes), &job, NULL) == 0)
        o->name = span_dup_str(job.name);
    else
        o->name = mem_strdup("");
    mem_free(&path);
}

static int newest_first(const void *a, const void *b)
{
    const struct older *x = a, *y = b;
    int by_name = strcmp(x->name, y->name);
    if (by_name)
        return by_name;
    if (x->since != y->since)
        return x->since > y->since ? -1 : 1;
    return memcmp(x->hash.b, y->hash.b, sizeof x->hash.b);
}

int older_read(const char *folder, bool read_only, int64_t now, older_is_current_fn *is_current,
               void *self, struct older **ret, size_t *ret_n, struct error *err)
{
    DIR *d = opendir(folder);
    struct older *v = NULL;
    size_t n = 0;
    *ret = NULL;
    *ret_n = 0;
    if (!d && errno == ENOENT && read_only)
        return 0;
    if (!d)
        return error_errno(err, errno, "cannot read the folder '%s'", folder);
    for (struct dirent *e; (e = readdir(d));) {
        struct hash hash;
        if (hex_parse(e->d_name, hash.b, sizeof hash.b) < 0)
            continue;
        if (is_current(self, &hash)) {
            if (!read_only)
                set_time(dirfd(d), e->d_name, 0);
            continue;
        }
        v = mem_realloc(v, n + 1, sizeof *v);
        v[n] = (struct older){.hash = hash, .since = since_of(dirfd(d), e->d_name, now, read_only)};
        read_version(&v[n++], folder, e->d_name);
    }
    closedir(d);
    if (n)
        qsort(v, n, sizeof *v, newest_first);
    for (size_t i = 0; i < n; i++)
        v[i].rank = i && strcmp(v[i].name, v[i - 1].name) == 0 ? v[i - 1].rank + 1 : 1;
    *ret = v;
    *ret_n = n;
    return 0;
}

void older_free(struct older **pv, size_t n)
{
    struct older *v = *pv;
    for (size_t i = 0; i < n; i++) {
        mem_free(&v[i].name);
        buf_free(&v[i].bytes);
    }
    mem_free(pv);
}
