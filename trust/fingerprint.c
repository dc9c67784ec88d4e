/* fingerprint.c - see fingerprint.h. */
#include "trust/fingerprint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "trust/envelope.h"

enum { BLOCK = 64 << 10, DEPTH_MAX = 64 };

struct printed {
    char *path;
    struct stat st; /* only mode, size, inode and change time count */
    struct hash hash;
};

struct fingerprint {
    struct printed *v; /* sorted by path */
    size_t n;
    size_t next; /* whose turn it is */
    bool whole;  /* everything has been examined once */
};

/* ---- What an entry holds */

static int hash_file(int folder, const char *path, struct hash *ret)
{
    crypto_generichash_state *state = mem_znew(crypto_generichash_state);
    int fd = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), why = errno;
    uint8_t *block = mem_alloc(BLOCK);
    ssize_t n = fd < 0 ? -1 : 0;
    crypto_generichash_init(state, NULL, 0, sizeof ret->b);
    while (fd >= 0 && (n = read(fd, block, BLOCK)) != 0) {
        why = errno;
        if (n > 0)
            crypto_generichash_update(state, block, (size_t)n);
        else if (why != EINTR)
            break;
    }
    crypto_generichash_final(state, ret->b, sizeof ret->b);
    if (fd >= 0)
        close(fd);
    mem_free(&block);
    mem_free(&state);
    return n < 0 ? -why : 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_listed(const char *name, bool top)
{
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           !(top && strcmp(name, FINGERPRINT_NAME) == 0);
}

/* The names in a folder, sorted; yours to free, each and all. */
static int names_of(int folder, const char *path, char ***ret, size_t *ret_n)
{
    bool top = strcmp(path, ".") == 0;
    int fd = openat(folder, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), why = errno;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    *ret = NULL;
    *ret_n = 0;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return -why;
    }
    for (const struct dirent *e; (e = readdir(d));)
        if (is_listed(e->d_name, top)) {
            *ret = mem_realloc(*ret, *ret_n + 1, sizeof **ret);
            (*ret)[(*ret_n)++] = mem_strdup(e->d_name);
        }
    closedir(d);
    if (*ret_n)
        qsort(*ret, *ret_n, sizeof **ret, by_name);
    return 0;
}

static void names_free(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(&names[i]);
    mem_free(&names);
}

static void hash_names(char *const *names, size_t n, struct hash *ret)
{
    struct buf all = {0};
    for (size_t i = 0; i < n; i++)
        buf_add(&all, names[i], strlen(names[i]) + 1);
    envelope_hash(buf_span(&all), ret);
    buf_free(&all);
}

static int hash_folder(int folder, const char *path, struct hash *ret)
{
    char **names;
    size_t n;
    int rc = names_of(folder, path, &names, &n);
    if (rc == 0)
        hash_names(names, n, ret);
    names_free(names, n);
    return rc;
}

static int hash_link(int folder, const char *path, struct hash *ret)
{
    char target[LIMIT_PATH + 1];
    ssize_t n = readlinkat(folder, path, target, sizeof target);
    if (n < 0)
        return -errno;
    envelope_hash(span_of(target, (size_t)n), ret);
    return 0;
}

static int hash_entry(int folder, const char *path, mode_t type, struct hash *ret)
{
    return S_ISREG(type)   ? hash_file(folder, path, ret)
           : S_ISLNK(type) ? hash_link(folder, path, ret)
           : S_ISDIR(type) ? hash_folder(folder, path, ret)
                           : -EPERM;
}

