/* ownfile.h - files that say what may happen with rights of root: only their owner may have written
 * them, and no link may lead elsewhere.
 *
 * The owner is root or `also`, a user that is trusted as much (0: nobody else). Group and others
 * must not be able to write to the file, nor to the folder in which it lies. */
#ifndef LB_COMMON_OWNFILE_H
#define LB_COMMON_OWNFILE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "common/error.h"

/* Examines the file without opening it. -ENOENT: it is not there; -EPERM: it is not such a file;
 * *err names it, and says what to do. */
int ownfile_stat(const char *path, uid_t also, struct stat *ret, struct error *err);
/* Opens it for reading, and examines what was opened. The caller closes *ret_fd. */
int ownfile_open(const char *path, uid_t also, int *ret_fd, struct stat *ret, struct error *err);
/* The same for a file that holds a secret: group and others must not read it either. */
int ownfile_open_secret(const char *path, uid_t also, int *ret_fd, struct error *err);
/* Are these two the same file, with the same content? By device, number, size and times. */
bool ownfile_same(const struct stat *a, const struct stat *b);

#endif
