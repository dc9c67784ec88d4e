/* confine.c - see confine.h. glibc has no functions for Landlock, so its three system calls are
 * made by number. */
#include "runner/unpack/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define CONFINE_MEMORY RLIM_INFINITY /* its shadow memory is terabytes of address space */
/* The leak check at the end of a process needs a second one, which a confined process may not
 * start. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
#elif defined(__SANITIZE_THREAD__)
#define CONFINE_MEMORY RLIM_INFINITY
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define CONFINE_MEMORY RLIM_INFINITY
#endif
#endif
#ifndef CONFINE_MEMORY
#define CONFINE_MEMORY ((rlim_t)1 << 30) /* zstd's window is at most 128 MiB, a manifest 256 KiB */
#endif

enum { FILE_MAX_GIB = 9, CPU_SECONDS = 1800, DESCRIPTORS = 64 };

static int limit(int what, rlim_t most, struct error *err)
{
    struct rlimit r;
    if (getrlimit(what, &r) < 0)
        return error_errno(err, errno, "cannot read a resource limit");
    if (r.rlim_max == RLIM_INFINITY || r.rlim_max > most)
        r.rlim_max = most;
    r.rlim_cur = r.rlim_max;
    return setrlimit(what, &r) == 0 ? 0 : error_errno(err, errno, "cannot set a resource limit");
}

static int limits(struct error *err)
{
    int rc = limit(RLIMIT_CORE, 0, err);
    if (rc == 0)
        rc = limit(RLIMIT_AS, CONFINE_MEMORY, err);
    if (rc == 0)
        rc = limit(RLIMIT_FSIZE, (rlim_t)FILE_MAX_GIB << 30, err);
    if (rc == 0)
        rc = limit(RLIMIT_CPU, CPU_SECONDS, err);
    if (rc == 0)
        rc = limit(RLIMIT_NOFILE, DESCRIPTORS, err);
    return rc;
}

static int allow_path(int ruleset, const char *path, uint64_t access, struct error *err)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access,
                                              .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    if (rule.parent_fd < 0)
        return 0; /* the code that needs it reports that it is missing */
    int rc = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    if (rc < 0)
        rc = error_errno(err, errno, "cannot confine this process to '%s'", path);
    close(rule.parent_fd);
    return rc;
}

static int landlock(const char *const files[], const char *folder, struct error *err)
{
    const uint64_t write = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
                           LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                           LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                           LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM;
    const uint64_t all = write | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                         LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                         LANDLOCK_ACCESS_FS_MAKE_BLOCK;
    if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 1)
        return 0; /* a kernel without it: the other limits stand */
    struct landlock_ruleset_attr attr = {.handled_access_fs = all};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0), rc = 0;
    if (ruleset < 0)
        return error_errno(err, errno, "cannot confine this process");
    for (size_t i = 0; rc == 0 && files[i]; i++)
        rc = allow_path(ruleset, files[i], LANDLOCK_ACCESS_FS_READ_FILE, err);
    if (rc == 0 && folder)
        rc = allow_path(ruleset, folder, write, err);
    if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        rc = error_errno(err, errno, "cannot confine this process");
    close(ruleset);
    return rc;
}

static int deny_calls(struct error *err)
{
    static const int denied[] = {
        SCMP_SYS(socket),
        SCMP_SYS(socketpair),
        SCMP_SYS(connect),
        SCMP_SYS(bind),
        SCMP_SYS(listen),
        SCMP_SYS(accept),
        SCMP_SYS(accept4),
        SCMP_SYS(sendto),
        SCMP_SYS(sendmsg),
        SCMP_SYS(execve),
        SCMP_SYS(execveat),
        SCMP_SYS(fork),
        SCMP_SYS(vfork),
        SCMP_SYS(clone),
        SCMP_SYS(clone3),
        SCMP_SYS(kill),
        SCMP_SYS(ptrace),
        SCMP_SYS(process_vm_readv),
        SCMP_SYS(process_vm_writev),
        SCMP_SYS(pidfd_getfd),
        SCMP_SYS(mount),
        SCMP_SYS(umount2),
        SCMP_SYS(move_mount),
        SCMP_SYS(fsopen),
        SCMP_SYS(open_tree),
        SCMP_SYS(pivot_root),
        SCMP_SYS(chroot),
        SCMP_SYS(setns),
        SCMP_SYS(unshare),
        SCMP_SYS(bpf),
        SCMP_SYS(perf_event_open),
        SCMP_SYS(userfaultfd),
        SCMP_SYS(io_uring_setup),
        SCMP_SYS(add_key),
        SCMP_SYS(keyctl),
        SCMP_SYS(request_key),
        SCMP_SYS(init_module),
        SCMP_SYS(finit_module),
        SCMP_SYS(delete_module),
        SCMP_SYS(kexec_load),
        SCMP_SYS(reboot),
        SCMP_SYS(swapon),
        SCMP_SYS(swapoff),
        SCMP_SYS(settimeofday),
        SCMP_SYS(clock_settime),
        SCMP_SYS(open_by_handle_at),
        SCMP_SYS(mknod),
        SCMP_SYS(mknodat),
        SCMP_SYS(link),
        SCMP_SYS(linkat),
        SCMP_SYS(chown),
        SCMP_SYS(fchown),
        SCMP_SYS(lchown),
        SCMP_SYS(fchownat),
        SCMP_SYS(setxattr),
        SCMP_SYS(lsetxattr),
        SCMP_SYS(fsetxattr),
        SCMP_SYS(setuid),
        SCMP_SYS(setgid),
        SCMP_SYS(setresuid),
        SCMP_SYS(setresgid),
        SCMP_SYS(capset),
        SCMP_SYS(ioctl),
    };
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int rc = filter ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < sizeof denied / sizeof *denied; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), denied[i], 0);
    if (rc == 0)
        rc = seccomp_load(filter); /* sets no_new_privs, too */
    if (filter)
        seccomp_release(filter);
    return rc == 0 ? 0 : error_errno(err, -rc, "cannot confine this process's system calls");
}

int confine(const char *const files[], const char *folder, struct error *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return error_errno(err, errno, "cannot confine this process");
    if (close_range(3, ~0U, 0) < 0 && errno != ENOSYS)
        return error_errno(err, errno, "cannot close inherited descriptors");
    int rc = limits(err);
    if (rc == 0)
        rc = landlock(files, folder, err);
    return rc == 0 ? deny_calls(err) : rc;
}
