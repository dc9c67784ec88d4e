/* tries.h - worlds told in forked processes, several at a time: one that ends its process (an
 * assertion of a core, a loop without end) costs no other one. */
#ifndef LB_TESTS_SIM_TRIES_H
#define LB_TESTS_SIM_TRIES_H

#include <sys/types.h>

#include "tests/sim/cluster.h"

enum { SEED_SECONDS = 120 /* a seed takes some 20 ms, ten times that with a sanitizer */ };

/* Tells them all at the same time, each for at most SEED_SECONDS, and waits for all. What the
 * worlds print to stderr goes nowhere. */
void tries_tell(const struct cluster_order *orders, unsigned n, struct cluster_result *ret);
/* The world has ended its process: law LAW_COUNT, not passed, and the text says how. Steps are left
   as they are. */
void tries_died(int status, struct cluster_result *ret);
/* Memory that forked processes share; zero at first. It ends the program when there is none. */
void *tries_share(size_t size);
pid_t tries_fork(void); /* ends the program when it fails */
double tries_now(void); /* seconds of the monotonic clock */

#endif
