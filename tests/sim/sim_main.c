/* sim_main.c - the simulator's program: many seeds on all processors, one with its trace, or a
 * smaller world of one. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/options.h"
#include "tests/sim/many.h"
#include "tests/sim/shrink.h"
#include "trust/keys.h"

static const struct option_row rows[] = {
    {"seeds", 'n', OPTION_INT, "1000", 0, 1000000000, false, "N",
     "how many seeds, besides the regressions"},
    {"from", 'f', OPTION_INT, "1", 0, INT64_MAX, false, "S",
     "the first of them; of a campaign it comes from the time"},
    {"minutes", 'm', OPTION_INT, NULL, 1, 100000, false, "N",
     "a campaign: other seeds each time, without the regressions, until so many minutes are over"},
    {"regressions", 0, OPTION_STR, "tests/sim/regressions", 0, 0, false, "FILE",
     "seeds that once failed; they run first"},
    {"shrink", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "look for a smaller world in which SEED breaks the same law, and print the command that shows it"},
    {"shrink-for", 0, OPTION_DURATION, "20s", 0, 86400000, false, "TIME",
     "how long to look for it; many seeds do it for the first one that fails, 0s: they do not"},
    {"until-failure", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "no further seed after one that fails; a line `first failure: SEED LAW TEXT` says which came first"},
    {"steps", 0, OPTION_INT, "0", 0, INT64_MAX, false, "N", "of one seed: only its first N events"},
    {"servers", 0, OPTION_STR, NULL, 0, 0, false, "LIST", "of one seed: only these servers: 1,3-4"},
    {"callers", 0, OPTION_STR, NULL, 0, 0, false, "LIST", "... only these callers"},
    {"slots", 0, OPTION_INT, NULL, 1, 64, false, "N",
     "... no more than so many slots at each server"},
    {"calls", 0, OPTION_STR, NULL, 0, 0, false, "LIST",
     "... only these calls, by the trace's numbers: 1-4,9, or none"},
    {"troubles", 0, OPTION_STR, NULL, 0, 0, false, "LIST",
     "... only these troubles, by the trace's numbers"},
    {"without", 0, OPTION_STR, NULL, 0, 0, false, "NAMES",
     "... none of these kinds of trouble and habits: exile,drop; a wrong name prints them all"},
    {"chaos", 0, OPTION_DURATION, NULL, 1, 86400000, false, "TIME",
     "... faults end after this time, or earlier"},
    {"dice", 0, OPTION_INT, "0", 0, INT64_MAX, false, "N", "... other delays of everything"},
};

static int read_subset(const struct option_values *v, struct subset *l, struct error *err)
{
    struct {
        const char *name;
        struct only *ret;
    } lists[] = {{"servers", &l->servers},
                 {"callers", &l->callers},
                 {"calls", &l->calls},
                 {"troubles", &l->troubles}};
    const char *without = opt_str(v, "without");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < COUNT_OF(lists); i++)
        if (opt_str(v, lists[i].name))
            rc = only_parse(opt_str(v, lists[i].name), lists[i].ret, err);
    if (rc == 0 && without)
        rc = subset_parse_without(without, l, err);
    l->slots = (unsigned)opt_int(v, "slots");
    l->chaos_ms = opt_int(v, "chaos");
    l->dice = (uint64_t)opt_int(v, "dice");
    return rc;
}

static int tell(struct cluster_order *o)
{
    struct cluster_result r;
    o->trace = stdout;
    cluster_tell(o, &r);
    printf("sim: seed %" PRIu64 ", %" PRIu64 " events, %.1f virtual s, trace %016" PRIx64 "\n",
           o->seed, r.steps, (double)r.virtual_us / 1e6, r.trace_hash);
    if (!r.passed) {
        printf("sim: ");
        cluster_say(stdout, &r);
    }
    printf("sim: %d passed, %d failed\n", r.passed, !r.passed);
    return r.passed ? 0 : 1;
}

static int run_one(const char *text, const struct option_values *v, const char *program,
                   struct error *err)
{
    struct shrink_order o = {.processes = many_processors(),
                             .seconds = (double)opt_int(v, "shrink-for") / 1000};
    char *end;
    o.world.seed = strtoull(text, &end, 10);
    if (!*text || *end)
        return error_set(err, -EINVAL, "'%s' is no seed: a number is", text);
    int rc = read_subset(v, &o.world.subset, err);
    if (rc < 0)
        return rc;
    if (opt_flag(v, "shrink")) {
        rc = shrink_and_say(&o, program, err);
        return rc < 0 ? rc : 1;
    }
    o.world.most = (uint64_t)opt_int(v, "steps");
    return tell(&o.world);
}

static int run_many(const struct option_values *v, const char *program, struct error *err)
{
    struct many_order o = {.from = (uint64_t)opt_int(v, "from"),
                           .seeds = (uint64_t)opt_int(v, "seeds"),
                           .regressions = opt_str(v, "regressions"),
                           .shrink_seconds = (double)opt_int(v, "shrink-for") / 1000,
                           .until_failure = opt_flag(v, "until-failure"),
                           .program = program};
    if (opt_flag(v, "shrink"))
        return error_set(err, -EINVAL, "--shrink needs a seed: sim --shrink SEED");
    if (opt_given(v, "minutes")) {
        o.seconds = 60.0 * (double)opt_int(v, "minutes");
        o.regressions = NULL;
        if (!opt_given(v, "from"))
            o.from = (uint64_t)time(NULL) * 1000;
        fprintf(stderr,
                "sim: a campaign of %" PRId64 " minutes on %u processors, seeds from %" PRIu64 "\n",
                opt_int(v, "minutes"), many_processors(), o.from);
    }
    return many_run(&o);
}

int main(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    int first, rc;
    if (options_parse(rows, COUNT_OF(rows), argc, argv, &v, &first, &err) < 0 ||
        trust_init(&err) < 0) {
        fprintf(stderr, "sim: %s\n", err.text);
        return 2;
    }
    if (options_answered(
            &v, "sim", "[--seeds N [--from S] | --minutes N [--from S] | SEED | --shrink SEED]",
            "  sim --seeds 1000                a thousand seeds, after the regressions\n"
            "  sim --minutes 30                as many as half an hour has room for\n"
            "  sim 4711                        one seed with its trace\n"
            "  sim --shrink 4711               a smaller world that breaks the same law\n"
            "  sim 4711 --troubles 3,9 --servers 1   such a world, with its trace\n"))
        rc = 0;
    else if (first < argc)
        rc = run_one(argv[first], &v, argv[0], &err);
    else
        rc = run_many(&v, argv[0], &err);
    if (rc < 0)
        fprintf(stderr, "sim: %s\n", err.text);
    options_free(&v);
    return rc < 0 ? 2 : rc;
}
