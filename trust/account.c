/* account.c - see account.h. */
#include "trust/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

enum { SYSTEM_MAX = 999, NOBODY = 65534, LOGIN_DEFS_BYTES = 256 << 10 };

/* A whole number without a sign. */
static bool number_of(struct span text, unsigned *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || v > UINT32_MAX)
            return false;
        v = v * 10 + (text.p[i] - '0');
    }
    if (!text.n || v >= UINT32_MAX) /* (uid_t)-1 means "none" to the kernel */
        return false;
    *ret = (unsigned)v;
    return true;
}

uid_t account_system_max(const char *login_defs)
{
    static const char key[] = "SYS_UID_MAX";
    struct buf text = {0};
    unsigned max = SYSTEM_MAX;
    if (file_read(login_defs, LOGIN_DEFS_BYTES, &text, NULL) == 0) {
        const char *line = buf_str(&text);
        for (; line; line = strchr(line, '\n')) {
            line += strspn(line, "\n \t");
            if (strncmp(line, key, sizeof key - 1) != 0)
                continue;
            const char *at = line + sizeof key - 1 + strspn(line + sizeof key - 1, " \t");
            number_of(span_of(at, strcspn(at, " \t\r\n")), &max);
        }
    }
    buf_free(&text);
    return max;
}

static int find_user(const struct d_proxy *p, const char *file, struct account_user *ret,
                     bool *ret_gid, struct error *err)
{
    unsigned uid;
    const struct passwd *pw;
    char user[LIMIT_SHORT + 1];
    const bool number = number_of(p->user, &uid);
    span_copy_str(p->user, user, sizeof user);
    errno = 0;
    pw = number ? getpwuid(uid) : getpwnam(user);
    if (!pw && !number)
        return error_set(err, -ENOENT,
                         "proxy '" SPAN_FMT "' runs as user '%s', whom this server does not have "
                         "(%s:%llu)",
                         SPAN_ARG(p->name), user, file, (unsigned long long)p->user_line);
    *ret_gid = pw != NULL;
    ret->uid = pw ? pw->pw_uid : uid;
    ret->gid = pw ? pw->pw_gid : uid;
    snprintf(ret->name, sizeof ret->name, "%s", pw ? pw->pw_name : user);
    snprintf(ret->home, sizeof ret->home, "%s",
             pw && pw->pw_dir && pw->pw_dir[0] == '/' ? pw->pw_dir : "");
    return 0;
}

static int find_group(const struct d_proxy *p, const char *file, struct span text, gid_t *ret,
                      struct error *err)
{
    unsigned gid;
    char name[LIMIT_PATH + 1];
    if (number_of(text, &gid)) {
        *ret = gid;
        return 0;
    }
    span_copy_str(text, name, sizeof name);
    const struct group *gr = getgrnam(name);
    if (!gr)
        return error_set(err, -ENOENT,
                         "proxy '" SPAN_FMT "' has group '%.64s', which this server does not have "
                         "(%s)",
                         SPAN_ARG(p->name), name, file);
    *ret = gr->gr_gid;
    return 0;
}

static int find_groups(const struct d_proxy *p, const char *file, bool has_account,
                       struct account_user *ret, struct error *err)
{
    struct wire_iter it = wire_iter(&p->groups);
    struct span name;
    int rc = 0, n = LIMIT_GROUPS;
    ret->n_groups = 0;
    if (p->own_groups && has_account) {
        if (getgrouplist(ret->name, ret->gid, ret->groups, &n) < 0)
            return error_set(err, -E2BIG,
                             "user '%s' of proxy '" SPAN_FMT "' is in %d groups; the limit is %d: "
                             "list those that are needed (groups:, %s)",
                             ret->name, SPAN_ARG(p->name), n, (int)LIMIT_GROUPS, file);
        ret->n_groups = (size_t)n;
    }
    while (rc == 0 && !p->own_groups && wire_next(&it, &name))
        rc = find_group(p, file, name, &ret->groups[ret->n_groups++], err);
    return rc;
}

static bool is_own(const struct account_user *a, const struct account_own *own)
{
    for (unsigned i = 0; i < own->n; i++)
        if (own->uids[i] && own->uids[i] == a->uid)
            return true;
    return strcmp(a->name, ACCOUNT_WORKER) == 0 || strcmp(a->name, ACCOUNT_UNPACKER) == 0;
}

static int judge(const struct d_proxy *p, const char *file, const struct account_own *own,
                 const struct account_user *a, struct error *err)
{
    const char *what = NULL;
    if (p->system_user)
        return 0;
    if (a->uid == 0)
        what = "root";
    else if (is_own(a, own)) /* who is the worker could speak for the server */
        what = "one of Longboat's own";
    else if (a->uid <= account_system_max("/etc/login.defs") || a->uid == NOBODY)
        what = "a user of the system";
    if (!what)
        return 0;
    return error_set(err, -EPERM,
                     "proxy '" SPAN_FMT "' runs as user '%s' (%u), %s: choose another, or allow it "
                     "by name (allow_system_user: %s, %s:%llu)",
                     SPAN_ARG(p->name), a->name, (unsigned)a->uid, what, a->name, file,
                     (unsigned long long)p->user_line);
}

int account_resolve(const struct d_proxy *p, const char *file, const struct account_own *own,
                    struct account_user *ret, struct error *err)
{
    struct account_user a = {0};
    bool has_account = false;
    if (!p->user.n)
        return error_set(err, -EPERM,
                         "proxy '" SPAN_FMT "' names no user (%s); give it one (user:)",
                         SPAN_ARG(p->name), file);
    int rc = find_user(p, file, &a, &has_account, err);
    if (rc == 0 && p->group.n)
        rc = find_group(p, file, p->group, &a.gid, err);
    if (rc == 0)
        rc = judge(p, file, own, &a, err);
    if (rc == 0)
        rc = find_groups(p, file, has_account, &a, err);
    if (rc == 0)
        *ret = a;
    return rc;
}

int account_unswitched(const struct d_proxy *p, const char *file, uid_t self,
                       struct account_user *ret, struct error *err)
{
    const struct passwd *pw = getpwuid(self);
    struct account_user a = {.uid = self, .gid = pw ? pw->pw_gid : self};
    unsigned number;
    snprintf(a.name, sizeof a.name, "%u", (unsigned)a.uid);
    bool same = !p->user.n || (number_of(p->user, &number) && number == a.uid);
    if (pw) {
        snprintf(a.name, sizeof a.name, "%s", pw->pw_name);
        same = same || span_eq_str(p->user, pw->pw_name);
    }
    snprintf(a.home, sizeof a.home, "%s",
             pw && pw->pw_dir && pw->pw_dir[0] == '/' ? pw->pw_dir : "");
    if (!same)
        return error_set(
            err, -EPERM,
            "proxy '" SPAN_FMT "' runs as user '" SPAN_FMT "', but this server's runner "
            "is user '%s' and cannot switch (%s:%llu): start lbrunner as root",
            SPAN_ARG(p->name), SPAN_ARG(p->user), a.name, file, (unsigned long long)p->user_line);
    if (p->group.n || p->groups.count)
        return error_set(err, -EPERM,
                         "proxy '" SPAN_FMT "' sets groups (%s), which a runner that is not root "
                         "cannot do: start lbrunner as root",
                         SPAN_ARG(p->name), file);
    *ret = a;
    return 0;
}
