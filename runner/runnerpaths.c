/* runnerpaths.c - see runnerpaths.h. */
#include "runner/runnerpaths.h"

#include <errno.h>
#include <linux/magic.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/paths.h"
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

/* Anyone may write to /dev/shm, so a folder of our name there must be our own and closed to
 * others. */
int runner_paths_claim_memory(const struct runner_paths *h, struct error *err)
{
    const char *path = h->memory;
    struct stat st;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return cannot_make_memory(h, errno, err);
    if (lstat(path, &st) < 0)
        return error_errno(err, errno, "cannot examine '%s'", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
        return error_set(err, -EPERM,
                         "'%s' belongs to another user or is open to others; remove it", path);
    return 0;
}

/* Parameters and results stay off the disks: run/memory if `run` is in memory, else a folder of
 * our own in /dev/shm. */
static int find_memory(struct runner_paths *h, struct error *err)
{
    struct hash digest;
    char digits[17];
    h->memory_backed = true;
    if (!is_tmpfs(h->run) && is_tmpfs("/dev/shm")) {
        envelope_hash(span_str(h->run), &digest);
        h->memory = mem_printf("/dev/shm/longboat-%u-%s", (unsigned)geteuid(),
                               hex_format(digest.b, 8, digits));
        return runner_paths_claim_memory(h, err);
    }
    h->memory_backed = is_tmpfs(h->run);
    h->memory = mem_printf("%s/memory", h->run);
    return runner_paths_claim_memory(h, err);
}

void runner_paths_leave_memory(const struct runner_paths *h)
{
    if (rmdir(h->memory) < 0) /* it is in use */
        return;
}

static void find_account(struct runner_paths *h)
{
    const struct passwd *pw = getpwuid(geteuid());
    h->user = pw ? mem_strdup(pw->pw_name) : mem_printf("%u", (unsigned)geteuid());
    h->home = pw && pw->pw_dir && pw->pw_dir[0] == '/' ? mem_strdup(pw->pw_dir) : NULL;
}

int runner_paths_open(struct runner_paths *ret, struct error *err)
{
    static struct paths resolved; /* three paths of 4096 bytes are too large for the stack */
    int rc = paths_resolve(&resolved, err);
    if (rc < 0)
        return rc;
    struct runner_paths h = {.trust = mem_printf("%s/trust", resolved.config),
                             .proxies = mem_printf("%s/" PROXY_FOLDER, resolved.config),
                             .subsystems = mem_printf("%s/subsystems.d", resolved.config),
                             .revocations = mem_printf("%s/revocations", resolved.state),
                             .packages = mem_printf("%s/packages", resolved.state),
                             .jobs = mem_printf("%s/jobs", resolved.state),
                             .spool = mem_printf("%s/spool", resolved.state),
                             .own = mem_printf("%s/runner", resolved.state),
                             .work = mem_printf("%s/work", resolved.state),
                             .run = mem_strdup(resolved.run)};
    const char *const folders[] = {h.packages, h.jobs, h.spool, h.own, h.work, h.run};
    for (size_t i = 0; rc == 0 && i < sizeof folders / sizeof *folders; i++)
        rc = file_make_dirs(folders[i], 0700, err);
    if (rc == 0)
        rc = find_memory(&h, err);
    if (rc < 0) {
        runner_paths_free(&h);
        return rc;
    }
    find_account(&h);
    *ret = h;
    return 0;
}

void runner_paths_free(struct runner_paths *h)
{
    char **const all[] = {&h->trust, &h->revocations, &h->packages,  &h->jobs,   &h->spool,
                          &h->own,   &h->work,        &h->run,       &h->memory, &h->home,
                          &h->user,  &h->proxies,     &h->subsystems};
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
