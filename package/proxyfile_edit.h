/* proxyfile_edit.h - changes one list of a proxies.d file; the rest stays as people wrote it. */
#ifndef LB_PACKAGE_PROXYFILE_EDIT_H
#define LB_PACKAGE_PROXYFILE_EDIT_H

#include "package/proxyfile.h"

struct proxyfile_edit {
    const char *name; /* of the file, for messages */
    struct span text; /* of it, as it is */
    const char *key;  /* subsystems, principals or signers */
    const char *value;
    bool add; /* else: take it away */
};
/* Puts the file's new text into *out, which is empty before. 1: done; 0: it says so already (or:
 * there is nothing to take away), and *out stays empty, as it does when this fails. -EINVAL: the
 * file is wrong, or would be, or the list stands for everybody, and nobody can be taken away from
 * it. *ret_lost: comments had to go, since the list is written in a form that this cannot
 * change. */
int proxyfile_edit(const struct proxyfile_edit *e, struct buf *out, bool *ret_lost,
                   struct error *err);

#endif
