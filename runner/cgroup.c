/* cgroup.c - see cgroup.h. */
#include "runner/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/file.h"
#include "common/mem.h"
#include "runner/inchild.h"

enum { TEXT = 4096, PERIOD_US = 100000 };

static const char *const controllers[] = {"memory", "cpu", "pids"};

/* ---- Small files */

static int put(const char *path, const char *text, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    const ssize_t n = (ssize_t)strlen(text);
    int rc = fd >= 0 && write(fd, text, (size_t)n) == n ? 0 : -errno;
    if (fd >= 0)
        close(fd);
    return rc < 0 ? error_errno(err, -rc, "cannot write '%s' to '%s'", text, path) : 0;
}

static int put_at(const char *folder, const char *name, const char *text, struct error *err)
{
    char *path = mem_printf("%s/%s", folder, name);
    int rc = put(path, text, err);
    mem_free(&path);
    return rc;
}

/* The text of a file of the kernel's; "" if there is none. Yours to free. */
static char *text_at(const char *folder, const char *name)
{
    struct buf text = {0};
    char *path = mem_printf("%s%s%s", folder, *folder ? "/" : "", name);
    if (file_read(path, (size_t)TEXT * 64, &text, NULL) < 0)
        buf_clear(&text);
    char *copy = span_dup_str(buf_span(&text));
    buf_free(&text);
    mem_free(&path);
    return copy;
}

static bool has_word(const char *text, const char *word)
{
    const size_t n = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at += n)
        if ((at == text || at[-1] == ' ') && (!at[n] || strchr(" \n", at[n])))
            return true;
    return false;
}

/* "name 42", a line of several; 0: there is none. */
static uint64_t number_of(const char *text, const char *name)
{
    const size_t n = strlen(name);
    for (const char *at = text; at; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, name, n) == 0 && at[n] == ' ')
            return strtoull(at + n + 1, NULL, 10);
    }
    return 0;
}

/* ---- The delegated cgroup */

struct cgroup_place cgroup_here(void)
{
    return (struct cgroup_place){
        .mounts = "/proc/self/mountinfo", .self = "/proc/self/cgroup", .root = geteuid() == 0};
}

/* Of a line of mountinfo: "36 35 0:30 ROOT POINT OPTIONS - cgroup2 SOURCE OPTIONS". */
static char *find_mount(const char *mounts)
{
    char *text = text_at("", mounts), *found = NULL, *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line && !found;
         line = strtok_r(NULL, "\n", &rest)) {
        char point[TEXT];
        const char *kind = strstr(line, " - cgroup2 ");
        if (kind && sscanf(line, "%*s %*s %*s %*s %4095s", point) == 1)
            found = mem_strdup(point);
    }
    mem_free(&text);
    return found;
}

/* The folder of the cgroup that we are in: the line "0::/path". */
static char *find_own(const char *mount, const char *self)
{
    char *text = text_at("", self), *found = NULL, *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (strncmp(line, "0::/", 4) == 0 && !found)
            found = mem_printf("%s%s", mount, strcmp(line + 3, "/") == 0 ? "" : line + 3);
    mem_free(&text);
    return found;
}

static bool is_delegated(const char *folder, bool root)
{
    char mark[2] = "";
    char *procs = mem_printf("%s/cgroup.procs", folder);
    bool ours = access(procs, W_OK) == 0 && access(folder, W_OK) == 0;
    mem_free(&procs);
    /* root may write anywhere: systemd marks what it leaves to others */
    if (ours && root && access("/run/systemd/system", F_OK) == 0)
        ours = (getxattr(folder, "trusted.delegate", mark, 1) == 1 ||
                getxattr(folder, "user.delegate", mark, 1) == 1) &&
               *mark == '1';
    return ours;
}

static int find(const struct cgroup_place *at, char **ret, struct error *err)
{
    int rc = 0;
    char *mount = find_mount(at->mounts), *own = mount ? find_own(mount, at->self) : NULL;
    char *slash = own ? strrchr(own, '/') : NULL;
    const bool below = slash && strcmp(slash + 1, CGROUP_OWN) == 0;
    if (!own)
        rc = error_set(err, -ENOTSUP, "no cgroup v2 is mounted on this machine");
    else if (!below)
        rc =
            error_set(err, -ENOTSUP,
                      "'%s' is no cgroup '" CGROUP_OWN "' below a delegated one; a unit of systemd "
                      "(254 and later) says Delegate=yes and DelegateSubgroup=" CGROUP_OWN,
                      own);
    else {
        *slash = '\0';
        if (!is_delegated(own, at->root))
            rc = error_set(err, -ENOTSUP,
                           "the cgroup '%s' is not delegated to this user; a unit of systemd says "
                           "Delegate=yes",
                           own);
    }
    mem_free(&mount);
    if (rc < 0)
        mem_free(&own);
    else
        *ret = own;
    return rc;
}

