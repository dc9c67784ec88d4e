/* implied.h - what a step needs of its server because of its subsystem: python3 for python, psql
 * for SQL of PostgreSQL, what a file of subsystems.d says. */
#ifndef LB_WORKER_IMPLIED_H
#define LB_WORKER_IMPLIED_H

#include "common/paths.h"
#include "proto/messages.h"

struct implied;
/* Files are read as they are asked about, and not again. Yours: implied_free. */
struct implied *implied_new(const struct paths *paths);
void implied_free(struct implied **i);

/* `need` is lent for the call. */
typedef void implied_add_fn(void *self, struct span need);
/* Calls `add` for each need; the runnable is of the step's package, NULL: it has none. A subsystem
 * that cannot be used implies none: its steps are refused for that. */
void implied_needs(struct implied *i, const struct d_step *step, const struct d_runnable *runnable,
                   implied_add_fn *add, void *self);

#endif
