/* tree.c - see tree.h. */
#include "runner/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"

struct tree_process {
    pid_t pid, parent;
    unsigned long long started; /* with the pid, the identity of a process */
    char state, name[TREE_NAME];
    bool ours, spared;
};

struct tree_table {
    struct tree_process *v;
    size_t n;
};

int tree_own(struct error *err)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return error_errno(err, errno, "cannot become a subreaper");
    return 0;
}

/* The n-th number from *at on, which moves on; the first is 1. */
static unsigned long long take_number(char **at, int n)
{
    unsigned long long v = 0;
    for (; n > 0; n--)
        v = strtoull(*at, at, 10);
    return v;
}

/* /proc/PID/stat: "pid (name) state ppid ... starttime ...", its fields 3, 4 and 22; the name may
 * have anything in it, so the last ')' counts. */
static bool read_process(pid_t pid, struct tree_process *ret)
{
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = 0;
    char *after = strrchr(text, ')'), *before = strchr(text, '(');
    if (!after || !before || strlen(after) < 4)
        return false;
    snprintf(ret->name, sizeof ret->name, "%.*s", (int)(after - before - 1), before + 1);
    char *at = after + 3;
    ret->pid = pid;
    ret->ours = ret->spared = false;
    ret->state = after[2];
    ret->parent = (pid_t)take_number(&at, 1);
    ret->started = take_number(&at, 22 - 4);
    return true;
}

static int read_table(struct tree_table *t)
{
    DIR *d = opendir("/proc");
    if (!d)
        return -errno;
    for (struct dirent *e; (e = readdir(d));) {
        char *end;
        long pid = strtol(e->d_name, &end, 10);
        struct tree_process p;
        if (*end || pid <= 0 || !read_process((pid_t)pid, &p))
            continue;
        if ((t->n & (t->n - 1)) == 0) /* 0, 1, 2, 4, ...: room for as many again */
            t->v = mem_realloc(t->v, t->n ? 2 * t->n : 1, sizeof *t->v);
        t->v[t->n++] = p;
    }
    closedir(d);
    return 0;
}

static int by_pid(const void *a, const void *b)
{
    const struct tree_process *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

static struct tree_process *find(const struct tree_table *t, pid_t pid)
{
    struct tree_process key = {.pid = pid};
    return bsearch(&key, t->v, t->n, sizeof *t->v, by_pid);
}

/* Marks our descendants, and among them those of the spared process. A chain longer than the
 * table is a loop: the table was read while it changed. */
static void mark(struct tree_table *t, pid_t self, pid_t except)
{
    for (size_t i = 0; i < t->n; i++) {
        struct tree_process *p = &t->v[i], *at = p;
        for (size_t steps = 0; at && at->pid != self && steps <= t->n; steps++) {
            p->spared |= except && at->pid == except;
            if (at->parent == self) {
                p->ours = true;
                break;
            }
            at = find(t, at->parent);
        }
    }
}

static bool signal_process(const struct tree_process *p, int sig)
{
    struct tree_process now;
    int fd = pidfd_open(p->pid, 0);
    if (fd < 0)
        return false;
    bool same = read_process(p->pid, &now) && now.started == p->started;
    if (same)
        pidfd_send_signal(fd, sig, NULL, 0);
    if (same && sig == SIGTERM)
        pidfd_send_signal(fd, SIGCONT, NULL, 0);
    close(fd);
    return same;
}

static int read_marked(struct tree_table *t, pid_t except)
{
    int rc = read_table(t);
    if (rc == 0 && t->n) {
        qsort(t->v, t->n, sizeof *t->v, by_pid);
        mark(t, getpid(), except);
    }
    return rc;
}

static bool is_alive(const struct tree_process *p)
{
    return p->ours && !p->spared && p->state != 'Z' && p->state != 'X';
}

int tree_signal(int sig, pid_t except)
{
    struct tree_table t = {0};
    int rc = read_marked(&t, except), n = 0;
    for (size_t i = 0; rc == 0 && i < t.n; i++)
        if (is_alive(&t.v[i]))
            n += signal_process(&t.v[i], sig);
    mem_free(&t.v);
    return rc < 0 ? rc : n;
}

int tree_names(char (*names)[TREE_NAME], int room)
{
    struct tree_table t = {0};
    int rc = read_marked(&t, 0), n = 0;
    for (size_t i = 0; rc == 0 && i < t.n; i++) {
        if (!is_alive(&t.v[i]))
            continue;
        if (n < room)
            memcpy(names[n], t.v[i].name, TREE_NAME);
        n++;
    }
    mem_free(&t.v);
    return rc < 0 ? rc : n;
}

bool tree_reap(pid_t main, bool *ret_main, int *ret_status, struct rusage *ret_usage)
{
    for (;;) {
        int status;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid == main && pid > 0) {
            *ret_main = true;
            *ret_status = status;
            *ret_usage = usage;
        } else if (pid == 0)
            return true;
        else if (pid < 0 && errno != EINTR)
            return false;
    }
}
