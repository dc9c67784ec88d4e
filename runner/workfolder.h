/* workfolder.h - the folder in which the children of a slot start. It is kept, and emptied for each
 * of them. */
#ifndef LB_RUNNER_WORKFOLDER_H
#define LB_RUNNER_WORKFOLDER_H

#include "common/error.h"

struct workfolder;
int workfolder_open(const char *path, struct workfolder **ret, struct error *err);
void workfolder_close(struct workfolder **w); /* the folder stays */
int workfolder_fd(const struct workfolder *w);
const char *workfolder_path(const struct workfolder *w);
/* After a child: makes the folder ours, private and empty again, whatever the child has done. */
int workfolder_clean(struct workfolder *w, struct error *err);

#endif
