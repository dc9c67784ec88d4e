/* heldfile.c - see heldfile.h. */
#include "runner/heldfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/mem.h"
#include "runner/keeper.h"

static const char form[8] = "LBHELD1"; /* another one when struct held means something else */

struct entry {
    uint32_t used; /* set last and taken away first, so that a used one is whole */
    struct held held;
};

struct content {
    char form[sizeof form];
    uint64_t size; /* of an entry */
    struct entry entries[KEEPER_WAITING + 1];
};

struct heldfile {
    struct content *at;
};

static void set_used(struct entry *e, uint32_t used)
{
    __atomic_store_n(&e->used, used, __ATOMIC_SEQ_CST);
}

int heldfile_open(const char *path, struct heldfile **ret, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, errno, "cannot open '%s'", path);
    void *p = MAP_FAILED;
    /* a mapped page without room would end us */
    int why = posix_fallocate(fd, 0, sizeof(struct content));
    if (why == 0) {
        p = mmap(NULL, sizeof(struct content), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        why = errno;
    }
    close(fd);
    if (p == MAP_FAILED)
        return error_errno(err, why, "cannot map '%s'", path);
    struct heldfile *f = mem_zalloc(1, sizeof *f);
    f->at = p;
    if (memcmp(f->at->form, form, sizeof form) != 0 || f->at->size != sizeof(struct entry)) {
        heldfile_clear(f);
        memcpy(f->at->form, form, sizeof form);
        f->at->size = sizeof(struct entry);
    }
    *ret = f;
    return 0;
}

void heldfile_close(struct heldfile **f)
{
    if (!*f)
        return;
    munmap((*f)->at, sizeof(struct content));
    mem_free(f);
}

static struct entry *find(struct heldfile *f, const struct held *h)
{
    for (unsigned i = 0; i <= KEEPER_WAITING; i++) {
        struct entry *e = &f->at->entries[i];
        if (e->used && id_eq(e->held.run, h->run) && e->held.attempt == h->attempt &&
            e->held.try_no == h->try_no && strncmp(e->held.step, h->step, sizeof h->step) == 0)
            return e;
    }
    return NULL;
}

void heldfile_put(struct heldfile *f, const struct held *h)
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

void heldfile_drop(struct heldfile *f, const struct held *h)
{
    struct entry *e = f ? find(f, h) : NULL;
    if (e)
        set_used(e, 0);
}

void heldfile_clear(struct heldfile *f)
{
    for (unsigned i = 0; f && i <= KEEPER_WAITING; i++)
        set_used(&f->at->entries[i], 0);
}

bool heldfile_next(const struct heldfile *f, unsigned *at, struct held *ret)
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
