/* runnerpaths.c - see runnerpaths.h. */
#include "runner/runnerpaths.h"

#include <errno.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/paths.h"
#include "runner/separate.h"
#include "trust/envelope.h"
#include "trust/proxy.h"

static bool is_tmpfs(const char *path)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

static int cannot_make_memory(const struct runner_paths *h, int why, struct error *err)
{
    const char *slash = strrchr(h->memory, '/');
    const int above = slash ? (int)(slash - h->memory) : 0;
    const bool apart = above != (int)strlen(h->run) || strncmp(h->memory, h->run, above) != 0;
    return error_set(err, -why,
                     "cannot make '%s', where parameters and results are kept: %s; let this user "
                     "write to '%.*s'%s%s%s",
                     h->memory, strerror(why), above, h->memory, apart ? ", or put '" : "",
                     apart ? h->run : "", apart ? "' on a tmpfs" : "");
}

static mode_t memory_mode(const struct runner_paths *h)
{
    return h->separated ? 0711 : 0700; /* children of several users find their own folder in it */
}

static bool is_ours(const struct runner_paths *h, const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & 07777 & ~memory_mode(h)) == 0;
}

/* Anyone may write to /dev/shm, so a folder of our name there must be our own and closed to
 * others. */
int runner_paths_claim_memory(const struct runner_paths *h, struct error *err)
{
    const char *path = h->memory;
    if (is_ours(h, path)) /* as at every step but the first */
        return 0;
    if (mkdir(path, 0700) == 0 && chmod(path, memory_mode(h)) == 0)
        return 0;
    if (errno != EEXIST)
        return cannot_make_memory(h, errno, err);
    if (!is_ours(h, path))
        return error_set(err, -EPERM,
                         "'%s' belongs to another user or is open to others; remove it", path);
    return 0;
}

/* Somebody else has our name in /dev/shm: another that nobody can guess. run/memory.at tells it to
 * the next runner. */
static int take_another(struct runner_paths *h, struct error *err)
{
    struct buf text = {0};
    char *at = mem_printf("%s/memory.at", h->run),
         *fresh = mem_printf("/dev/shm/longboat-%u-XXXXXX", (unsigned)geteuid());
    int rc = 0;
    mem_free(&h->memory);
    if (file_read(at, PATHS_MAX, &text, NULL) == 0 &&
        strncmp(buf_str(&text), "/dev/shm/", 9) == 0 && is_ours(h, buf_str(&text)))
        h->memory = mem_strdup(buf_str(&text));
    else {
        h->memory = mem_strdup(mkdtemp(fresh) ? fresh : "/dev/shm/longboat");
        rc = runner_paths_claim_memory(h, err);
        if (rc == 0)
            rc = file_write_atomic(at, span_str(h->memory), 0600, err);
    }
    buf_free(&text);
    mem_free(&at);
    mem_free(&fresh);
    return rc;
}

char *runner_paths_name_memory(const char *run, bool *ret_backed)
{
    struct hash digest;
    char digits[17];
    const bool here = is_tmpfs(run);
    *ret_backed = here || is_tmpfs("/dev/shm");
    if (here || !*ret_backed)
        return mem_printf("%s/memory", run);
    envelope_hash(span_str(run), &digest);
    return mem_printf("/dev/shm/longboat-%u-%s", (unsigned)geteuid(),
                      hex_format(digest.b, 8, digits));
}

int runner_paths_find_memory(struct runner_paths *h, struct error *err)
{
    mem_free(&h->memory);
    h->memory = runner_paths_name_memory(h->run, &h->memory_backed);
    int rc = runner_paths_claim_memory(h, err);
    return rc == -EPERM && strncmp(h->memory, "/dev/shm/", 9) == 0 ? take_another(h, err) : rc;
}

void runner_paths_leave_memory(const struct runner_paths *h)
{
    if (rmdir(h->memory) < 0) /* it is in use */
        return;
}

/* ---- Users */

static void find_account(struct runner_paths *h)
{
    const struct passwd *pw = getpwuid(geteuid());
    h->user = pw ? mem_strdup(pw->pw_name) : mem_printf("%u", (unsigned)geteuid());
    h->home = pw && pw->pw_dir && pw->pw_dir[0] == '/' ? mem_strdup(pw->pw_dir) : NULL;
    h->worker = (struct privilege_user){.uid = geteuid(), .gid = getegid()};
    h->unpack = h->worker;
}

