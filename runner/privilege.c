/* privilege.c - see privilege.h. libcap is not linked: two system calls are all that is needed. */
#include "runner/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner/inchild.h"

enum { CAPABILITIES = 64 /* more than any kernel has */ };

#define X(name, why) (uint64_t)1 << CAP_##name |
static const uint64_t sets[] = {[PRIVILEGE_RUNNER] = PRIVILEGES_OF_RUNNER(X) 0,
                                [PRIVILEGE_KEEPER] = PRIVILEGES_OF_KEEPERS(X) 0,
                                [PRIVILEGE_GUARD] = (uint64_t)1 << CAP_KILL};
#undef X

/* Without SYS_RESOURCE, as in some containers, all else works. */
static const struct {
    int number;
    const char *name;
} needed[] = {
#define X(name, why) {CAP_##name, "CAP_" #name},
    PRIVILEGES_OF_KEEPERS(X)
#undef X
};

IN_CHILD static int get_capabilities(struct __user_cap_data_struct data[2])
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    return (int)syscall(SYS_capget, &head, data);
}

IN_CHILD static int set_capabilities(uint64_t set)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    const uint32_t low = (uint32_t)set, high = (uint32_t)(set >> 32);
    const struct __user_cap_data_struct data[2] = {{.effective = low, .permitted = low},
                                                   {.effective = high, .permitted = high}};
    return (int)syscall(SYS_capset, &head, data);
}

/* A capability that has left the bounding set never comes back, whatever is executed. */
IN_CHILD static int bound_capabilities(uint64_t set)
{
    for (int i = 0; i < CAPABILITIES; i++) {
        int held = prctl(PR_CAPBSET_READ, i, 0, 0, 0);
        if (held < 0)
            return 0; /* the kernel has no more */
        if (held && !(set >> i & 1) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
            return -1;
    }
    return 0;
}

int privilege_keep(enum privilege_of who, struct error *err)
{
    struct __user_cap_data_struct have[2];
    if (get_capabilities(have) < 0)
        return error_errno(err, errno, "cannot read our capabilities");
    const uint64_t permitted = (uint64_t)have[1].permitted << 32 | have[0].permitted;
    const uint64_t set = sets[who] & permitted;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if ((sets[who] & ~permitted) >> needed[i].number & 1)
            return error_set(err, -EPERM,
                             "%s is missing: start lbrunner as root with the capabilities that "
                             "deploy/systemd/lbrunner.service names",
                             needed[i].name);
    /* a guard gives up what its runner has left it: it may change neither groups nor bounds */
    if (who == PRIVILEGE_RUNNER && setgroups(0, NULL) < 0)
        return error_errno(err, errno, "cannot give up supplementary groups");
    if (permitted >> CAP_SETPCAP & 1 && bound_capabilities(set) < 0)
        return error_errno(err, errno, "cannot bound our capabilities");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || set_capabilities(set) < 0)
        return error_errno(err, errno, "cannot give up capabilities");
    return 0;
}

IN_CHILD int privilege_files_as(const struct privilege_user *u, struct error *err)
{
    const uid_t uid = u ? u->uid : geteuid();
    const gid_t gid = u ? u->gid : getegid();
    /* these report no error but say what was: asked for nobody, they change nothing */
    setfsgid(gid);
    setfsuid(uid);
    if ((uid_t)setfsuid((uid_t)-1) == uid && (gid_t)setfsgid((gid_t)-1) == gid)
        return 0;
    setfsuid(geteuid());
    setfsgid(getegid());
    return error_set(err, -EPERM, "cannot use files as user %u", (unsigned)uid);
}

/* ---- In a child */

IN_CHILD static bool is_user(const struct privilege_user *u)
{
    uid_t r, e, s;
    gid_t have[LIMIT_GROUPS + 1];
    if (syscall(SYS_getresuid, &r, &e, &s) < 0 || r != u->uid || e != u->uid || s != u->uid ||
        syscall(SYS_getresgid, &r, &e, &s) < 0 || r != u->gid || e != u->gid || s != u->gid)
        return false;
    long n = syscall(SYS_getgroups, LIMIT_GROUPS + 1, have);
    if (n < 0 || (unsigned)n != u->n_groups)
        return false;
    for (long i = 0; i < n; i++) { /* the kernel has sorted them */
        bool found = false;
        for (unsigned j = 0; j < u->n_groups; j++)
            found |= have[i] == u->groups[j];
        if (!found)
            return false;
    }
    return true;
}

IN_CHILD int privilege_become(const struct privilege_user *u)
{
    const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |
                               SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED | SECBIT_KEEP_CAPS_LOCKED;
    struct __user_cap_data_struct left[2];
    if (prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) < 0 || bound_capabilities(0) < 0 ||
        syscall(SYS_setgroups, (size_t)u->n_groups, u->groups) < 0 ||
        syscall(SYS_setresgid, u->gid, u->gid, u->gid) < 0 ||
        syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || set_capabilities(0) < 0 ||
        get_capabilities(left) < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        if (left[i].effective || left[i].permitted || left[i].inheritable) {
            errno = EPERM;
            return -1;
        }
    if (is_user(u))
        return 0;
    errno = EPERM;
    return -1;
}

/* ---- Accounts */

int privilege_find_user(const char *name, struct privilege_user *ret, struct error *err)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    bool is_number = name[0] >= '0' && name[0] <= '9' && !*end && number < (uid_t)-1;
    const struct passwd *pw = is_number ? getpwuid((uid_t)number) : getpwnam(name);
    if (!pw && !is_number)
        return error_set(err, -EINVAL, "there is no user '%s' on this machine", name);
    *ret = (struct privilege_user){.uid = pw ? pw->pw_uid : (uid_t)number,
                                   .gid = pw ? pw->pw_gid : (gid_t)number};
    return 0;
}

int privilege_find_group(const char *name, gid_t *ret, struct error *err)
{
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    bool is_number = name[0] >= '0' && name[0] <= '9' && !*end && number < (gid_t)-1;
    const struct group *gr = is_number ? NULL : getgrnam(name);
    if (!gr && !is_number)
        return error_set(err, -EINVAL, "there is no group '%s' on this machine", name);
    *ret = gr ? gr->gr_gid : (gid_t)number;
    return 0;
}
