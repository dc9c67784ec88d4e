/* heldfile.h - which steps lie at a slot's keeper, in a small mapped file that outlives the runner.
 *
 * What waits at a keeper is in no spool. A runner that follows one that was killed asks the keeper;
 * of a keeper that does not answer (its disk stalls, somebody has stopped it) this file says what
 * it will run when it goes on, so that nobody is asked to run that a second time. */
#ifndef LB_RUNNER_HELDFILE_H
#define LB_RUNNER_HELDFILE_H

#include "common/error.h"
#include "runner/slot.h"

struct heldfile; /* NULL does nothing and has nothing */

/* Makes the file if need be; one of another form is emptied. One user at a time: the runner's
   lock. */
int heldfile_open(const char *path, struct heldfile **ret, struct error *err);
void heldfile_close(struct heldfile **f); /* the file stays */

/* Each is done when it returns, whatever kills us then. */
void heldfile_put(struct heldfile *f, const struct held *h); /* nothing if it is there */
void heldfile_drop(struct heldfile *f, const struct held *h);
void heldfile_clear(struct heldfile *f);

/* The next from *at (0: the first) on; *at moves behind it. What is dropped meanwhile does no
   harm. */
bool heldfile_next(const struct heldfile *f, unsigned *at, struct held *ret);

#endif
