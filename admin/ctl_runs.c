/* ctl_runs.c - lbctl runs, history: what waits and runs now, what has run. */
#include "admin/ctl.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/duration.h"

static const struct option_row rows[] = {
    {"server", 's', OPTION_STR, NULL, 0, 0, false, "NAME", "of this server only"},
    {"job", 'j', OPTION_STR, NULL, 0, 0, false, "NAME",
     "of this job only (packages: package:NAME)"},
    {"parent", 'p', OPTION_STR, NULL, 0, 0, false, "RUN", "children of this parent run only"},
    {"state", 0, OPTION_STR, NULL, 0, 0, false, "STATE",
     "runs: waiting, parked, handed_over, running, held, ..."},
    {"limit", 'n', OPTION_INT, "200", 1, 1000000, false, "COUNT", "rows at most"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
};

static const struct option_row history_rows[] = {
    {"server", 's', OPTION_STR, NULL, 0, 0, false, "NAME", "of this server only"},
    {"job", 'j', OPTION_STR, NULL, 0, 0, false, "NAME",
     "of this job only (packages: package:NAME)"},
    {"parent", 'p', OPTION_STR, NULL, 0, 0, false, "RUN", "children of this parent run only"},
    {"status", 0, OPTION_STR, NULL, 0, 0, false, "STATUS",
     "succeeded, failed, cancelled, timed_out, lost, refused, ..."},
    {"since", 0, OPTION_DURATION, NULL, 0, INT64_MAX, false, "TIME",
     "ended within this time, for instance 2h"},
    {"parents", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "parent runs instead of their children"},
    {"limit", 'n', OPTION_INT, "50", 1, 1000000, false, "COUNT", "rows at most, newest first"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
};

static const struct term_column run_columns[] = {
    {"run", false},    {"state", false}, {"job", false}, {"address", false}, {"server", false},
    {"called", false}, {"done", true},   {"by", false},  {"task", false},    {"says", false},
};

static const struct term_column history_columns[] = {
    {"run", false}, {"status", false}, {"job", false}, {"server", false}, {"ended", false},
    {"took", true}, {"attempt", true}, {"by", false},  {"task", false},   {"message", false},
};

static void add_task(struct term_table *t, json_t *row)
{
    if (*ctl_text(row, "task"))
        term_table_addf(t, TERM_PLAIN, "%s/%lld", ctl_text(row, "task"),
                        (long long)ctl_int(row, "index"));
    else
        term_table_add(t, "");
}

static void print_run(void *self, json_t *row)
{
    struct term_table *t = self;
    const char *state = ctl_text(row, "state");
    term_table_add(t, ctl_text(row, "run"));
    term_table_add_in(t, ctl_mood(state), state);
    term_table_add(t, ctl_text(row, "job"));
    term_table_add(t, ctl_text(row, "address"));
    term_table_add(t, ctl_text(row, "server"));
    term_table_add(t, ctl_when(ctl_text(row, "called_at")));
    if (ctl_int(row, "percent"))
        term_table_addf(t, TERM_PLAIN, "%lld%%", (long long)ctl_int(row, "percent"));
    else
        term_table_add(t, "");
    term_table_add(t, ctl_text(row, "by"));
    add_task(t, row);
    term_table_add(t, ctl_text(row, "text"));
}

int ctl_runs(int argc, char **argv)
{
    struct option_values v = {0};
    size_t n;
    int first,
        code = ctl_begin(
            rows, COUNT_OF(rows), argc, argv, "[options]",
            "  lbctl runs --state parked        what nobody can take; lbctl explain RUN says why\n",
            0, 0, &v, &first);
    if (code >= 0)
        return code;
    const struct ctl_where where[] = {{"server", opt_str(&v, "server"), 0},
                                      {"job", opt_str(&v, "job"), 0},
                                      {"parent", opt_str(&v, "parent"), 0},
                                      {"state", opt_str(&v, "state"), 0}};
    struct term_table *t = term_table_new(run_columns, COUNT_OF(run_columns));
    code = ctl_query(argv, "runs", where, COUNT_OF(where), opt_int(&v, "limit"),
                     opt_flag(&v, "json"), print_run, t, &n);
    if (code == EXIT_DONE && n == 0 && !opt_flag(&v, "json"))
        fprintf(stderr, "nothing waits or runs\n");
    ctl_print(t);
    term_table_free(&t);
    options_free(&v);
    return code;
}

static void print_ended(void *self, json_t *row)
{
    struct term_table *t = self;
    const char *status =
        *ctl_text(row, "status") ? ctl_text(row, "status") : ctl_text(row, "state");
    int64_t from, to;
    char took[DURATION_TEXT] = "";
    const char *begin =
        *ctl_text(row, "started_at") ? ctl_text(row, "started_at") : ctl_text(row, "begun_at");
    if (clock_parse(begin, &from, NULL) == 0 &&
        clock_parse(ctl_text(row, "ended_at"), &to, NULL) == 0 && to >= from)
        duration_format(to - from, took);
    term_table_add(t, ctl_text(row, "run"));
    term_table_add_in(t, ctl_mood(status), status);
    term_table_add(t, *ctl_text(row, "job") ? ctl_text(row, "job") : ctl_text(row, "plan"));
    term_table_add(t, ctl_text(row, "server"));
    term_table_add(t, ctl_when(ctl_text(row, "ended_at")));
    term_table_add(t, took);
    term_table_add(t, ctl_text(row, "attempt"));
    term_table_add(t, ctl_text(row, "by"));
    add_task(t, row);
    term_table_add(t, ctl_text(row, "message"));
}

int ctl_history(int argc, char **argv)
{
    struct option_values v = {0};
    size_t n;
    int first, code = ctl_begin(history_rows, COUNT_OF(history_rows), argc, argv, "[options]",
                                "  lbctl history --status failed --since 12h\n", 0, 0, &v, &first);
    if (code >= 0)
        return code;
    int64_t since = opt_given(&v, "since") ? clock_wall_ms() - opt_int(&v, "since") : 0;
    const struct ctl_where where[] = {{"server", opt_str(&v, "server"), 0},
                                      {"job", opt_str(&v, "job"), 0},
                                      {"parent", opt_str(&v, "parent"), 0},
                                      {"status", opt_str(&v, "status"), 0},
                                      {"since", NULL, since}};
    struct term_table *t = term_table_new(history_columns, COUNT_OF(history_columns));
    code = ctl_query(argv, opt_flag(&v, "parents") ? "parents" : "history", where, COUNT_OF(where),
                     opt_int(&v, "limit"), opt_flag(&v, "json"), print_ended, t, &n);
    if (code == EXIT_DONE && n == 0 && !opt_flag(&v, "json"))
        fprintf(stderr, "nothing has ended that matches\n");
    ctl_print(t);
    term_table_free(&t);
    options_free(&v);
    return code;
}
