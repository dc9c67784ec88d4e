/* letters.h - what is on its way between a worker and its runner: a socket that keeps the order of
 * each direction and takes its time. It outlives the worker's end: what a dead worker said still
 * arrives. */
#ifndef LB_TESTS_SIM_LETTERS_H
#define LB_TESTS_SIM_LETTERS_H

#include "tests/sim/world.h"

struct letters;
typedef void letters_read(void *self, bool to_worker, struct span message);

struct letters *letters_new(struct world *w, letters_read *read, void *self);
void letters_free(struct letters **l);
void letters_post(struct letters *l, bool to_worker, struct span message);
void letters_drop(struct letters *l, bool to_worker); /* all of this direction are lost */

#endif
