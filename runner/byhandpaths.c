/* byhandpaths.c - the folders of a run by hand: see byhand.h. */
#include "runner/byhand.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/paths.h"
#include "runner/childfiles.h"
#include "runner/keeper.h"
#include "runner/workfolder.h"
#include "trust/proxy.h"

#define TAG "hand-"

enum {
    LEFT_S = 60 /* a folder without a lock that is older than this is of a run that was killed */
};

/* ---- Who asks, and whose home this is */

static int find_principal(int person, char **ret, struct error *err)
{
    struct ucred who;
    socklen_t size = sizeof who;
    if (getsockopt(person, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0)
        return error_set(err, -EPERM,
                         "nobody is at the other end of standard input; this is how lbworker "
                         "run-job and lbpkg run start lbrunner");
    const struct passwd *pw = getpwuid(who.uid);
    *ret = pw ? mem_printf(PROXY_LOCAL "%s", pw->pw_name)
              : mem_printf(PROXY_LOCAL "%u", (unsigned)who.uid);
    if (strlen(*ret) > LIMIT_NAME)
        return error_set(err, -EPERM, "the name of user %u is too long", (unsigned)who.uid);
    return 0;
}

static char *owner_of(const char *folder, const char *name)
{
    struct stat st;
    char *path = mem_printf("%s/%s", folder, name), *text = NULL;
    if (lstat(path, &st) == 0 && st.st_uid != 0)
        text = mem_printf("%u", (unsigned)st.st_uid);
    mem_free(&path);
    return text;
}

static int check_home(const struct paths *at, struct error *err)
{
    struct stat st;
    if (stat(at->state, &st) < 0)
        return error_errno(err, errno, "there is no server here: '%s'", at->state);
    if (st.st_uid != geteuid())
        return error_set(err, -EPERM,
                         "this server runs as user %u ('%s' is theirs): run by hand as that user, "
                         "for example: sudo -u '#%u' lbworker run-job ...",
                         (unsigned)st.st_uid, at->state, (unsigned)st.st_uid);
    return 0;
}

/* Root runs by hand only where a runner of root's has been before: this must not change whose the
 * folders are. */
static int open_base(struct runner_paths *ret, struct error *err)
{
    static struct paths at; /* too large for the stack */
    int rc = paths_resolve(&at, err);
    if (rc == 0)
        rc = check_home(&at, err);
    if (rc < 0 || geteuid() != 0)
        return rc < 0 ? rc : runner_paths_open(ret, NULL, err);
    char *worker = owner_of(at.state, "spool"), *unpack = owner_of(at.state, "packages");
    const struct runner_users users = {.worker = worker, .unpack = unpack};
    rc = worker && unpack
             ? runner_paths_open(ret, &users, err)
             : error_set(err, -EPERM, "no lbrunner of root's has run in '%s' yet; start it once",
                         at.state);
    mem_free(&worker);
    mem_free(&unpack);
    return rc;
}

/* ---- The folders */

static void move(char **path, char *to)
{
    mem_free(path);
    *path = to;
}

static void set_places(struct runner_paths *h, const char *run, const char *work, const char *tag)
{
    move(&h->run, mem_printf("%s/%s", run, tag));
    move(&h->work, mem_printf("%s/%s", work, tag));
    move(&h->keepers, mem_printf("%s/keepers", h->run));
    move(&h->spool, mem_strdup(h->keepers));
    move(&h->bell, mem_strdup(h->keepers));
    move(&h->own, mem_strdup(h->keepers));
    move(&h->fence, mem_printf("%s/fence", h->keepers));
    move(&h->jobs, mem_printf("%s/jobs", h->run));
}

static int make(const struct runner_paths *h, struct error *err)
{
    const struct {
        const char *path;
        mode_t mode;
    } folders[] = {{h->run, 0711}, {h->keepers, 0700}, {h->jobs, 0700}, {h->work, 0711}};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if ((mkdir(folders[i].path, 0700) < 0 && errno != EEXIST) ||
            chmod(folders[i].path, folders[i].mode) < 0)
            return error_errno(err, errno, "cannot make the folder '%s'", folders[i].path);
    return 0;
}

/* As the child's user where it is theirs; its keeper has usually done it. */
static void empty_slot(const struct runner_paths *h, struct error *err)
{
    char *work = mem_printf("%s/1", h->work), *memory = mem_printf("%s/1", h->memory);
    struct workfolder *w = NULL;
    struct childfiles *f = NULL;
    if (access(work, F_OK) == 0 && workfolder_open(work, h->separated, &w, err) == 0)
        workfolder_close(&w);
    rmdir(work);
    if (access(memory, F_OK) == 0 && childfiles_open(memory, h->separated, &f, err) == 0)
        childfiles_close(&f);
    mem_free(&work);
    mem_free(&memory);
}

void byhand_paths_remove(const struct runner_paths *h)
{
    struct error err = {0};
    const char *const all[] = {h->work, h->memory, h->run};
    empty_slot(h, &err);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (file_remove_tree(all[i], &err) < 0)
            log_warn("left behind by a run by hand: %s", err.text);
}

/* ---- What killed ones have left */

static bool is_left(const char *run, const char *tag)
{
    struct stat st;
    struct error err = {0};
    char *folder = mem_printf("%s/%s", run, tag), *lock = mem_printf("%s/runner.lock", folder),
         *keepers = mem_printf("%s/keepers", folder);
    const struct runner_paths h = {.keepers = keepers};
    bool left = lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
                time(NULL) - st.st_mtim.tv_sec > LEFT_S && file_lock_is_held(lock, &err) == 0 &&
                keeper_slot_is_free(&h, 1);
    mem_free(&folder);
    mem_free(&lock);
    mem_free(&keepers);
    return left;
}

static void remove_left(const struct runner_paths *at)
{
    DIR *d = opendir(at->run);
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, TAG, strlen(TAG)) != 0 || !is_left(at->run, e->d_name))
            continue;
        struct runner_paths h = {.separated = at->separated};
        set_places(&h, at->run, at->work, e->d_name);
        h.memory = runner_paths_name_memory(h.run, &h.memory_backed);
        byhand_paths_remove(&h);
        runner_paths_free(&h);
    }
    if (d)
        closedir(d);
}