static int check_users(const struct runner_paths *h, const struct runner_users *users,
                       struct error *err)
{
    const uid_t worker = h->worker.uid, unpack = h->unpack.uid;
    if (!worker || !unpack || worker == unpack)
        return error_set(err, -EINVAL,
                         "worker and unpacker ('%s', '%s') must be two users, and neither root",
                         users->worker, users->unpack);
    return 0;
}

static int find_users(struct runner_paths *h, const struct runner_users *users, struct error *err)
{
    int rc = privilege_find_user(users->worker, &h->worker, err);
    if (rc == 0)
        rc = privilege_find_user(users->unpack, &h->unpack, err);
    if (rc == 0 && users->by_hand)
        rc = privilege_find_group(users->by_hand, &h->by_hand_group, err);
    return rc < 0 ? rc : check_users(h, users, err);
}

/* ---- */

static void find_paths(struct runner_paths *h, const struct paths *at)
{
    const char *state = at->state, *run = at->run;
    h->trust = mem_printf("%s/trust", at->config);
    h->proxies = mem_printf("%s/" PROXY_FOLDER, at->config);
    h->subsystems = mem_printf("%s/subsystems.d", at->config);
    h->jobfiles = mem_printf("%s/jobs", at->config);
    h->revocations = mem_printf("%s/revocations", state);
    h->secrets = mem_printf("%s/secrets", state);
    h->seal = mem_printf("%s/keys/seal.key", at->config);
    h->packages = mem_printf("%s/packages", state);
    h->jobs = mem_printf("%s/jobs", state);
    h->work = mem_printf("%s/work", state);
    h->run = mem_strdup(run);
    h->spool = mem_printf("%s/%s", state, h->separated ? "keepers" : "spool");
    h->keepers = mem_printf("%s%s", run, h->separated ? "/keepers" : "");
    h->bell = mem_printf("%s%s", run, h->separated ? "/worker" : "");
    h->fence = mem_printf("%s/fence", h->separated ? h->bell : h->spool);
    h->own = mem_printf("%s/runner", state);
}

static int make_folders(const struct runner_paths *h, struct error *err)
{
    const char *const folders[] = {h->packages, h->jobs, h->spool, h->own, h->work, h->run};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof folders / sizeof *folders; i++)
        rc = file_make_dirs(folders[i], 0700, err);
    return rc;
}

int runner_paths_open(struct runner_paths *ret, const struct runner_users *users, struct error *err)
{
    static struct paths resolved; /* three paths of 4096 bytes are too large for the stack */
    int rc = paths_resolve(&resolved, err);
    if (rc < 0)
        return rc;
    struct runner_paths h = {.separated = users != NULL};
    find_paths(&h, &resolved);
    find_account(&h);
    rc = users ? find_users(&h, users, err) : make_folders(&h, err);
    if (rc == 0 && users)
        rc = separate_folders(&h, &resolved, err);
    if (rc == 0)
        rc = runner_paths_find_memory(&h, err);
    if (rc < 0) {
        runner_paths_free(&h);
        return rc;
    }
    *ret = h;
    return 0;
}

void runner_paths_free(struct runner_paths *h)
{
    char **const all[] = {&h->trust,      &h->revocations, &h->packages, &h->jobs,      &h->spool,
                          &h->work,       &h->run,         &h->memory,   &h->home,      &h->user,
                          &h->own,        &h->keepers,     &h->bell,     &h->fence,     &h->proxies,
                          &h->subsystems, &h->jobfiles,    &h->cgroup,   &h->principal, &h->secrets,
                          &h->seal};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
}

char *runner_paths_of_hash(const char *folder, const struct hash *h)
{
    char digits[2 * sizeof h->b + 1];
    return mem_printf("%s/%s", folder, hex_format(h->b, sizeof h->b, digits));
}

char *runner_paths_of_slot(const char *folder, const char *name, unsigned slot, const char *suffix)
{
    return mem_printf("%s/%s-%u%s", folder, name, slot, suffix);
}