static int64_t changed(const struct stat *st)
{
    return (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
}

/* ---- The clock that change times are taken from, which ticks every few milliseconds: what is
 * written in the tick in which an entry was examined leaves no trace. */

static int64_t tick(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME_COARSE, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void let_tick_pass(void)
{
    const struct timespec pause = {0, 1000000};
    for (int64_t was = tick(); tick() == was;)
        nanosleep(&pause, NULL);
}

/* ---- Making one */

struct making {
    int folder;
    struct buf items;
    uint32_t n;
    struct error *err;
};

static void add(struct making *m, const char *path, const struct stat *st, const struct hash *h)
{
    struct buf one = {0};
    d_fingerprinted_encode(&(struct d_fingerprinted){.path = span_str(path),
                                                     .mode = st->st_mode,
                                                     .size = (uint64_t)st->st_size,
                                                     .inode = st->st_ino,
                                                     .changed = changed(st),
                                                     .hash = *h},
                           &one);
    wire_add_bin(&m->items, buf_span(&one));
    m->n++;
    buf_free(&one);
}

static int add_tree(struct making *m, const char *path, int depth)
{
    struct stat st;
    struct hash h;
    if (m->n >= LIMIT_FINGERPRINTED || depth > DEPTH_MAX || strlen(path) > LIMIT_PATH)
        return error_set(m->err, -EFBIG, "'%s' is too much or too deep for a package", path);
    int rc = fstatat(m->folder, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    if (rc == 0)
        rc = hash_entry(m->folder, path, st.st_mode, &h);
    if (rc < 0)
        return error_errno(m->err, -rc, "cannot read '%s'", path);
    add(m, path, &st, &h);
    if (!S_ISDIR(st.st_mode))
        return 0;
    char **names;
    size_t n;
    if ((rc = names_of(m->folder, path, &names, &n)) < 0)
        error_errno(m->err, -rc, "cannot read '%s'", path);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        char *below = mem_printf("%s/%s", path, names[i]);
        rc = add_tree(m, below, depth + 1);
        mem_free(&below);
    }
    names_free(names, n);
    return rc;
}

int fingerprint_make(int folder, struct buf *out, struct error *err)
{
    struct making m = {.folder = folder, .err = err};
    char **names;
    size_t n;
    let_tick_pass();
    int rc = names_of(folder, ".", &names, &n);
    if (rc < 0)
        error_errno(err, -rc, "cannot read a package's folder");
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = add_tree(&m, names[i], 0);
    if (rc == 0)
        d_fingerprint_encode(&(struct d_fingerprint){.files = wire_list_from(&m.items, m.n)}, out);
    names_free(names, n);
    buf_free(&m.items);
    return rc;
}

/* ---- Reading one */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct printed *)a)->path, ((const struct printed *)b)->path);
}

int fingerprint_parse(struct span bytes, struct fingerprint **ret, struct error *err)
{
    struct d_fingerprint d;
    struct d_fingerprinted one;
    struct span item;
    int rc = d_fingerprint_decode(bytes, &d, err);
    if (rc < 0)
        return -EBADMSG;
    struct fingerprint *f = mem_zalloc(1, sizeof *f);
    f->v = mem_zalloc(d.files.count, sizeof *f->v);
    for (struct wire_iter it = wire_iter(&d.files); rc == 0 && wire_next(&it, &item);) {
        if ((rc = d_fingerprinted_decode(item, &one, err)) < 0)
            break;
        struct printed *e = &f->v[f->n++];
        e->path = span_dup_str(one.path);
        e->hash = one.hash;
        e->st.st_mode = (mode_t)one.mode;
        e->st.st_size = (off_t)one.size;
        e->st.st_ino = one.inode;
        e->st.st_ctim.tv_sec = one.changed / 1000000000;
        e->st.st_ctim.tv_nsec = one.changed % 1000000000;
    }
    if (rc < 0) {
        fingerprint_free(&f);
        return -EBADMSG;
    }
    if (f->n)
        qsort(f->v, f->n, sizeof *f->v, by_path);
    *ret = f;
    return 0;
}

void fingerprint_free(struct fingerprint **pf)
{
    struct fingerprint *f = *pf;
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++)
        mem_free(&f->v[i].path);
    mem_free(&f->v);
    mem_free(pf);
}

static struct printed *find(const struct fingerprint *f, const char *path)
{
    struct printed key = {.path = (char *)path};
    return f->n ? bsearch(&key, f->v, f->n, sizeof *f->v, by_path) : NULL;
}

const struct hash *fingerprint_of(const struct fingerprint *f, const char *path)
{
    const struct printed *e = find(f, path);
    return e ? &e->hash : NULL;
}

/* ---- Comparing */

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_mode == b->st_mode && a->st_size == b->st_size && a->st_ino == b->st_ino &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int examine(struct printed *e, int folder, struct error *err)
{
    struct stat st;
    struct hash h;
    int64_t now = tick();
    if (fstatat(folder, e->path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return error_errno(err, errno == ENOENT ? EPERM : errno,
                           "'%s' of the package is no longer there as it was installed", e->path);
    if (is_same(&st, &e->st))
        return 0;
    if (st.st_mode != e->st.st_mode || hash_entry(folder, e->path, st.st_mode, &h) < 0 ||
        !hash_eq(&h, &e->hash))
        return error_set(err, -EPERM,
                         "'%s' of the package was altered after it was installed; install the "
                         "package again",
                         e->path);
    if (changed(&st) < now)
        e->st = st;
    return 0;
}

int fingerprint_check(struct fingerprint *f, int folder, const char *first, size_t most,
                      struct error *err)
{
    struct printed *e = find(f, first);
    if (!e)
        return error_set(err, -EPERM, "the package had no '%s' when it was installed", first);
    size_t n = f->whole && most < f->n ? most : f->n;
    int rc = n < f->n ? examine(e, folder, err) : 0; /* else it is among the rest */
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = examine(&f->v[f->next], folder, err);
        f->next = (f->next + 1) % f->n;
    }
    f->whole |= rc == 0;
    return rc;
}
