/* many.h - runs many seeds on all processors: a given number, or as many as time allows. */
#ifndef LB_TESTS_SIM_MANY_H
#define LB_TESTS_SIM_MANY_H

#include <stdbool.h>
#include <stdint.h>

struct many_order {
    const char *regressions; /* a file of seeds to run first; NULL: none */
    uint64_t from, seeds;    /* then these */
    /* a campaign: seeds from `from` on until this time has passed; 0: `seeds` of them */
    double seconds;
    double shrink_seconds; /* time to shrink the first failing seed; 0: do not shrink */
    /* stop after the first failing seed and print it in a line for scripts */
    bool until_failure;
    const char *program; /* the command that replays a seed */
};
/* Prints broken laws, counts and, last, "sim: N passed, M failed". Returns the exit code. */
int many_run(const struct many_order *o);
unsigned many_processors(void);

#endif
