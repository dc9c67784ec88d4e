/* slotfile.h - which steps lie at a slot's keeper, in a small mapped file that outlives the runner.
 *
 * What waits at a keeper is in no spool. A runner that follows one that was killed asks the keeper;
 * of a keeper that does not answer (its disk stalls, somebody has stopped it) this file says what
 * it will run when it goes on, so that nobody is asked to run that a second time. */
#ifndef LB_RUNNER_SLOTFILE_H
#define LB_RUNNER_SLOTFILE_H

#include "common/error.h"
#include "runner/slot.h"

struct slotfile; /* NULL does nothing and has nothing */

/* Makes the file if need be; one of another form is emptied. One user at a time: the runner's
   lock. */
int slotfile_open(const char *path, struct slotfile **ret, struct error *err);
void slotfile_close(struct slotfile **f); /* the file stays */

/* Each is done when it returns, whatever kills us then. */
void slotfile_put(struct slotfile *f, const struct slot_step *h); /* nothing if it is there */
void slotfile_drop(struct slotfile *f, const struct slot_step *h);
void slotfile_clear(struct slotfile *f);

/* The next from *at (0: the first) on; *at moves behind it. What is dropped meanwhile does no
   harm. */
bool slotfile_next(const struct slotfile *f, unsigned *at, struct slot_step *ret);

#endif
