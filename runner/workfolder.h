/* workfolder.h - the folder in which the children of a slot start. It is kept, and emptied for each
 * of them.
 *
 * A child may leave what cannot be removed: immutable files, files of other users, mounts. Its
 * folder then stays as it is, and the next child gets a fresh one beside it, N.1, N.2, ... Where
 * all of them are spoilt there is none, and the slot must not be used. */
#ifndef LB_RUNNER_WORKFOLDER_H
#define LB_RUNNER_WORKFOLDER_H

#include "common/error.h"

enum { WORKFOLDER_BESIDE_MAX = 8 }; /* spoilt ones keep what they hold on the disk */

struct workfolder;
/* On failure no folder of the slot can be emptied; the sentence is about the first. */
int workfolder_open(const char *path, struct workfolder **ret, struct error *err);
void workfolder_close(struct workfolder **w); /* the folder stays */
int workfolder_fd(const struct workfolder *w);
const char *workfolder_path(const struct workfolder *w); /* changes with workfolder_clean */
/* After a child: gives us a folder that is ours, private and empty, whatever the child has done. On
 * failure there is none, and no child may start. */
int workfolder_clean(struct workfolder *w, struct error *err);

#endif
