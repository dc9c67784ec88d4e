/* hostilecaller.h - a caller with a valid key that does what it can against the others: it floods
 * calls to an address that never comes and to live servers, begins parents that it never drives,
 * calls below others' parents and in others' names, drives, ends, cancels and follows what is not
 * its own, and repeats keys with other bodies.
 *
 * It knows every id that the broker knows, and believes nothing that it is told. */
#ifndef LB_TESTS_SIM_HOSTILECALLER_H
#define LB_TESTS_SIM_HOSTILECALLER_H

#include "broker/core/view.h"
#include "tests/sim/catalog.h"
#include "tests/sim/network.h"

#define HOSTILE "mallory"

struct hostilecaller;
struct hostilecaller *hostilecaller_new(struct world *w, struct network *n, const struct catalog *c,
                                        const char *const *servers, unsigned n_servers);
void hostilecaller_free(struct hostilecaller **h);
void hostilecaller_start(struct hostilecaller *h);
/* It does one of its tricks. `core`: where it learns ids; NULL: the broker is down. */
void hostilecaller_act(struct hostilecaller *h, const struct bcore *core);

#endif
