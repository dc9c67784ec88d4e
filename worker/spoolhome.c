/* spoolhome.c - whether the spool lies where it was last written: see life.h. */
#include <errno.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/mem.h"
#include "worker/spoolinside.h"

static int place_of_id(const struct spool *s, struct stat *ret, struct error *err)
{
    char *path = mem_printf("%s/id", s->folder);
    int rc = stat(path, ret) < 0 ? error_errno(err, errno, "cannot examine '%s'", path) : 0;
    mem_free(&path);
    return rc;
}

/* A device may have another number after a boot. */
static bool is_copy(const struct spool *s, const struct stat *st)
{
    const struct spool_life *l = &s->life;
    return l->inode && (l->inode != (uint64_t)st->st_ino ||
                        (!s->rebooted && l->device != (uint64_t)st->st_dev));
}

/* The spool tells what another worker took, and that one may live: nothing of it is gone on with,
 * and with another id nothing that we say of it counts. */
static int begin_anew(struct spool *s, struct error *err)
{
    int rc = spoolgap_note(s, "this home is a copy of another, or was moved to another file system",
                           err);
    return rc < 0 ? rc : spool_make_id(s, err);
}

int spoolhome_take(struct spool *s, bool first, struct error *err)
{
    struct stat st;
    int rc = place_of_id(s, &st, err);
    const bool copied = rc == 0 && !first && is_copy(s, &st);
    if (copied && (rc = begin_anew(s, err)) == 0)
        rc = place_of_id(s, &st, err);
    if (rc == 0 && (copied || s->rebooted || id_is_zero(s->life.nonce)))
        rc = spool_fresh_id(&s->life.nonce, err);
    s->life.device = (uint64_t)st.st_dev;
    s->life.inode = (uint64_t)st.st_ino;
    return rc;
}
