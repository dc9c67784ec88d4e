/* subset.h - a part of a seed's world: a smaller world that breaks the same law is easier to read.
 *
 * All zero: the whole world. What stays is as the seed has it, as far as that is possible: what
 * is left out draws no random numbers from what stays (world.h), but without it events happen at
 * other times. So a smaller world cannot be computed; it has to be tried (shrink.h). */
#ifndef LB_TESTS_SIM_SUBSET_H
#define LB_TESTS_SIM_SUBSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Ordinals from 1; those past ONLY_MAX are always out. */
enum { ONLY_MAX = 8192, ONLY_WORDS = ONLY_MAX / 64 };
struct only {
    bool given; /* false: all */
    uint64_t bits[ONLY_WORDS];
};
bool only_has(const struct only *o, unsigned ordinal);
bool only_is_over(const struct only *o, unsigned ordinal); /* none comes after this one */
void only_first(struct only *o, unsigned n);               /* 1 .. n */
/* sets `given`; past ONLY_MAX: no effect */
void only_add(struct only *o, unsigned ordinal);
void only_drop(struct only *o, unsigned ordinal);
unsigned only_count(const struct only *o); /* of one that is given */

/* Random events besides the troubles of faults.c that can be switched off. */
#define HABITS(X) \
    X(DROP, "drop") /* frames */ \
    X(DUPLICATE, "duplicate") \
    X(REORDER, "reorder") \
    X(SPIKE, "spike") \
    X(FAR, "far") /* a network of more than 0.3 ms */ \
    X(CANCELS, "cancels") \
    X(REPEATS, "repeats") \
    X(OTHERS, "others")   /* keys repeated with another body */ \
    X(HOSTILE, "hostile") /* a caller that works against the others */ \
    X(AHEAD, "ahead")     /* attempts that wait at a server */
#define X(n, t) HABIT_##n,
enum habit { HABITS(X) HABIT_COUNT };
#undef X

struct subset {
    struct only servers, callers; /* at least one of each stays */
    struct only troubles, calls;
    unsigned slots;   /* at most so many at each server; 0: as the seed has it */
    int64_t chaos_ms; /* no faults after this time; 0: as the seed has it */
    uint64_t kinds;   /* bits: troubles that never happen, see cluster_trouble */
    uint64_t habits;  /* bits: habits that are switched off */
    uint64_t dice;    /* not 0: the same members, calls and troubles, but other delays */
};
#define SUBSET_WITHOUT(s, HABIT) (((s)->habits >> (HABIT)&1) != 0)

/* Reads "1-4,9" or "none". -EINVAL with a sentence in *err. */
int only_parse(const char *text, struct only *ret, struct error *err);
/* Reads names of troubles and habits: "exile,drop". */
int subset_parse_without(const char *text, struct subset *s, struct error *err);
/* The options that give this subset, each after a space: " --servers 1 --troubles 4,9". Yours to
 * free. */
char *subset_options(const struct subset *s);

#endif
