/* monitornode.h - a monitor's process. It subscribes with a filter from its last number on,
 * takes events and gives credit for them, sometimes late. After an interruption it continues
 * from that number, after a crash from the last number that it saved. */
#ifndef LB_TESTS_SIM_MONITORNODE_H
#define LB_TESTS_SIM_MONITORNODE_H

#include "tests/sim/laws.h"
#include "tests/sim/network.h"

struct monitornode;
/* `servers`: names that a filter may have. */
struct monitornode *monitornode_new(struct world *w, struct network *n, struct laws *l,
                                    const char *name, const char *const *servers,
                                    unsigned n_servers);
void monitornode_free(struct monitornode **m);
void monitornode_start(struct monitornode *m);
void monitornode_crash(struct monitornode *m, int64_t for_us);
void monitornode_pause(struct monitornode *m, int64_t for_us);
struct cable *monitornode_cable(struct monitornode *m);
/* Is it still waiting for the last event that matches its filter? */
bool monitornode_is_owed(const struct monitornode *m, uint64_t *ret_lsn);

#endif
