/* emptied.c - see emptied.h. */
#include "runner/emptied.h"

/* Mode and owner belong to it: who changes them sets the change time as well, and then there is
 * more to mend than what is in the folder. */
static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_mode == b->st_mode &&
           a->st_uid == b->st_uid && a->st_gid == b->st_gid && a->st_nlink == b->st_nlink &&
           a->st_size == b->st_size && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

void emptied_seen(struct emptied *e, const struct stat *st, int64_t now)
{
    if (!e->since || !is_same(&e->st, st))
        *e = (struct emptied){.st = *st, .since = now};
    else if (now - e->since >= EMPTIED_SETTLES_MS && st->st_ctim.tv_nsec)
        e->settled = true;
}

bool emptied_still(const struct emptied *e, const struct stat *st)
{
    return e->settled && is_same(&e->st, st);
}
