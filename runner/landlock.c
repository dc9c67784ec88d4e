/* landlock.c - see landlock.h. The numbers are the kernel's; the headers of today's distributions
 * lack the later ones. */
#include "runner/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner/inchild.h"

#define RIGHT(bit) ((uint64_t)1 << (bit))
enum {
    RIGHTS = 13, /* of the first version: bits 0 to 12 */
    AT_REFER = 13,
    AT_TRUNCATE = 14,
    AT_IOCTL_DEVICE = 15,
    SCOPE_SIGNAL = 1 << 1
};
/* The first version of the interface that has it. */
enum { SINCE_REFER = 2, SINCE_TRUNCATE = 3, SINCE_IOCTL_DEVICE = 5, SINCE_SCOPE = 6 };

struct landlock_attributes {
    uint64_t files, ports, scopes;
};

static long kernel_create(const void *attributes, size_t size, uint32_t flags)
{
    return syscall(SYS_landlock_create_ruleset, attributes, size, flags);
}

static long kernel_add(int ruleset, int type, const void *rule, uint32_t flags)
{
    return syscall(SYS_landlock_add_rule, ruleset, type, rule, flags);
}

const struct landlock_calls landlock_kernel = {kernel_create, kernel_add};

int landlock_version(const struct landlock_calls *k)
{
    long v = k->create(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    return v < 0 ? 0 : (int)v;
}

static uint64_t rights_of(int version)
{
    return (RIGHT(RIGHTS) - 1) | (version >= SINCE_REFER ? RIGHT(AT_REFER) : 0) |
           (version >= SINCE_TRUNCATE ? RIGHT(AT_TRUNCATE) : 0) |
           (version >= SINCE_IOCTL_DEVICE ? RIGHT(AT_IOCTL_DEVICE) : 0);
}

int landlock_begin(const struct landlock_calls *k, struct landlock_list *ret, struct error *err)
{
    const int version = landlock_version(k);
    const struct landlock_attributes a = {.files = rights_of(version),
                                          /* it signals nothing but what is on the same list */
                                          .scopes = version >= SINCE_SCOPE ? SCOPE_SIGNAL : 0};
    const size_t size = version >= SINCE_SCOPE ? sizeof a : sizeof a.files;
    *ret = (struct landlock_list){.kernel = k, .version = version, .fd = -1};
    if (version < 1)
        return error_set(err, -ENOTSUP, "this kernel has no Landlock, or does not use it");
    long fd = k->create(&a, size, 0);
    if (fd < 0)
        return error_errno(err, errno, "cannot make a list of files");
    ret->fd = (int)fd;
    return 0;
}

static uint64_t rights_for(enum landlock_access access, bool folder, int version)
{
    const uint64_t read =
        LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    const uint64_t of_files = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |
                              LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT(AT_TRUNCATE) |
                              RIGHT(AT_IOCTL_DEVICE);
    const uint64_t device = of_files & ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
    uint64_t rights =
        access == LANDLOCK_READ ? read
        : access == LANDLOCK_WRITE
            ? rights_of(version) & ~(RIGHT(AT_IOCTL_DEVICE) | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                     LANDLOCK_ACCESS_FS_MAKE_BLOCK)
            : device;
    return rights & rights_of(version) & (folder ? ~(uint64_t)0 : of_files);
}

int landlock_allow(const struct landlock_list *l, const char *path, enum landlock_access access,
                   struct error *err)
{
    struct stat st;
    struct landlock_path_beneath_attr rule = {.parent_fd = open(path, O_PATH | O_CLOEXEC)};
    int rc = 0;
    if (rule.parent_fd < 0)
        return 0;
    if (fstat(rule.parent_fd, &st) == 0)
        rule.allowed_access = rights_for(access, S_ISDIR(st.st_mode), l->version);
    if (!rule.allowed_access || l->kernel->add(l->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        rc = error_errno(err, errno, "cannot put '%s' on the list of files", path);
    close(rule.parent_fd);
    return rc;
}

IN_CHILD int landlock_enter(int fd)
{
    return (int)syscall(SYS_landlock_restrict_self, fd, 0);
}
