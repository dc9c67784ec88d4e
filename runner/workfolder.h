/* workfolder.h - the folder in which the children of a slot start. It is kept, and emptied for each
 * of them. */
#ifndef LB_RUNNER_WORKFOLDER_H
#define LB_RUNNER_WORKFOLDER_H

#include "common/error.h"
#include "runner/privilege.h"

struct workfolder;
/* separated: the folder belongs to the user of its last child (runnerpaths.h). */
int workfolder_open(const char *path, bool separated, struct workfolder **ret, struct error *err);
void workfolder_close(struct workfolder **w); /* the folder stays */
int workfolder_fd(const struct workfolder *w);
const char *workfolder_path(const struct workfolder *w);
/* After a child: makes the folder private and empty again, whatever the child has done. */
int workfolder_clean(struct workfolder *w, struct error *err);
/* Before a child: gives the folder to this user; NULL: it is ours. An error if it is not empty and
 * cannot be emptied. */
int workfolder_give(struct workfolder *w, const struct privilege_user *user, struct error *err);

#endif
