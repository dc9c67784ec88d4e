/* sim_main.c - the simulator's program: many seeds on all processors, one seed with its trace, or a
 * smaller world of one seed. */
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
     "number of seeds to run after the regressions"},
    {"from", 'f', OPTION_INT, "1", 0, INT64_MAX, false, "S",
     "first seed; a campaign takes it from the clock by default"},
    {"minutes", 'm', OPTION_INT, NULL, 1, 100000, false, "N",
     "run a campaign for N minutes: new seeds each time, no regressions"},
    {"regressions", 0, OPTION_STR, "tests/sim/regressions", 0, 0, false, "FILE",
     "file of seeds that once failed; these run first"},
    {"shrink", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "find a smaller world in which SEED breaks the same law; print its command"},
    {"shrink-for", 0, OPTION_DURATION, "20s", 0, 86400000, false, "TIME",
     "time limit for --shrink; many seeds shrink their first failure (0s: they don't)"},
    {"until-failure", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "stop after the first failing seed; print `first failure: SEED LAW TEXT`"},
    {"steps", 0, OPTION_INT, "0", 0, INT64_MAX, false, "N",
     "with one seed: only its first N events"},
    {"servers", 0, OPTION_STR, NULL, 0, 0, false, "LIST",
     "with one seed: only these servers (1,3-4)"},
    {"callers", 0, OPTION_STR, NULL, 0, 0, false, "LIST", "with one seed: only these callers"},
    {"slots", 0, OPTION_INT, NULL, 1, 64, false, "N",
     "with one seed: at most N slots at each server"},
    {"calls", 0, OPTION_STR, NULL, 0, 0, false, "LIST",
     "with one seed: only these calls, numbered as in the trace (1-4,9 or none)"},
    {"troubles", 0, OPTION_STR, NULL, 0, 0, false, "LIST",
     "with one seed: only these troubles, numbered as in the trace"},
    {"without", 0, OPTION_STR, NULL, 0, 0, false, "NAMES",
     "with one seed: none of these troubles and habits (exile,drop; a wrong name lists all)"},
    {"chaos", 0, OPTION_DURATION, NULL, 1, 86400000, false, "TIME",
     "with one seed: no faults after this time"},
    {"dice", 0, OPTION_INT, "0", 0, INT64_MAX, false, "N", "with one seed: other delays"},
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
        return error_set(err, -EINVAL, "'%s' is not a seed; a seed is a number, such as 4711",
                         text);
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
            "  sim --seeds 1000                the regressions and a thousand seeds\n"
            "  sim --minutes 30                as many seeds as fit into half an hour\n"
            "  sim 4711                        one seed with its trace\n"
            "  sim --shrink 4711               a smaller world that breaks the same law\n"
            "  sim 4711 --troubles 3,9 --servers 1   that world with its trace\n"))
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
