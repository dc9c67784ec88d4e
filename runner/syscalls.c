/* syscalls.c - see syscalls.h. */
#include "runner/syscalls.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/mem.h"
#include "runner/inchild.h"

static const int refused[] = {
    /* other processes: their memory, descriptors, registers */
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    /* other namespaces and mounts */
    SCMP_SYS(setns),
    SCMP_SYS(chroot),
    SCMP_SYS(pivot_root),
    SCMP_SYS(mount),
    SCMP_SYS(umount),
    SCMP_SYS(umount2),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(open_by_handle_at),
    /* keys that outlive the step */
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    /* large parts of the kernel with a history */
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(fanotify_init),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(vm86),
    SCMP_SYS(vm86old),
    /* the machine */
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    SCMP_SYS(quotactl_fd),
    SCMP_SYS(nfsservctl),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_settime64),
    SCMP_SYS(stime),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(syslog),
    SCMP_SYS(vhangup),
};

static int add_rules(scmp_filter_ctx f)
{
    const struct scmp_arg_cmp user_namespace =
        SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER);
    /* puts characters into a terminal, as if they had been typed there */
    const struct scmp_arg_cmp types = SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, TIOCSTI);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof refused / sizeof *refused; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(unshare), 1, user_namespace);
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, user_namespace);
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (rc == 0)
        rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1, types);
    return rc;
}

/* Programs of the 32-bit kind run, too, under the same list. */
static int add_architectures(scmp_filter_ctx f)
{
    int rc = 0;
    if (seccomp_arch_native() == SCMP_ARCH_X86_64)
        rc = seccomp_arch_add(f, SCMP_ARCH_X86);
    else if (seccomp_arch_native() == SCMP_ARCH_AARCH64)
        rc = seccomp_arch_add(f, SCMP_ARCH_ARM);
    if (rc == 0)
        rc = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    /* a tree, not a list: each call of the child passes through it */
    return rc == 0 ? seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2) : rc;
}

/* libseccomp gives the program only to a file. */
static int take_program(scmp_filter_ctx f, struct sock_fprog *ret)
{
    struct stat st;
    int fd = memfd_create("syscalls", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = seccomp_export_bpf(f, fd);
    if (rc == 0 && fstat(fd, &st) < 0)
        rc = -errno;
    if (rc == 0) {
        const size_t n = (size_t)st.st_size / sizeof *ret->filter;
        ret->filter = mem_zalloc(n, sizeof *ret->filter);
        ret->len = (unsigned short)n;
        if (n > BPF_MAXINSNS || pread(fd, ret->filter, (size_t)st.st_size, 0) != st.st_size)
            rc = -EIO;
    }
    close(fd);
    return rc;
}

int syscalls_compile(struct sock_fprog *ret, struct error *err)
{
    const uint32_t action = SECCOMP_RET_ERRNO;
    *ret = (struct sock_fprog){.len = 0};
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
        return error_set(err, -ENOTSUP, "this kernel cannot refuse system calls");
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    int rc = f ? add_architectures(f) : -ENOMEM;
    if (rc == 0)
        rc = add_rules(f);
    if (rc == 0)
        rc = take_program(f, ret);
    if (f)
        seccomp_release(f);
    if (rc == 0)
        return 0;
    syscalls_free(ret);
    return error_errno(err, -rc, "cannot compile the list of refused system calls");
}

void syscalls_free(struct sock_fprog *f)
{
    mem_free(&f->filter);
    f->len = 0;
}

/* Programs that never see secrets of others need no slower processor for it: SPEC_ALLOW. */
IN_CHILD int syscalls_refuse(const struct sock_fprog *f)
{
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, f);
}
