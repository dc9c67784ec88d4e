/* aside.c - see aside.h. */
#include "common/aside.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"

#define ASIDE_FOLDER "damaged"

static char *folder_of(const char *folder)
{
    return mem_printf("%s/" ASIDE_FOLDER, folder);
}

size_t aside_count(const char *folder)
{
    char *path = folder_of(folder);
    DIR *d = opendir(path);
    size_t n = 0;
    mem_free(&path);
    if (!d)
        return 0;
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

int aside_put(const char *folder, const char *name, int64_t offset, struct span bytes,
              bool *ret_new, struct error *err)
{
    char *in = folder_of(folder);
    char *path = mem_printf("%s/%s-%lld", in, name, (long long)offset);
    bool there = access(path, F_OK) == 0;
    int rc = file_make_dirs(in, 0700, err);
    if (rc == 0 && !there && aside_count(folder) >= ASIDE_FILES_MAX)
        rc = error_set(err, -EFBIG, "'%s' has %d files already: look at them and remove them", in,
                       (int)ASIDE_FILES_MAX);
    if (rc == 0 && !there)
        rc = file_write_atomic(path, bytes, 0600, err);
    if (ret_new)
        *ret_new = !there;
    mem_free(&path);
    mem_free(&in);
    return rc;
}
