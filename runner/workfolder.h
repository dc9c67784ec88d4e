/* workfolder.h - the folder in which the children of a slot start. It is kept, and emptied for each
 * of them.
 *
 * A child may leave what cannot be removed: immutable files, files of other users, mounts. Its
 * folder then stays as it is, and the next child gets a fresh one beside it, N.1, N.2, ... Where
 * all of them are spoilt there is none, and the slot must not be used. */
#ifndef LB_RUNNER_WORKFOLDER_H
#define LB_RUNNER_WORKFOLDER_H

#include "common/error.h"
#include "runner/privilege.h"

enum { WORKFOLDER_BESIDE_MAX = 8 }; /* spoilt ones keep what they hold on the disk */

struct workfolder;
/* separated: the folder belongs to the user of its last child (runnerpaths.h). On failure no folder
 * of the slot can be emptied; the sentence is about the first. */
int workfolder_open(const char *path, bool separated, struct workfolder **ret, struct error *err);
void workfolder_close(struct workfolder **w); /* the folder stays */
int workfolder_fd(const struct workfolder *w);
/* Changes with workfolder_clean and workfolder_give. */
const char *workfolder_path(const struct workfolder *w);
/* After a child: gives us a folder that is private and empty, whatever the child has done. On
 * failure there is none, and no child may start. */
int workfolder_clean(struct workfolder *w, struct error *err);
/* Before a child: gives the folder to this user; NULL: it is ours. An error if it is not empty and
 * cannot be emptied. */
int workfolder_give(struct workfolder *w, const struct privilege_user *user, struct error *err);

#endif
