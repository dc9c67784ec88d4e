/* archive_fuzz.c - arbitrary bytes as a package: as the archive, or as the tar in it. What is
 * unpacked stays below the folder that it is unpacked to, and is what its manifest says; what is
 * refused has a sentence. */
/* needs: package/unpack_read.c package/manifest.c package/manifest_files.c */
/* needs: package/manifest_json.c package/manifest_parameter.c package/manifest_yaml.c */
/* needs: package/values.c package/values_map.c package/values_yaml.c -larchive */
#include <archive.h>
#include <archive_entry.h>
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "package/unpack_inner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char base[] = "/dev/shm/archive_fuzz-XXXXXX";

static void remove_base(void)
{
    file_remove_tree(base, NULL);
}

/* The bytes as the one file of a zstd stream. */
static void pack(int fd, const uint8_t *data, size_t size)
{
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();
    archive_write_set_format_raw(a);
    archive_write_add_filter_zstd(a);
    archive_write_set_bytes_in_last_block(a, 1);
    archive_entry_set_pathname(e, "data");
    archive_entry_set_filetype(e, AE_IFREG);
    if (archive_write_open_fd(a, fd) == ARCHIVE_OK && archive_write_header(a, e) == ARCHIVE_OK)
        archive_write_data(a, data, size);
    archive_write_free(a);
    archive_entry_free(e);
}

static void assert_only(const char *folder, const char *name)
{
    DIR *dir = opendir(folder);
    const struct dirent *e;
    assert(dir);
    while ((e = readdir(dir)))
        assert(strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
               strcmp(e->d_name, name) == 0);
    closedir(dir);
}

static void assert_as_listed(int folder, const struct manifest *m)
{
    struct stat st;
    for (size_t i = 0; i < m->n_files; i++) {
        char *path = mem_printf(PACKAGE_FILES "/%s", m->files[i].path);
        assert(fstatat(folder, path, &st, AT_SYMLINK_NOFOLLOW) == 0);
        if (m->files[i].link)
            assert(S_ISLNK(st.st_mode));
        else
            assert(S_ISREG(st.st_mode) && (uint64_t)st.st_size == m->files[i].size &&
                   (st.st_mode & 07777) == (m->files[i].executable ? 0555 : 0444));
        mem_free(&path);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct unpack_source *source;
    struct error err = {0};
    struct manifest m = {0};
    if (!source) {
        source = mem_znew(struct unpack_source);
        if (!mkdtemp(base))
            abort();
        atexit(remove_base);
    }
    if (!size)
        return 0;
    char *inside = mem_printf("%s/inside", base);
    int fd = memfd_create("archive", MFD_CLOEXEC);
    if (fd < 0 || mkdir(inside, 0700) < 0)
        abort();
    if (data[0] == 't')
        pack(fd, data + 1, size - 1);
    else if (write(fd, data, size) != (ssize_t)size)
        abort();
    off_t bytes = lseek(fd, 0, SEEK_END);
    lseek(fd, 0, SEEK_SET);
    int folder = open(inside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    unpack_source_begin(source, fd);
    if (unpack_read(source, folder, (uint64_t)bytes, &m, &err) == 0)
        assert_as_listed(folder, &m);
    else
        assert(err.code < 0 && err.text[0]);
    assert_only(base, "inside");
    manifest_free(&m);
    close(folder);
    close(fd);
    if (file_remove_tree(inside, NULL) < 0)
        abort();
    mem_free(&inside);
    return 0;
}
