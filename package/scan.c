/* scan.c - what is in a package's source folder: archive_scan and archive_examine of archive.h. */
#include "package/archive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/hashbang.h"
#include "common/mem.h"

enum { READ_BYTES = 128 << 10, LINK_MAX = 1024 };

struct scan {
    const char *folder;
    struct manifest *m;
    struct problems *problems;
    uint8_t *block;
};

static bool is_left_out(const char *name, bool top)
{
    static const char *const never[] = {".git", ".hg", ".svn", "__pycache__", NULL};
    static const char *const top_suffixes[] = {ARCHIVE_SUFFIX, ARCHIVE_SUFFIX SIGNATURE_SUFFIX,
                                               NULL};
    for (size_t i = 0; never[i]; i++)
        if (strcmp(name, never[i]) == 0)
            return true;
    size_t n = strlen(name);
    for (size_t i = 0; top && top_suffixes[i]; i++)
        if (n > strlen(top_suffixes[i]) &&
            strcmp(name + n - strlen(top_suffixes[i]), top_suffixes[i]) == 0)
            return true;
    return false;
}

static void refuse(struct scan *s, const char *path, const char *why)
{
    problems_add(s->problems, false, "%s/%s: %s", s->folder, path, why);
}

static void refuse_errno(struct scan *s, const char *path, int why)
{
    refuse(s, path, strerror(why));
}

static struct manifest_file *add_file(struct scan *s, const char *path)
{
    struct manifest *m = s->m;
    if ((m->n_files & (m->n_files - 1)) == 0)
        m->files = mem_realloc(m->files, m->n_files ? m->n_files * 2 : 1, sizeof *m->files);
    m->files[m->n_files] = (struct manifest_file){.path = mem_strdup(path)};
    return &m->files[m->n_files++];
}

static void scan_file(struct scan *s, int parent, const char *name, const char *path)
{
    struct stat st;
    int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        refuse_errno(s, path, errno);
        if (fd >= 0)
            close(fd);
        return;
    }
    struct manifest_file *f = add_file(s, path);
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof f->hash.b);
    ssize_t n;
    while ((n = read(fd, s->block, READ_BYTES)) > 0) {
        crypto_generichash_update(&state, s->block, (size_t)n);
        f->size += (uint64_t)n;
    }
    if (n < 0)
        refuse_errno(s, path, errno);
    crypto_generichash_final(&state, f->hash.b, sizeof f->hash.b);
    f->executable = (st.st_mode & S_IXUSR) != 0;
    close(fd);
}

static void scan_link(struct scan *s, int parent, const char *name, const char *path)
{
    char target[LINK_MAX + 1];
    struct error err;
    ssize_t n = readlinkat(parent, name, target, LINK_MAX);
    if (n < 0) {
        refuse_errno(s, path, errno);
        return;
    }
    target[n] = 0;
    if (manifest_link_check(path, target, &err) < 0) {
        refuse(s, path, err.text);
        return;
    }
    add_file(s, path)->link = mem_strdup(target);
}

static void scan_folder(struct scan *s, int fd, const char *path);

static void scan_entry(struct scan *s, int parent, const char *name, const char *above)
{
    struct stat st;
    struct error err;
    char *path = *above ? mem_printf("%s/%s", above, name) : mem_strdup(name);
    if (manifest_path_check(span_str(path), &err) < 0) {
        problems_add(s->problems, false, "%s: %s", s->folder, err.text);
    } else if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        refuse_errno(s, path, errno);
    } else if (S_ISDIR(st.st_mode)) {
        int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            refuse_errno(s, path, errno);
        else
            scan_folder(s, fd, path);
    } else if (S_ISREG(st.st_mode)) {
        scan_file(s, parent, name, path);
    } else if (S_ISLNK(st.st_mode)) {
        scan_link(s, parent, name, path);
    } else {
        refuse(s, path,
               S_ISFIFO(st.st_mode)   ? "a FIFO cannot be packed"
               : S_ISSOCK(st.st_mode) ? "a socket cannot be packed"
                                      : "a device cannot be packed");
    }
    mem_free(&path);
}

