/* fence.c - see fence.h. */
#include "worker/fence.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"

/* The format of the file. */
struct fence_content {
    int64_t renewed;
    struct id boot;
};

struct fence {
    struct fence_content *at;
};

int fence_open(struct fence **ret, const char *path, const struct id *boot, struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_errno(err, errno, "cannot open the fence '%s'", path);
    void *p = MAP_FAILED;
    if (fstat(fd, &st) == 0 && (st.st_size == sizeof(struct fence_content) ||
                                ftruncate(fd, sizeof(struct fence_content)) == 0))
        p = mmap(NULL, sizeof(struct fence_content), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int why = errno;
    close(fd);
    if (p == MAP_FAILED)
        return error_errno(err, why, "cannot map the fence '%s'", path);
    *ret = mem_zalloc(1, sizeof **ret);
    (*ret)->at = p;
    if (!id_eq((*ret)->at->boot, *boot)) {
        /* the number first: no reader may see the old number with the new boot id */
        fence_set(*ret, 0);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        (*ret)->at->boot = *boot;
    }
    return 0;
}

void fence_close(struct fence **f)
{
    if (!*f)
        return;
    munmap((*f)->at, sizeof(struct fence_content));
    mem_free(f);
}

void fence_set(struct fence *f, int64_t renewed)
{
    __atomic_store_n(&f->at->renewed, renewed, __ATOMIC_RELEASE);
}
