/* shipped.c - see shipped.h. */
#include "runner/shipped.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "proto/limits.h"

/* "keeper-3.log" is generation 0, "keeper-3.2.log" generation 2; *ret_n: the length of the stem. */
static bool parse(const char *name, size_t *ret_n, unsigned long *ret_generation)
{
    static const char digits[] = "0123456789";
    size_t n = strncmp(name, "keeper-", 7) == 0  ? 7 + strspn(name + 7, digits)
               : strncmp(name, "runner", 6) == 0 ? 6
                                                 : 0;
    char *end;
    if (!n || name[n - 1] == '-' || name[n] != '.')
        return false;
    *ret_n = n;
    *ret_generation = 0;
    if (strcmp(name + n, ".log") == 0)
        return true;
    if (!strspn(name + n + 1, digits))
        return false;
    *ret_generation = strtoul(name + n + 1, &end, 10);
    return strcmp(end, ".log") == 0;
}

static bool has_later(const char *folder, const char *stem, size_t n, unsigned long generation)
{
    DIR *d = opendir(folder);
    bool found = false;
    size_t other;
    unsigned long g;
    if (!d)
        return false;
    for (const struct dirent *e; !found && (e = readdir(d));)
        found = parse(e->d_name, &other, &g) && other == n && strncmp(e->d_name, stem, n) == 0 &&
                g > generation;
    closedir(d);
    return found;
}

int shipped_remove(const char *folder, struct span text, struct error *err)
{
    char name[LIMIT_NAME + 1];
    size_t n;
    unsigned long generation;
    if (!span_copy_str(text, name, sizeof name) || !parse(name, &n, &generation))
        return error_set(err, -EINVAL, "'" SPAN_FMT "' is no file of the spool", SPAN_ARG(text));
    if (!has_later(folder, name, n, generation))
        return error_set(err, -EINVAL, "'%s' is the newest of its kind and stays", name);
    char *path = mem_printf("%s/%s", folder, name);
    int rc = unlink(path) == 0 || errno == ENOENT
                 ? 0
                 : error_errno(err, errno, "cannot remove '%s'", path);
    mem_free(&path);
    return rc;
}
