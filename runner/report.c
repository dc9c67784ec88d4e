/* report.c - see report.h. */
#include "runner/report.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/spoolfile.h"

struct pending {
    struct buf bytes;
    bool output;
};

struct report {
    const struct runner_paths *paths;
    struct spoolfile *file;
    char *stem;
    unsigned long generation;
    int bell;
    struct sockaddr_un address;
    int folder_fd; /* of the bell, whose path may be longer than an address */
    struct pending *v;
    size_t n, room; /* entries, and buffers kept for reuse */
    uint64_t dropped;
    bool first_form;
    struct buf fitted;
};

static int open_bell(struct report *r, struct error *err)
{
    r->folder_fd = open(r->paths->bell, O_PATH | O_DIRECTORY | O_CLOEXEC);
    r->bell = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (r->folder_fd < 0 || r->bell < 0)
        return error_errno(err, errno, "cannot ring the worker's bell in '%s'", r->paths->bell);
    r->address.sun_family = AF_UNIX;
    snprintf(r->address.sun_path, sizeof r->address.sun_path, "/proc/self/fd/%d/" WORKER_BELL,
             r->folder_fd);
    return 0;
}

static char *path_of(const struct report *r, unsigned long generation)
{
    if (generation == 0)
        return mem_printf("%s/%s.log", r->paths->spool, r->stem);
    return mem_printf("%s/%s.%lu.log", r->paths->spool, r->stem, generation);
}

/* The newest generation; 0: there is none. */
static int find_generation(struct report *r, struct error *err)
{
    DIR *d = opendir(r->paths->spool);
    size_t n = strlen(r->stem);
    if (!d)
        return error_errno(err, errno, "cannot read the folder '%s'", r->paths->spool);
    for (struct dirent *e; (e = readdir(d));) {
        char *end;
        if (strncmp(e->d_name, r->stem, n) != 0 || e->d_name[n] != '.')
            continue;
        unsigned long g = strtoul(e->d_name + n + 1, &end, 10);
        if (end > e->d_name + n + 1 && strcmp(end, ".log") == 0 && g > r->generation)
            r->generation = g;
    }
    closedir(d);
    return 0;
}

static int open_file(struct report *r, unsigned long generation, struct spoolfile **ret,
                     struct error *err)
{
    char *path = path_of(r, generation);
    int rc = spoolfile_open_append(path, 0600, ret, NULL, err);
    struct stat st;
    if (rc == 0 && r->paths->separated && lstat(path, &st) == 0 &&
        (st.st_gid != r->paths->worker.gid || (st.st_mode & 07777) != 0640) &&
        (chmod(path, 0640) < 0 || lchown(path, (uid_t)-1, r->paths->worker.gid) < 0)) {
        rc = error_errno(err, errno, "cannot let the worker read '%s'", path);
        spoolfile_close(ret);
    }
    mem_free(&path);
    return rc;
}

int report_open(const struct runner_paths *paths, const char *stem, struct report **ret,
                struct error *err)
{
    struct report *r = mem_zalloc(1, sizeof *r);
    r->bell = r->folder_fd = -1;
    r->paths = paths;
    r->stem = mem_strdup(stem);
    int rc = find_generation(r, err);
    if (rc == 0)
        rc = open_file(r, r->generation, &r->file, err);
    if (rc == -EBADMSG) /* the worker sets aside what is damaged; we go on in a file of our own */
        rc = open_file(r, ++r->generation, &r->file, err);
    if (rc == 0)
        rc = open_bell(r, err);
    if (rc < 0)
        report_close(&r);
    else
        *ret = r;
    return rc;
}

void report_roll(struct report *r)
{
    struct spoolfile *next = NULL;
    if (spoolfile_size(r->file) < REPORT_ROLL_BYTES || r->n ||
        open_file(r, r->generation + 1, &next, NULL) < 0)
        return;
    spoolfile_close(&r->file);
    r->file = next;
    r->generation++;
}

void report_close(struct report **pr)
{
    struct report *r = *pr;
    if (!r)
        return;
    spoolfile_close(&r->file);
    if (r->bell >= 0)
        close(r->bell);
    if (r->folder_fd >= 0)
        close(r->folder_fd);
    mem_free(&r->stem);
    buf_free(&r->fitted);
    for (size_t i = 0; i < r->room; i++)
        buf_free(&r->v[i].bytes);
    mem_free(&r->v);
    mem_free(pr);
}

static void add(struct report *r, struct span entry, bool output)
{
    if (r->n == r->room) {
        r->v = mem_realloc(r->v, r->room + 1, sizeof *r->v);
        r->v[r->room++] = (struct pending){0};
    }
    struct pending *p = &r->v[r->n++];
    buf_clear(&p->bytes);
    buf_add(&p->bytes, entry.p, entry.n);
    p->output = output;
}

void report_form(struct report *r, bool first)
{
    r->first_form = first;
}

/* A runner of 0.1 knows nothing of forms, and gives no context. */
void report_form_of(struct report *r, const struct s_launch *l)
{
    report_form(r, l->form.n || !l->context.n);
}

void report_add(struct report *r, struct span entry)
{
    uint64_t kind;
    size_t size;
    if (r->first_form && wire_peek(entry, &kind, &size, NULL) == 0)
        entry = messages_fit(kind, 0, entry, &r->fitted);
    add(r, entry, false);
}

void report_add_output(struct report *r, struct span entry)
{
    add(r, entry, true);
}

bool report_waits(const struct report *r)
{
    return r->n > 0;
}

uint64_t report_dropped(const struct report *r)
{
    return r->dropped;
}

/* Drops output; the rest moves up. */
static void keep_what_matters(struct report *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (r->v[i].output) {
            r->dropped++;
            continue;
        }
        struct pending t = r->v[kept];
        r->v[kept++] = r->v[i];
        r->v[i] = t;
    }
    r->n = kept;
}

/* The folder is the worker's: what lies there under the bell's name must be a socket of its own
 * before root sends to it. */
static int find_bell(struct report *r)
{
    struct stat st;
    int fd = openat(r->folder_fd, WORKER_BELL, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 &&
        (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode) || st.st_uid != r->paths->worker.uid)) {
        close(fd);
        return -1;
    }
    snprintf(r->address.sun_path, sizeof r->address.sun_path, "/proc/self/fd/%d", fd);
    return fd;
}

static void ring(struct report *r)
{
    int fd = r->paths->separated ? find_bell(r) : -1;
    if (r->paths->separated && fd < 0)
        return;
    /* No worker, or a full queue: then the worker reads the spool anyway, when it starts or
     * because it was told before. */
    if (sendto(r->bell, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&r->address,
               sizeof r->address) < 0) {
        /* it reads the spool anyway */
    }
    if (fd >= 0)
        close(fd);
}

int report_flush(struct report *r, struct error *err)
{
    enum { AT_ONCE = 64 };
    struct span spans[AT_ONCE];
    size_t done = 0;
    int rc = 0;
    while (rc == 0 && done < r->n) {
        size_t n = 0, written;
        for (; n < AT_ONCE && done + n < r->n; n++)
            spans[n] = buf_span(&r->v[done + n].bytes);
        rc = spoolfile_append_all(r->file, spans, n, &written, err);
        done += written;
    }
    for (size_t i = 0; i < r->n - done && done; i++) {
        /* buffers of written entries go to the end, for reuse */
        struct pending t = r->v[i];
        r->v[i] = r->v[done + i];
        r->v[done + i] = t;
    }
    r->n -= done;
    if (rc < 0)
        keep_what_matters(r);
    if (done)
        ring(r);
    return rc;
}