/* Takes fd. A path is at most PACKAGE_DEPTH_MAX folders deep, so this recursion is, too. */
static void scan_folder(struct scan *s, int fd, const char *path)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        refuse_errno(s, *path ? path : ".", errno);
        close(fd);
        return;
    }
    const struct dirent *e;
    while ((e = readdir(dir)) && s->m->n_files <= PACKAGE_FILES_MAX)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            !is_left_out(e->d_name, !*path))
            scan_entry(s, dirfd(dir), e->d_name, path);
    closedir(dir);
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct manifest_file *)a)->path, ((const struct manifest_file *)b)->path);
}

int archive_scan(const char *folder, struct manifest *m, struct problems *problems)
{
    struct scan s = {.folder = folder, .m = m, .problems = problems};
    struct error err;
    size_t before = problems->errors;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        problems_add(problems, false, "%s: %s", folder, strerror(errno));
        return -EINVAL;
    }
    s.block = mem_alloc(READ_BYTES);
    scan_folder(&s, fd, "");
    mem_free(&s.block);
    if (m->n_files)
        qsort(m->files, m->n_files, sizeof *m->files, by_path);
    if (problems->errors == before && manifest_check_files(m, &err) < 0)
        problems_add(problems, false, "%s: %s", folder, err.text);
    return problems->errors > before ? -EINVAL : 0;
}

/* What the kernel will not execute, although the file is there and may be executed. */
static void warn_of_entry(const char *folder, const struct manifest *m, struct problems *ps)
{
    char interpreter[HASHBANG_BYTES];
    if (strcmp(m->subsystem, "exec") != 0)
        return;
    char *path = mem_printf("%s/%s", folder, m->entry);
    switch (hashbang_of_file(path, interpreter)) {
    case HASHBANG_EMPTY:
        problems_add(ps, true, "%s is empty, so it cannot be executed", path);
        break;
    case HASHBANG_NONE:
        problems_add(ps, true,
                     "%s is no program and has no #! line, so it cannot be executed; begin it with "
                     "one, for example #!/bin/sh",
                     path);
        break;
    case HASHBANG_CR:
        problems_add(ps, true,
                     "the first line of %s ends with CR LF, so its interpreter '%s' will not be "
                     "found; save it with LF alone",
                     path, interpreter);
        break;
    case HASHBANG_LINE:
        if (access(interpreter, X_OK) < 0)
            problems_add(ps, true, "the interpreter of %s, '%s', is not on this machine", path,
                         interpreter);
        break;
    default:
        break;
    }
    mem_free(&path);
}

int archive_examine(const char *folder, struct manifest *ret, struct problems *problems)
{
    struct error err;
    struct manifest m = {0};
    char *yaml = mem_printf("%s/%s", folder, PACKAGE_YAML);
    struct stat st;
    if (lstat(yaml, &st) < 0 && errno == ENOENT) {
        problems_add(problems, false,
                     "%s: there is no " PACKAGE_YAML " here; lbpkg new makes a new package",
                     folder);
        mem_free(&yaml);
        return -EINVAL;
    }
    int rc = manifest_read_yaml(yaml, &m, problems);
    /* report wrong files even if the manifest is wrong */
    struct manifest files = {0}, *into = rc == 0 ? &m : &files;
    if (archive_scan(folder, into, problems) < 0)
        rc = -EINVAL;
    if (rc == 0 && manifest_check_entry(&m, &err) < 0) {
        problems_add(problems, false, "%s:%u:%u: %s", yaml, m.entry_line, m.entry_column, err.text);
        rc = -EINVAL;
    }
    if (rc == 0)
        warn_of_entry(folder, &m, problems);
    mem_free(&yaml);
    manifest_free(&files);
    if (rc < 0)
        manifest_free(&m);
    else
        *ret = m;
    return rc;
}
