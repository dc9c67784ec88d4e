/* lbsubmit.c - submits a parent or a single call, follows it to its end, prints what came of it. */
#include "parent/submit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/suggest.h"
#include "trust/keys.h"

static const struct option_row rows[] = {
    {"set", 's', OPTION_LIST, NULL, 0, 0, false, "NAME=VALUE", "a variable of the plan; may be repeated"},
    {"job", 'j', OPTION_STR, NULL, 0, 0, false, "NAME", "without a plan: the job to call"},
    {"package", 0, OPTION_STR, NULL, 0, 0, false, "NAME", "or the package to run"},
    {"server", 0, OPTION_STR, NULL, 0, 0, false, "NAME", "on this server"},
    {"pool", 0, OPTION_STR, NULL, 0, 0, false, "NAME", "or on one of this pool"},
    {"parameter", 'p', OPTION_LIST, NULL, 0, 0, false, "NAME=VALUE", "a parameter of the call; may be repeated"},
    {"on-lost", 0, OPTION_STR, NULL, 0, 0, false, "WHAT",
     "fail, rerun or hold when the server is lost; default: rerun if the package says idempotent, else fail"},
    {"priority", 0, OPTION_INT, "4", 0, 9, false, "N", "of the call; 9 goes first"},
    {"start-within", 0, OPTION_DURATION, NULL, 1, 31536000000, false, "TIME",
     "end as unreachable if no server takes it in this time; default: 24h"},
    {"timeout", 0, OPTION_DURATION, NULL, 1, 31536000000, false, "TIME", "stop it after this time"},
    {"lost-after", 0, OPTION_DURATION, NULL, 1, 31536000000, false, "TIME",
     "the server is lost after this silence; default: as the cluster has it"},
    {"expires", 0, OPTION_DURATION, "1d", 1, 31536000000, false, "TIME", "nobody starts it after this time"},
    {"key", 0, OPTION_STR, NULL, 0, 0, false, "KEY", "the same key never makes a second run or parent"},
    {"follow", 'f', OPTION_FLAG, NULL, 0, 0, false, NULL, "tell each state and progress of a single call"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line on stdout; the last is the report"},
    {"quiet", 'q', OPTION_FLAG, NULL, 0, 0, false, NULL, "only the overview or the outputs, and what goes wrong"},
};

static const char examples[] =
    "  lbsubmit nightly.yaml --set day=2026-11-21               a parent, to its end\n"
    "  lbsubmit nightly.yaml --json > night.jsonl               the same for a program\n"
    "  lbsubmit --pool etl --job nightly-extract -p table=orders\n"
    "  rows=$(lbsubmit -q --package extract --server etl1 -p table=orders | sed -n s/rows=//p)\n"
    "  lbctl invite --principal anna --grant 'call *@etl' | ssh desk lbsubmit join\n\n"
    "Verbs: cancel RUN, join (a token on standard input).\n"
    "Exit codes: 0 succeeded; 1 it ran and failed; 2 asked wrongly; 3 refused or not reachable; 130 left by a "
    "second\n"
    "Ctrl-C. The overview and outputs go to stdout, everything else to stderr.\n";

/* ---- A parent */

static int read_plan(struct shell *s, const char *path, struct buf *text)
{
    struct error err = {0};
    if (file_read(path, LIMIT_PLAN, text, &err) < 0)
        return shell_fail(s, EXIT_ASKED_WRONGLY, "%s", err.text);
    return 0;
}

static int make_plan(struct shell *s, const char *path, struct span text, const struct option_values *v, int64_t now,
                     struct plan_made *made)
{
    struct problems problems = {0};
    struct plan_order order = {.now = now};
    order.sets = opt_list(v, "set", &order.n_sets);
    int rc = plan_make(path, text, &order, made, &problems);
    for (size_t i = 0; i < problems.n; i++)
        shell_fail(s, 0, "%s", problems.v[i].text);
    problems_free(&problems);
    return rc < 0 ? EXIT_ASKED_WRONGLY : 0;
}

static void say_begun(struct shell *s, const struct plan_made *made, const struct parent_run *run)
{
    char id[ID_TEXT];
    struct buf line = {0};
    shell_say(s, "parent %s is run %s", made->graph.name, id_format(run->id, id));
    if (s->json) {
        buf_printf(&line, "{\"event\":\"parent\",\"parent\":\"%s\",\"run\":\"%s\",\"tasks\":%u,\"children\":%u}\n",
                   made->graph.name, id, made->graph.n, made->children);
        shell_print(buf_span(&line));
        buf_free(&line);
    }
}

static int submit_plan(struct shell *s, const char *path, const struct option_values *v)
{
    struct buf text = {0};
    struct plan_made made = {0};
    struct parent_run run = {0};
    struct error err = {0};
    const int64_t now = clock_wall_ms();
    int rc, code = read_plan(s, path, &text);
    if (code == 0)
        code = make_plan(s, path, buf_span(&text), v, now, &made);
    if (code == 0)
        code = shell_open(s, v);
    if (code == 0 && (rc = parent_begin(s, buf_span(&text), &made, opt_str(v, "key"), now, &run, &err)) < 0)
        code = shell_refused(s, rc, &err);
    else if (code == 0) {
        say_begun(s, &made, &run);
        code = drive(s, &made, &run);
    }
    plan_made_free(&made);
    buf_free(&text);
    return code;
}

/* ---- Options */

/* Those that mean something only for the other form. */
static int check_form(const struct option_values *v, bool plan, struct error *err)
{
    static const char *const of_calls[] = {"job",     "package",      "server",  "pool",       "parameter",
                                           "on-lost", "start-within", "timeout", "lost-after", "follow"};
    for (size_t i = 0; plan && i < COUNT_OF(of_calls); i++)
        if (opt_given(v, of_calls[i]))
            return error_set(err, -EINVAL, "--%s is for a call without a plan; in a plan its task says it",
                             of_calls[i]);
    if (!plan && opt_given(v, "set"))
        return error_set(err, -EINVAL, "--set is for the variables of a plan; a call takes -p NAME=VALUE");
    const char *lost = opt_str(v, "on-lost");
    static const char *const words[] = {"fail", "rerun", "hold", NULL};
    char hint[SUGGEST_TEXT];
    if (lost && (on_lost_parse(span_str(lost)) < 0 || strcmp(lost, "default") == 0))
        return error_set(err, -EINVAL, "--on-lost is fail, rerun or hold, not '%.40s'%s", lost,
                         suggest_hint(lost, words, hint));
    return 0;
}

static int submit(struct shell *s, const struct option_values *v, int argc, char **argv, int first)
{
    struct error err = {0};
    const bool plan = first < argc;
    if (argc - first > 1)
        return shell_fail(s, EXIT_ASKED_WRONGLY, "one plan at a time; what is '%s'?", argv[first + 1]);
    if (check_form(v, plan, &err) < 0)
        return shell_fail(s, EXIT_ASKED_WRONGLY, "%s", err.text);
    return plan ? submit_plan(s, argv[first], v) : single_call(s, v);
}

int main(int argc, char **argv)
{
    struct option_values values = {0};
    struct error err = {0};
    struct shell s = {0};
    int first, code;
    if (trust_init(&err) < 0)
        return shell_fail(&s, EXIT_REFUSED, "%s", err.text);
    if (argc > 1 && (strcmp(argv[1], "cancel") == 0 || strcmp(argv[1], "join") == 0)) {
        bool join = strcmp(argv[1], "join") == 0;
        char *name = mem_printf("lbsubmit %s", argv[1]);
        argv[1] = name;
        code = (join ? verb_join : verb_cancel)(argc - 1, argv + 1);
        mem_free(&name);
        return code;
    }
    if (options_parse(rows, COUNT_OF(rows), argc, argv, &values, &first, &err) < 0)
        return shell_fail(&s, EXIT_ASKED_WRONGLY, "%s", err.text);
    if (options_answered(&values, "lbsubmit", "[options] PLAN | --job NAME --pool NAME ... | cancel RUN | join",
                         examples)) {
        options_free(&values);
        return EXIT_SUCCEEDED;
    }
    code = submit(&s, &values, argc, argv, first);
    shell_close(&s);
    options_free(&values);
    return code;
}
