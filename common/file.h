/* file.h - whole files: read, replaced atomically, locked, checked, removed with all that is below.
 * Each error names the path. */
#ifndef LB_COMMON_FILE_H
#define LB_COMMON_FILE_H

#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"

/* Appends the whole content to *out. Files of /proc are fine. On failure nothing is appended:
 * -EFBIG: it is larger than `max` bytes; -EISDIR: it is a folder; -EINVAL: it is a FIFO or
 * device, which could block. */
int file_read(const char *path, size_t max, struct buf *out, struct error *err);

/* Replaces `path` by a file with exactly this content and mode (the umask does not count): a
 * temporary one in the same folder, fsync, rename, fsync of the folder. After success it survives a
 * power loss; after failure or a crash the old content is there. A crash may leave ".<name>.XXXXXX"
 * behind. A symbolic link at `path` is replaced, not followed. */
int file_write_atomic(const char *path, struct span content, mode_t mode, struct error *err);

/* Syncs the file and its folder: what was written, and its name, survive a power loss. */
int file_sync(const char *path, struct error *err);

/* Makes the folder and those above it that are missing, with `mode` less the umask. An existing
 * folder is success. -ENOTDIR: something else exists there. */
int file_make_dirs(const char *path, mode_t mode, struct error *err);

/* Checks that a file may hold a secret: a regular file, not a symbolic link, owned by this user
 * or root, with no permission for group and others. -EPERM: it may not; *err says why and what
 * to do. */
int file_check_private(const char *path, struct error *err);
/* file_read of a file that passes file_check_private; checks the file that it has opened. */
int file_read_private(const char *path, size_t max, struct buf *out, struct error *err);

/* Locks the file, creating it if necessary, and writes the process id into it. The lock lasts
 * until *ret_fd is closed, and each copy of it in forked processes. -EBUSY: another process
 * holds it; *err names its id. The file stays: if it were removed, two processes could hold a
 * lock of one name. */
int file_lock(const char *path, int *ret_fd, struct error *err);
/* Tests whether a process holds this lock file, without changing anything. 1: yes, and *err
 * names the process; 0: no, or there is no such file. A free lock is held shared for an instant. */
int file_lock_is_held(const char *path, struct error *err);

/* Removes `path` and everything below. Links are removed, never followed; a mounted file system
 * below is not entered (-EXDEV); folders without permissions are given them; any depth works. A
 * missing path is success. */
int file_remove_tree(const char *path, struct error *err);

/* Removes all that is below the open folder, which stays; `path` is for sentences. */
int file_empty_folder(int folder, const char *path, struct error *err);

/* read() and write() that continue until all n bytes are done, also after EINTR. Writing returns
 * 0 or -errno; reading the number of bytes, less than n only at the end of the file, or -errno. */
int file_write_all(int fd, const void *p, size_t n);
ssize_t file_read_all(int fd, void *p, size_t n);

/* The path of the program `name` in the folder of the program that runs; yours to free. */
char *file_beside_program(const char *name);

#endif
