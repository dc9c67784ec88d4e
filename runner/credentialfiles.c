/* credentialfiles.c - see credentialfiles.h. */
#include "runner/credentialfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "trust/credentials.h"

char *credentialfiles_folder(const struct runner_paths *paths, unsigned slot)
{
    return runner_paths_of_slot(paths->memory, "credentials", slot, "");
}

int credentialfiles_remove(const char *folder, struct error *err)
{
    return file_remove_tree(folder, err);
}

static int write_file(const struct runner_paths *paths, int dir, struct span name,
                      struct span content, const struct d_context *context, struct error *err)
{
    char text[LIMIT_NAME + 1];
    span_copy_str(name, text, sizeof text);
    int fd = openat(dir, text, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    int rc = fd < 0 ? -errno : file_write_all(fd, content.p, content.n);
    if (rc == 0 && paths->separated && fchown(fd, (uid_t)context->uid, (gid_t)context->gid) < 0)
        rc = -errno;
    if (fd >= 0)
        close(fd);
    return rc < 0 ? error_errno(err, -rc, "cannot hand out credential '%s'", text) : 0;
}

static int put_all(const struct runner_paths *paths, int dir, const struct d_context *context,
                   struct mask *secrets, struct error *err)
{
    const uid_t also = paths->separated ? 0 : geteuid();
    struct wire_iter it = wire_iter(&context->credentials);
    struct span name;
    struct value path;
    struct buf content = {0};
    int rc = 0;
    buf_grow(&content, CREDENTIAL_BYTES + 1); /* so that no copy is left behind as it grows */
    while (rc == 0 && wire_next_pair(&it, &name, &path)) {
        rc = credentials_read(name, path.bytes, also, &content, err);
        if (rc == 0)
            rc = write_file(paths, dir, name, buf_span(&content), context, err);
        if (rc == 0)
            mask_add(secrets, buf_span(&content));
        explicit_bzero(content.p, content.cap);
        buf_clear(&content);
    }
    buf_free(&content);
    return rc;
}

int credentialfiles_put(const struct runner_paths *paths, const char *folder,
                        const struct d_context *context, struct mask *secrets, struct error *err)
{
    const mode_t mode = paths->separated ? 0711 : 0700;
    int dir = -1, rc = file_remove_tree(folder, err);
    if (rc == 0 && (mkdir(folder, 0700) < 0 ||
                    (dir = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0 ||
                    fchmod(dir, mode) < 0))
        rc = error_errno(err, errno, "cannot make the folder '%s'", folder);
    if (rc == 0)
        rc = put_all(paths, dir, context, secrets, err);
    if (dir >= 0)
        close(dir);
    if (rc < 0)
        file_remove_tree(folder, NULL);
    return rc;
}