static int hand_on(const char *folder, struct error *err)
{
    int rc = 0;
    char *has = text_at(folder, "cgroup.controllers");
    char *hands = text_at(folder, "cgroup.subtree_control");
    for (size_t i = 0; rc == 0 && i < sizeof controllers / sizeof *controllers; i++) {
        char word[16];
        if (!has_word(has, controllers[i]))
            rc = error_set(err, -ENOTSUP,
                           "the cgroup '%s' has no controller '%s'; its unit can say Delegate=yes",
                           folder, controllers[i]);
        else if (!has_word(hands, controllers[i])) {
            snprintf(word, sizeof word, "+%s", controllers[i]);
            rc = put_at(folder, "cgroup.subtree_control", word, err);
        }
    }
    mem_free(&has);
    mem_free(&hands);
    return rc;
}

int cgroup_claim(const struct cgroup_place *at, char **ret_path, struct error *err)
{
    char *folder = NULL;
    int rc = find(at, &folder, err);
    if (rc == 0)
        rc = hand_on(folder, err);
    if (rc < 0)
        mem_free(&folder);
    else
        *ret_path = folder;
    return rc;
}

/* ---- A slot's */

/* X(name, file, flags): kept open. */
#define CGROUP_FILES(X) \
    X(PROCS, "cgroup.procs", O_WRONLY) \
    X(MEMORY_MAX, "memory.max", O_WRONLY) \
    X(MEMORY_EVENTS, "memory.events", O_RDONLY) \
    X(MEMORY_NOW, "memory.current", O_RDONLY) \
    X(CPU_MAX, "cpu.max", O_WRONLY) \
    X(CPU_STAT, "cpu.stat", O_RDONLY) \
    X(PROCESSES_MAX, "pids.max", O_WRONLY) \
    X(PROCESSES_EVENTS, "pids.events", O_RDONLY)
#define X(n, file, flags) CGROUP_##n,
enum cgroup_file { CGROUP_FILES(X) CGROUP_FILE_COUNT };
#undef X
#define X(n, file, flags) {file, flags},
static const struct {
    const char *name;
    int flags;
} files[] = {CGROUP_FILES(X)};
#undef X

struct cgroup {
    char *folder;
    int fd[CGROUP_FILE_COUNT];
    struct cgroup_limits limits; /* that are in force */
    struct cgroup_use before;    /* the kernel's counts at cgroup_begin */
};

static void close_files(struct cgroup *c)
{
    for (int i = 0; i < CGROUP_FILE_COUNT; i++) {
        if (c->fd[i] >= 0)
            close(c->fd[i]);
        c->fd[i] = -1;
    }
}

static int open_files(struct cgroup *c, struct error *err)
{
    if (mkdir(c->folder, 0755) < 0 && errno != EEXIST)
        return error_errno(err, errno, "cannot make the cgroup '%s'", c->folder);
    for (int i = 0; i < CGROUP_FILE_COUNT; i++) {
        char *path = mem_printf("%s/%s", c->folder, files[i].name);
        c->fd[i] = open(path, files[i].flags | O_CLOEXEC);
        int rc = c->fd[i] < 0 ? error_errno(err, errno, "cannot open '%s'", path) : 0;
        mem_free(&path);
        if (rc < 0)
            return rc;
    }
    /* where memory runs out the whole step ends, not its one largest process */
    return put_at(c->folder, "memory.oom.group", "1", err);
}

static int write_limit(struct cgroup *c, enum cgroup_file f, uint64_t n, const char *after,
                       struct error *err)
{
    char text[64];
    if (n)
        snprintf(text, sizeof text, "%llu%s", (unsigned long long)n, after);
    else
        snprintf(text, sizeof text, "max%s", after);
    if (pwrite(c->fd[f], text, strlen(text), 0) == (ssize_t)strlen(text))
        return 0;
    return error_errno(err, errno, "cannot write '%s' to '%s/%s'", text, c->folder, files[f].name);
}

