/* workfolder.h - the folder in which a slot's children start: one a slot, kept, and empty for each
   of them. */
#ifndef LB_RUNNER_WORKFOLDER_H
#define LB_RUNNER_WORKFOLDER_H

#include "common/error.h"

struct workfolder;
int workfolder_open(const char *path, struct workfolder **ret, struct error *err);
void workfolder_close(struct workfolder **w); /* the folder stays */
int workfolder_fd(const struct workfolder *w);
const char *workfolder_path(const struct workfolder *w);
/* After a child: whatever it has left or done to the folder, it is ours, private and empty
   again. */
int workfolder_clean(struct workfolder *w, struct error *err);

#endif
