/* tries.h - runs worlds in forked processes, several at a time: one that ends its process (an
 * assertion, an endless loop) does not stop the others. */
#ifndef LB_TESTS_SIM_TRIES_H
#define LB_TESTS_SIM_TRIES_H

#include <sys/types.h>

#include "tests/sim/cluster.h"

enum { SEED_SECONDS = 120 /* a seed takes some 20 ms, ten times as long with a sanitizer */ };

/* Runs all of them at the same time, each for at most SEED_SECONDS, and waits for them. What
 * they print to stderr is discarded. */
void tries_tell(const struct cluster_order *orders, unsigned n, struct cluster_result *ret);
/* For a world that has ended its process: law LAW_COUNT, not passed, and the text says how it
 * ended. Leaves steps as they are. */
void tries_died(int status, struct cluster_result *ret);
/* Memory that forked processes share; zero at first. Ends the program when there is none. */
void *tries_share(size_t size);
pid_t tries_fork(void); /* ends the program when it fails */
double tries_now(void); /* seconds of the monotonic clock */

#endif
