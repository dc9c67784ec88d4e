/* file.h - files whole: read, replaced atomically, locked, judged, removed with all below.
 * Sentences name the path. */
#ifndef LB_COMMON_FILE_H
#define LB_COMMON_FILE_H

#include <sys/types.h>

#include "common/buf.h"
#include "common/error.h"

/* Appends the whole content to *out; on failure nothing is appended. -EFBIG: it is larger than
 * `max` bytes; -EISDIR; a FIFO or device that has nothing to say does not hang us (-EINVAL: not a
 * regular file). Files of /proc are fine. */
int file_read(const char *path, size_t max, struct buf *out, struct error *err);

/* Replaces `path` by a file with exactly this content and mode (the umask does not count): a
 * temporary one in the same folder, fsync, rename, fsync of the folder. After success it survives a
 * power loss; after failure or a crash the old content is there. A crash may leave ".<name>.XXXXXX"
 * behind. A symbolic link at `path` is replaced, not followed. */
int file_write_atomic(const char *path, struct span content, mode_t mode, struct error *err);

/* What has been written to the file, and that it is there, survives a power loss from now on. */
int file_sync(const char *path, struct error *err);

/* Makes the folder and those above it that are missing, all with `mode` (less the umask). Being
 * there is success; -ENOTDIR: something else is. */
int file_make_dirs(const char *path, mode_t mode, struct error *err);

/* May this file hold a secret? A regular file, no symbolic link, owned by us or root, no bit for
 * group and others. -EPERM with a sentence that says which of these does not hold and what to
 * do. */
int file_check_private(const char *path, struct error *err);
/* file_read that judges the very file it has opened, by the same rules. */
int file_read_private(const char *path, size_t max, struct buf *out, struct error *err);

/* Takes the lock file, making it if need be, and writes our pid into it. The lock lives as long as
 * *ret_fd (or a copy of it in a forked process: close it there). -EBUSY: the sentence names the pid
 * that has it. The file stays: removing it would let two hold a lock of one name. */
int file_lock(const char *path, int *ret_fd, struct error *err);
/* For who only looks: does a process hold this lock file? 1: yes, and the sentence in *err names
 * it; 0: nobody does, or there is no such file. Makes and writes nothing; a lock that is free is
 * shared for an instant. */
int file_lock_is_held(const char *path, struct error *err);

/* Removes `path` and everything below. Links are removed, never followed; a mounted file system
 * below is not entered (-EXDEV); folders without permissions are given them; depth does not matter.
 * What is not there is success. */
int file_remove_tree(const char *path, struct error *err);

/* read() and write() until all of it is done, going on after EINTR. For the write: 0 or -errno. For
 * the read: the bytes read, fewer than n only at the end of the file, or -errno. */
int file_write_all(int fd, const void *p, size_t n);
ssize_t file_read_all(int fd, void *p, size_t n);

#endif
