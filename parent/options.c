/* options.c - lbsubmit's options, one row each, and which may be combined. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/name.h"
#include "common/suggest.h"
#include "parent/submit.h"

const struct option_row submit_rows[] = {
    {"set", 's', OPTION_LIST, NULL, 0, 0, false, "NAME=VALUE",
     "a variable of the plan; may be repeated"},
    {"job", 'j', OPTION_STR, NULL, 0, 0, false, "NAME", "without a plan: the job to call"},
    {"package", 0, OPTION_STR, NULL, 0, 0, false, "NAME", "or the package to run"},
    {"server", 0, OPTION_STR, NULL, 0, 0, false, "NAME", "on this server"},
    {"pool", 0, OPTION_STR, NULL, 0, 0, false, "NAME", "or on one of this pool"},
    {"parameter", 'p', OPTION_LIST, NULL, 0, 0, false, "NAME=VALUE",
     "a parameter of the call; may be repeated"},
    {"on-lost", 0, OPTION_STR, NULL, 0, 0, false, "WHAT",
     "fail, rerun or hold when the server is lost; default: "
     "rerun for an idempotent package, else fail"},
    {"priority", 0, OPTION_INT, "4", 0, 9, false, "N", "of the call; 9 goes first"},
    {"start-within", 0, OPTION_DURATION, NULL, 1, 31536000000, false, "TIME",
     "end as unreachable if no server takes it in this time; default: 24h"},
    {"timeout", 0, OPTION_DURATION, NULL, 1, 31536000000, false, "TIME", "stop it after this time"},
    {"lost-after", 0, OPTION_DURATION, NULL, 1, 31536000000, false, "TIME",
     "the server is lost after this silence; default: the cluster's"},
    {"expires", 0, OPTION_DURATION, "1d", 1, 31536000000, false, "TIME",
     "do not start it after this time"},
    {"key", 0, OPTION_STR, NULL, 0, LIMIT_KEY, false, "KEY",
     "the broker takes a key once: a second use is refused and names "
     "the run of the first"},
    {"follow", 'f', OPTION_FLAG, NULL, 0, 0, false, NULL,
     "report each state and all progress of a single call"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "one JSON object a line on stdout; the last is the report"},
    {"quiet", 'q', OPTION_FLAG, NULL, 0, 0, false, NULL,
     "print only the overview or the outputs, and errors"},
};

const size_t submit_rows_n = COUNT_OF(submit_rows);

const char submit_examples[] =
    "  lbsubmit nightly.yaml --set day=2026-11-21             a parent, to its end\n"
    "  lbsubmit nightly.yaml --json > night.jsonl             the same for a program\n"
    "  lbsubmit --pool etl --job nightly-extract -p table=orders\n"
    "  rows=$(lbsubmit -q --package extract --pool etl -p table=orders |\n"
    "         sed -n s/rows=//p)\n"
    "  lbctl invite --principal anna --grant 'call *@etl' | ssh desk lbsubmit join\n\n"
    "Commands: cancel RUN, join (a token on standard input).\n"
    "Exit codes: 0 succeeded; 1 it ran and failed; 2 wrong usage; 3 refused, or the\n"
    "broker cannot be reached; 130 left by a second Ctrl-C.\n"
    "The overview and outputs go to stdout, everything else to stderr.\n";

/* The protocol's fields hold only names. */
static int check_names(const struct option_values *v, struct error *err)
{
    static const char *const names[] = {"job", "package", "server", "pool"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        const char *name = opt_str(v, names[i]);
        char what[32];
        if (name && i == 0 && strncmp(name, "package:", 8) == 0) /* a package's own job */
            name += 8;
        if (name && i <= 1 && strchr(name, '@'))
            return error_set(err, -EINVAL,
                             "--%s is a name, without a version: a server runs the version that is "
                             "deployed to it (lbpkg list)",
                             names[i]);
        snprintf(what, sizeof what, "the name behind --%s", names[i]);
        if (name && name_check_name(what, span_str(name), err) < 0)
            return -EINVAL;
    }
    return 0;
}

static int check_call(const struct option_values *v, struct error *err)
{
    const char *server = opt_str(v, "server");
    if (opt_given(v, "job") && opt_given(v, "package"))
        return error_set(err, -EINVAL, "give --job or --package, not both");
    if (server && opt_given(v, "pool"))
        return error_set(err, -EINVAL, "give --server or --pool, not both");
    if (!opt_given(v, "job") && !opt_given(v, "package"))
        return error_set(
            err, -EINVAL,
            "give either --job or --package (or name a plan); lbsubmit --help has examples");
    if (!server && !opt_given(v, "pool"))
        return error_set(err, -EINVAL, "give either --server or --pool");
    if (server && strcmp(server, "all") == 0)
        return error_set(err, -EINVAL,
                         "'all' is every server: --pool all sends the call to one of them");
    return check_names(v, err);
}

int submit_check(const struct option_values *v, bool plan, struct error *err)
{
    static const char *const of_calls[] = {"job",        "package", "server",       "pool",
                                           "parameter",  "on-lost", "start-within", "timeout",
                                           "lost-after", "follow",  "priority",     "expires"};
    for (size_t i = 0; plan && i < COUNT_OF(of_calls); i++)
        if (opt_given(v, of_calls[i]))
            return error_set(err, -EINVAL,
                             "--%s is for a call without a plan; in a plan, set it in the task",
                             of_calls[i]);
    if (!plan && opt_given(v, "set"))
        return error_set(err, -EINVAL,
                         "--set is for the variables of a plan; a call takes -p NAME=VALUE");
    const char *lost = opt_str(v, "on-lost"), *key = opt_str(v, "key");
    static const char *const words[] = {"fail", "rerun", "hold", NULL};
    char hint[SUGGEST_TEXT];
    if (key && !*key)
        return error_set(err, -EINVAL, "--key is empty; without --key a new one is made");
    if (lost && (on_lost_parse(span_str(lost)) < 0 || strcmp(lost, "default") == 0))
        return error_set(err, -EINVAL, "--on-lost is fail, rerun or hold, not '%.40s'%s", lost,
                         suggest_hint(lost, words, hint));
    return plan ? 0 : check_call(v, err);
}
