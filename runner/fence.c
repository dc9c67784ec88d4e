/* fence.c - see fence.h. */
#include "runner/fence.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "proto/outcome.h"

int64_t fence_read(const char *path)
{
    struct {
        int64_t renewed;
        struct id boot;
    } at;
    struct id boot;
    int64_t renewed = 0;
    struct stat st;
    /* the worker's: it may have become a FIFO, a link or shorter, and is therefore not mapped */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && clock_boot_id(&boot, NULL) == 0 &&
        pread(fd, &at, sizeof at, 0) == (ssize_t)sizeof at && id_eq(at.boot, boot))
        renewed = at.renewed;
    close(fd);
    return renewed;
}

void fence_of(const struct s_launch *l, int64_t renewed, int64_t *ret_term, int64_t *ret_kill)
{
    *ret_term = *ret_kill = INT64_MAX;
    if (l->on_lost != ON_LOST_RERUN || renewed <= 0)
        return;
    int64_t own = l->lost_after_ms < INT64_MAX / 2 ? (int64_t)l->lost_after_ms : INT64_MAX / 2;
    *ret_kill = renewed + own;
    *ret_term = *ret_kill - (own / 2 < FENCE_MARGIN_MS ? own / 2 : FENCE_MARGIN_MS);
}

bool fence_permits(const struct s_launch *l, int64_t renewed, int64_t now)
{
    int64_t term, end;
    fence_of(l, renewed, &term, &end);
    return l->on_lost != ON_LOST_RERUN || (renewed > 0 && now < term);
}