/* ---- */

static void use_settings(struct runner_paths *h, const char *settings)
{
    move(&h->proxies, mem_printf("%s/" PROXY_FOLDER, settings));
    move(&h->subsystems, mem_printf("%s/subsystems.d", settings));
}

static int make_own(struct runner_paths *h, struct error *err)
{
    char *folder = mem_printf("%s/" TAG "XXXXXX", h->run);
    int rc = 0;
    if (mkdtemp(folder)) {
        char *run = mem_strdup(h->run), *work = mem_strdup(h->work);
        set_places(h, run, work, strrchr(folder, '/') + 1);
        mem_free(&run);
        mem_free(&work);
        rc = make(h, err);
        if (rc == 0)
            rc = runner_paths_find_memory(h, err);
        if (rc < 0)
            byhand_paths_remove(h);
    } else
        rc = error_errno(err, errno, "cannot make a folder in '%s'", h->run);
    mem_free(&folder);
    return rc;
}

int byhand_paths_open(struct runner_paths *ret, const struct byhand_options *o, struct error *err)
{
    struct runner_paths h = {0};
    int rc = open_base(&h, err);
    if (rc < 0)
        return rc;
    runner_paths_leave_memory(&h); /* of the home: this run has its own */
    remove_left(&h);
    h.undeployed = o->undeployed;
    rc = find_principal(o->person, &h.principal, err);
    if (rc == 0)
        rc = make_own(&h, err);
    if (rc == 0 && o->settings)
        use_settings(&h, o->settings);
    if (rc < 0)
        runner_paths_free(&h);
    else
        *ret = h;
    return rc;
}
