/* many.h - many seeds on all processors: so many of them, or as many as there is time for. */
#ifndef LB_TESTS_SIM_MANY_H
#define LB_TESTS_SIM_MANY_H

#include <stdbool.h>
#include <stdint.h>

struct many_order {
    const char *regressions; /* a file of seeds that are run first; NULL: none */
    uint64_t from, seeds;    /* then these */
    /* a campaign: seeds from `from` on until this time is over; 0: `seeds` of them */
    double seconds;
    double shrink_seconds; /* for the first seed that breaks a law; 0: it is not shrunk */
    /* no further seed after one that fails; a line for scripts says which came first */
    bool until_failure;
    const char *program; /* which replays a seed */
};
/* Prints what was broken, the counts and, last, "sim: N passed, M failed". The exit code. */
int many_run(const struct many_order *o);
unsigned many_processors(void);

#endif