static int write_memory(struct cgroup *c, uint64_t memory, struct error *err)
{
    int rc = write_limit(c, CGROUP_MEMORY_MAX, memory, "", err);
    /* swapped out memory is memory; a kernel without swap has no such file */
    if (rc == 0)
        put_at(c->folder, "memory.swap.max", memory ? "0" : "max", NULL);
    return rc;
}

static int write_limits(struct cgroup *c, const struct cgroup_limits *l, bool all,
                        struct error *err)
{
    char period[16];
    int rc = 0;
    snprintf(period, sizeof period, " %d", (int)PERIOD_US);
    if (all || l->memory != c->limits.memory)
        rc = write_memory(c, l->memory, err);
    if (rc == 0 && (all || l->cpu != c->limits.cpu))
        rc = write_limit(c, CGROUP_CPU_MAX, l->cpu * (PERIOD_US / 1000), period, err);
    if (rc == 0 && (all || l->processes != c->limits.processes))
        rc = write_limit(c, CGROUP_PROCESSES_MAX, l->processes, "", err);
    if (rc == 0)
        c->limits = *l;
    return rc;
}

int cgroup_open(const char *path, const char *home, unsigned slot, struct cgroup **ret,
                struct error *err)
{
    struct cgroup *c = mem_zalloc(1, sizeof *c);
    const struct cgroup_limits none = {0};
    c->folder = mem_printf("%s/slot-%u-%08x", path, slot, crc32c(span_str(home)));
    for (int i = 0; i < CGROUP_FILE_COUNT; i++)
        c->fd[i] = -1;
    int rc = open_files(c, err);
    if (rc == 0) {
        cgroup_kill(c);
        rc = write_limits(c, &none, true, err);
    }
    if (rc < 0)
        cgroup_close(&c);
    else
        *ret = c;
    return rc;
}

void cgroup_close(struct cgroup **c)
{
    if (!*c)
        return;
    close_files(*c);
    rmdir((*c)->folder); /* something is still in it: the next keeper of the slot has it */
    mem_free(&(*c)->folder);
    mem_free(c);
}

static void read_file(const struct cgroup *c, enum cgroup_file f, char text[TEXT])
{
    ssize_t n = pread(c->fd[f], text, TEXT - 1, 0);
    text[n > 0 ? n : 0] = '\0';
}

static void read_use(const struct cgroup *c, struct cgroup_use *ret)
{
    char text[TEXT];
    read_file(c, CGROUP_MEMORY_EVENTS, text);
    ret->out_of_memory = number_of(text, "oom_kill");
    read_file(c, CGROUP_PROCESSES_EVENTS, text);
    ret->refused = number_of(text, "max");
    read_file(c, CGROUP_CPU_STAT, text);
    ret->user_us = number_of(text, "user_usec");
    ret->system_us = number_of(text, "system_usec");
}

/* Files that an earlier step has left in memory count against the slot. Where they are much of what
 * the next one may use, it gets a fresh cgroup. */
static int renew(struct cgroup *c, uint64_t memory, struct error *err)
{
    char text[TEXT];
    const struct cgroup_limits none = {0};
    read_file(c, CGROUP_MEMORY_NOW, text);
    if (strtoull(text, NULL, 10) <= memory / 8)
        return 0;
    close_files(c);
    /* what cannot be removed stays in use */
    int rc = rmdir(c->folder) < 0 && errno != EBUSY && errno != ENOTEMPTY
                 ? error_errno(err, errno, "cannot remove the cgroup '%s'", c->folder)
                 : open_files(c, err);
    return rc < 0 ? rc : write_limits(c, &none, true, err);
}

int cgroup_begin(struct cgroup *c, const struct cgroup_limits *l, struct error *err)
{
    int rc = l->memory ? renew(c, l->memory, err) : 0;
    if (rc == 0)
        rc = write_limits(c, l, false, err);
    if (rc == 0)
        read_use(c, &c->before);
    return rc;
}

IN_CHILD int cgroup_enter(const struct cgroup *c)
{
    return write(c->fd[CGROUP_PROCS], "0", 1) == 1 ? 0 : -1;
}

void cgroup_kill(const struct cgroup *c)
{
    put_at(c->folder, "cgroup.kill", "1", NULL);
}

void cgroup_end(struct cgroup *c, struct cgroup_use *ret)
{
    read_use(c, ret);
    ret->out_of_memory -= c->before.out_of_memory;
    ret->refused -= c->before.refused;
    ret->user_us -= c->before.user_us;
    ret->system_us -= c->before.system_us;
}
