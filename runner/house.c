/* house.c - see house.h. */
#include "runner/house.h"

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

static bool is_tmpfs(const char *path)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

/* /dev/shm is everybody's: what lies there under our name must be a folder of ours that nobody else
   may enter. */
int house_claim_memory(const struct house *h, struct error *err)
{
    const char *path = h->memory;
    struct stat st;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "cannot make '%s'", path);
    if (lstat(path, &st) < 0)
        return error_errno(err, errno, "cannot examine '%s'", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
        return error_set(err, -EPERM, "'%s' is not a folder of ours alone; remove it", path);
    return 0;
}

/* Parameters and results are to touch no disk: run/memory if run is in memory, else a folder of
 * /dev/shm of our own. */
static int find_memory(struct house *h, struct error *err)
{
    struct hash digest;
    char digits[17];
    h->memory_backed = true;
    if (!is_tmpfs(h->run) && is_tmpfs("/dev/shm")) {
        envelope_hash(span_str(h->run), &digest);
        h->memory = mem_printf("/dev/shm/longboat-%u-%s", (unsigned)geteuid(),
                               hex_format(digest.b, 8, digits));
        return house_claim_memory(h, err);
    }
    h->memory_backed = is_tmpfs(h->run);
    h->memory = mem_printf("%s/memory", h->run);
    return house_claim_memory(h, err);
}

void house_leave_memory(const struct house *h)
{
    if (rmdir(h->memory) < 0) /* somebody uses it */
        return;
}

static void find_account(struct house *h)
{
    const struct passwd *pw = getpwuid(geteuid());
    h->user = pw ? mem_strdup(pw->pw_name) : mem_printf("%u", (unsigned)geteuid());
    h->home = mem_strdup(pw && pw->pw_dir && pw->pw_dir[0] == '/' ? pw->pw_dir : "/");
}

int house_open(struct house *ret, struct error *err)
{
    static struct paths paths; /* three paths of 4096 bytes are too much for a stack frame */
    int rc = paths_resolve(&paths, err);
    if (rc < 0)
        return rc;
    struct house h = {.trust = mem_printf("%s/trust", paths.config),
                      .revocations = mem_printf("%s/revocations", paths.state),
                      .packages = mem_printf("%s/packages", paths.state),
                      .jobs = mem_printf("%s/jobs", paths.state),
                      .spool = mem_printf("%s/spool", paths.state),
                      .work = mem_printf("%s/work", paths.state),
                      .run = mem_strdup(paths.run)};
    const char *const folders[] = {h.packages, h.jobs, h.spool, h.work, h.run};
    for (size_t i = 0; rc == 0 && i < sizeof folders / sizeof *folders; i++)
        rc = file_make_dirs(folders[i], 0700, err);
    if (rc == 0)
        rc = find_memory(&h, err);
    if (rc < 0) {
        house_free(&h);
        return rc;
    }
    find_account(&h);
    *ret = h;
    return 0;
}

void house_free(struct house *h)
{
    char **const all[] = {&h->trust, &h->revocations, &h->packages, &h->jobs, &h->spool,
                          &h->work,  &h->run,         &h->memory,   &h->home, &h->user};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
}

char *house_path_of(const char *folder, const struct hash *h)
{
    char digits[2 * sizeof h->b + 1];
    return mem_printf("%s/%s", folder, hex_format(h->b, sizeof h->b, digits));
}

char *house_slot_path(const char *folder, const char *name, unsigned slot, const char *suffix)
{
    return mem_printf("%s/%s-%u%s", folder, name, slot, suffix);
}
