/* slotfile.h - which steps a slot's keeper holds, in a small mapped file that outlives the runner.
 *
 * A step that waits at a keeper is in no spool. After a crash the next runner asks the keeper.
 * If the keeper does not answer (its disk stalls, or it was stopped), this file tells what it
 * will run when it resumes, so that no step is started a second time. */
#ifndef LB_RUNNER_SLOTFILE_H
#define LB_RUNNER_SLOTFILE_H

#include "common/error.h"
#include "runner/slot.h"

struct slotfile; /* all calls accept NULL, an empty file that stores nothing */

/* Makes the file if it does not exist; one in another format is emptied. The runner's lock is
 * held: there is one user at a time. On success *ret is yours: slotfile_close. */
int slotfile_open(const char *path, struct slotfile **ret, struct error *err);
void slotfile_close(struct slotfile **f); /* the file stays */

/* The change is in the file when the call returns, even if we are killed right after. */
void slotfile_put(struct slotfile *f, const struct slot_step *h); /* no effect if it is there */
void slotfile_drop(struct slotfile *f, const struct slot_step *h);
void slotfile_clear(struct slotfile *f);

/* Walks the steps: begin with *at 0. False after the last. Steps may be dropped meanwhile. */
bool slotfile_next(const struct slotfile *f, unsigned *at, struct slot_step *ret);

#endif
