/* slotfile.c - see slotfile.h. */
#include "runner/slotfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/mem.h"
#include "runner/keeper.h"

static const char form[8] = "LBHELD1"; /* another one when struct slot_step changes */

struct entry {
    uint32_t used; /* set last and cleared first, so that a used entry is whole */
    struct slot_step held;
};

struct slotfile_content {
    char form[sizeof form];
    uint64_t size; /* of an entry */
    struct entry entries[KEEPER_WAITING + 1];
};

struct slotfile {
    struct slotfile_content *at;
};

static void set_used(struct entry *e, uint32_t used)
{
    __atomic_store_n(&e->used, used, __ATOMIC_SEQ_CST);
}

int slotfile_open(const char *path, struct slotfile **ret, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, errno, "cannot open '%s'", path);
    void *p = MAP_FAILED;
    /* writing to a mapped page without disk space would kill us */
    int why = posix_fallocate(fd, 0, sizeof(struct slotfile_content));
    if (why == 0) {
        p = mmap(NULL, sizeof(struct slotfile_content), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        why = errno;
    }
    close(fd);
    if (p == MAP_FAILED)
        return error_errno(err, why, "cannot map '%s'", path);
    struct slotfile *f = mem_zalloc(1, sizeof *f);
    f->at = p;
    if (memcmp(f->at->form, form, sizeof form) != 0 || f->at->size != sizeof(struct entry)) {
        slotfile_clear(f);
        memcpy(f->at->form, form, sizeof form);
        f->at->size = sizeof(struct entry);
    }
    *ret = f;
    return 0;
}

void slotfile_close(struct slotfile **f)
{
    if (!*f)
        return;
    munmap((*f)->at, sizeof(struct slotfile_content));
    mem_free(f);
}

static struct entry *find(struct slotfile *f, const struct slot_step *h)
{
    for (unsigned i = 0; i <= KEEPER_WAITING; i++) {
        struct entry *e = &f->at->entries[i];
        if (e->used && id_eq(e->held.run, h->run) && e->held.attempt == h->attempt &&
            e->held.try_no == h->try_no && strncmp(e->held.step, h->step, sizeof h->step) == 0)
            return e;
    }
    return NULL;
}

void slotfile_put(struct slotfile *f, const struct slot_step *h)
{
    if (!f || find(f, h))
        return;
    for (unsigned i = 0; i <= KEEPER_WAITING; i++) {
        struct entry *e = &f->at->entries[i];
        if (e->used)
            continue;
        e->held = *h;
        set_used(e, 1);
        return;
    }
}

void slotfile_drop(struct slotfile *f, const struct slot_step *h)
{
    struct entry *e = f ? find(f, h) : NULL;
    if (e)
        set_used(e, 0);
}

void slotfile_clear(struct slotfile *f)
{
    for (unsigned i = 0; f && i <= KEEPER_WAITING; i++)
        set_used(&f->at->entries[i], 0);
}

bool slotfile_next(const struct slotfile *f, unsigned *at, struct slot_step *ret)
{
    while (f && *at <= KEEPER_WAITING) {
        const struct entry *e = &f->at->entries[(*at)++];
        if (!e->used)
            continue;
        *ret = e->held;
        ret->step[sizeof ret->step - 1] = '\0';
        ret->runs = ret->wanted_back = ret->told = false;
        return true;
    }
    return false;
}
