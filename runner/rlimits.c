/* rlimits.c - see rlimits.h. */
#include "runner/rlimits.h"

#include <errno.h>
#include <sys/resource.h>

#include "runner/inchild.h"

enum { DESCRIPTORS = 1024 /* what programs that use select() can handle */ };

struct rlimits rlimits_of(const struct d_context *c, bool own_user, bool grouped)
{
    return (struct rlimits){.files = c->files,
                            .file_size = c->file_size,
                            .processes = own_user && !grouped ? c->processes : 0};
}

/* Soft and hard: a child cannot take it back. */
IN_CHILD static int lower(int what, uint64_t most)
{
    struct rlimit r;
    if (getrlimit(what, &r) < 0)
        return -1;
    if (r.rlim_max == RLIM_INFINITY || r.rlim_max > most)
        r.rlim_max = most;
    r.rlim_cur = r.rlim_max;
    return setrlimit(what, &r);
}

/* Of itself a child may open as many as the system allows, if it asks for them. */
IN_CHILD static int usual_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0)
        return -1;
    if (r.rlim_max > DESCRIPTORS)
        r.rlim_cur = DESCRIPTORS;
    return setrlimit(RLIMIT_NOFILE, &r);
}

IN_CHILD int rlimits_set(const struct rlimits *l)
{
    const struct rlimit none = {0, 0}, any = {RLIM_INFINITY, RLIM_INFINITY};
    if (setrlimit(RLIMIT_CORE, &none) < 0)
        return -1;
    if ((l->files ? lower(RLIMIT_NOFILE, l->files) : usual_files()) < 0)
        return -1;
    /* a lower limit that was set for us stays */
    if (setrlimit(RLIMIT_FSIZE, &any) < 0 && errno != EPERM)
        return -1;
    if (l->file_size && lower(RLIMIT_FSIZE, l->file_size) < 0)
        return -1;
    return l->processes ? lower(RLIMIT_NPROC, l->processes) : 0;
}
