/* ctl_runs.c - lbctl runs, history: what is waiting or running now, and what has ended. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "client/who.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/termout.h"

#define OF_SERVER \
    { \
        "server", 's', OPTION_STR, NULL, 0, 0, false, "NAME", "only on this server" \
    }
#define OF_JOB \
    { \
        "job", 'j', OPTION_STR, NULL, 0, 0, false, "NAME", \
            "only of this job (packages: package:NAME)" \
    }
#define OF_PARENT \
    { \
        "parent", 'p', OPTION_STR, NULL, 0, 0, false, "RUN", "only the children of this parent" \
    }
#define AS_JSON \
    { \
        "json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line" \
    }

static const struct option_row rows[] = {
    OF_SERVER,
    OF_JOB,
    OF_PARENT,
    {"state", 0, OPTION_STR, NULL, 0, 0, false, "STATE",
     "only in this state: waiting, parked, handed_over, running, held, ..."},
    {"limit", 'n', OPTION_INT, "200", 1, 1000000, false, "COUNT", "rows at most"},
    CTL_UTC_ROW,
    AS_JSON,
};

static const struct option_row history_rows[] = {
    OF_SERVER,
    OF_JOB,
    OF_PARENT,
    {"status", 0, OPTION_STR, NULL, 0, 0, false, "STATUS",
     "only with this status: succeeded, failed, cancelled, timed_out, lost, refused, ..."},
    {"since", 0, OPTION_STR, NULL, 0, 0, false, "TIME",
     "ended at or after this time: 2h (ago), 2026-11-20, '2026-11-20 09:14', 09:14 (today)"},
    {"until", 0, OPTION_STR, NULL, 0, 0, false, "TIME", "ended before this time"},
    {"parents", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "parents instead of single runs; those that have not ended come first"},
    {"limit", 'n', OPTION_INT, "50", 1, 1000000, false, "COUNT", "rows at most, newest first"},
    CTL_UTC_ROW,
    AS_JSON,
};

static const char run_examples[] =
    "  lbctl runs\n"
    "  lbctl runs --state parked      what no server can take; see lbctl explain RUN\n"
    "  lbctl runs --parent last       the children of the parent you started last\n";

static const char history_examples[] =
    "  lbctl history --status failed --since 12h\n"
    "  lbctl history --since 2026-11-20 --until 2026-11-21      of one day\n"
    "  lbctl history --parents\n"
    "  lbctl history --parent last -n 1000\n"
    "Rows are the broker's word: lbctl show RUN verifies what a server has signed.\n";

enum { ROOMY = 100 /* a page this wide has room for the parent's name */ };

/* The state of a listing of either kind. */
struct listing {
    char **argv;
    struct ctl_query query;
    json_t *rows;
    bool bare;    /* all are children of one parent, whose name need not be repeated */
    bool limited; /* by the asker, who therefore knows that there may be more */
};

/* A listing that stops says how to go on. */
static void say_more(const struct listing *l, const char *how)
{
    if (l->query.more && !l->limited)
        term_say(stderr, "%s: stopped after %lld rows; %s\n", l->argv[0], (long long)l->query.limit,
                 how);
}

/* No rows: is there nothing, may the asker see nothing, or is the server's name wrong? */
static int explain_none(struct listing *l, struct longboat *lb, const char *server,
                        const char *nothing)
{
    struct who me;
    struct error err = {0};
    int rc = who_ask(lb, &me, &err), code = EXIT_DONE;
    if (rc < 0)
        return ctl_fail(l->argv, ctl_code(rc, REFUSAL_NONE), &err);
    term_say(stderr, "%s\n", nothing);
    if (!me.may_watch) {
        who_sees_own(&me, l->argv[0]);
    } else if (server && !ctl_any_server(l->argv, lb, "server", server)) {
        term_say(stderr, "%s: no server '%s' is known, or you may not watch it\n", l->argv[0],
                 server);
        code = EXIT_REFUSED;
    }
    who_free(&me);
    return code;
}

static int ask(struct listing *l, const char *server, const char *nothing)
{
    struct longboat *lb = ctl_connect(l->argv);
    if (!lb)
        return EXIT_REFUSED;
    int code = ctl_query_over(l->argv, lb, &l->query);
    if (code == EXIT_DONE && l->query.rows == 0 && !l->query.as_json)
        code = explain_none(l, lb, server, nothing);
    longboat_close(&lb);
    return code;
}

/* A child's name, and its job in a column of its own, which is dropped first if room is short; a
 * call without a parent is known by its job. */
static void add_names(const struct listing *l, struct term_table *t, json_t *row)
{
    struct buf name = {0};
    struct term term = term_of(STDOUT_FILENO);
    ctl_child(row, l->bare || term_page(&term) < ROOMY, &name);
    term_table_add(t, name.n ? buf_str(&name) : ctl_text(row, "job"));
    term_table_add(t, name.n ? ctl_text(row, "job") : "");
    buf_free(&name);
}

/* ---- lbctl runs */
static void print_runs(const struct listing *l)
{
    const struct term_column columns[] = {
        {"run", 0},
        {"state", 0},
        {"name", TERM_SHRINK(16)},
        {"job", TERM_OPTIONAL | TERM_SHRINK(8) | TERM_DROP(3)},
        {"address", TERM_SHRINK(6) | TERM_DROP(2)},
        {"server", TERM_OPTIONAL | TERM_SHRINK(6)},
        {ctl_zoned("called"), 0},
        {"done", TERM_OPTIONAL | TERM_RIGHT | TERM_DROP(1)},
        {"by", TERM_SHRINK(5) | TERM_DROP(4)},
        {"progress", TERM_OPTIONAL | TERM_SHRINK(12) | TERM_DROP(1)},
    };
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    unsigned digits = ctl_id_digits(l->rows, "run");
    size_t i;
    json_t *row;
    json_array_foreach (l->rows, i, row) {
        const char *state = ctl_text(row, "state");
        char done[16] = "";
        if (ctl_int(row, "percent"))
            snprintf(done, sizeof done, "%lld%%", (long long)ctl_int(row, "percent"));
        term_table_add(t, ctl_id(row, "run", digits));
        term_table_add_in(t, ctl_mood(state), state);
        add_names(l, t, row);
        term_table_add(t, ctl_text(row, "address"));
        term_table_add(t, ctl_text(row, "server"));
        term_table_add(t, ctl_when(row, "called_at"));
        term_table_add(t, done);
        term_table_add(t, ctl_text(row, "by"));
        term_table_add(t, ctl_text(row, "text"));
    }
    ctl_print(t);
    term_table_free(&t);
}

static int list_runs(struct listing *l, const struct option_values *v)
{
    const struct ctl_where where[] = {{"server", opt_str(v, "server"), 0, false},
                                      {"job", opt_str(v, "job"), 0, false},
                                      {"parent", opt_str(v, "parent"), 0, true},
                                      {"state", opt_str(v, "state"), 0, false}};
    l->query.what = "runs";
    l->query.where = where;
    l->query.n_where = COUNT_OF(where);
    const char *state = opt_str(v, "state");
    bool ended = state && strcmp(state, "ended") == 0;
    int code = ask(l, opt_str(v, "server"),
                   ended ? "no active run has ended; lbctl history lists those that have"
                         : "no active runs");
    print_runs(l);
    say_more(l, "-n COUNT shows more; --job, --state and others narrow it");
    l->query.where = NULL; /* it ends with this call */
    return code;
}

static int listing_of(int argc, char **argv, const struct option_row *table, size_t n,
                      const char *examples,
                      int (*list)(struct listing *l, const struct option_values *v))
{
    struct option_values v = {0};
    int first, code = ctl_begin(table, n, argc, argv, "[options]", examples, 0, 0, &v, &first);
    if (code >= 0)
        return code;
    struct listing l = {.argv = argv,
                        .rows = json_array(),
                        .bare = opt_str(&v, "parent"),
                        .limited = opt_given(&v, "limit")};
    l.query.limit = opt_int(&v, "limit");
    l.query.as_json = opt_flag(&v, "json");
    l.query.row = ctl_gather;
    l.query.self = l.rows;
    if (opt_flag(&v, "utc"))
        term_utc();
    code = list(&l, &v);
    json_decref(l.rows);
    options_free(&v);
    return code;
}

int ctl_runs(int argc, char **argv)
{
    return listing_of(argc, argv, rows, COUNT_OF(rows), run_examples, list_runs);
}

/* ---- lbctl history */
static void add_again(struct term_table *t, json_t *row, const char *key)
{
    term_table_add(t, ctl_int(row, key) > 1 ? ctl_text(row, key) : "");
}

static void print_history(const struct listing *l)
{
    const struct term_column columns[] = {
        {"run", 0},
        {"status", 0},
        {"name", TERM_SHRINK(16)},
        {"job", TERM_OPTIONAL | TERM_SHRINK(8) | TERM_DROP(2)},
        {"server", TERM_SHRINK(6)},
        {ctl_zoned("ended"), 0},
        {"took", TERM_RIGHT},
        {"try", TERM_RIGHT | TERM_OPTIONAL},
        {"attempt", TERM_RIGHT | TERM_OPTIONAL},
        {"by", TERM_SHRINK(5) | TERM_DROP(3)},
        {"message", TERM_OPTIONAL | TERM_SHRINK(16) | TERM_DROP(1)},
    };
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    unsigned digits = ctl_id_digits(l->rows, "run");
    size_t i;
    json_t *row;
    json_array_foreach (l->rows, i, row) {
        const char *status = ctl_text(row, "status");
        term_table_add(t, ctl_id(row, "run", digits));
        term_table_add_in(t, ctl_mood(status), status);
        add_names(l, t, row);
        term_table_add(t, ctl_text(row, "server"));
        term_table_add(t, ctl_when(row, "ended_at"));
        term_table_add(t, ctl_took(row, "started_at", "ended_at"));
        add_again(t, row, "try");
        add_again(t, row, "attempt");
        term_table_add(t, ctl_text(row, "by"));
        term_table_add(t, ctl_text(row, "message"));
    }
    ctl_print(t);
    term_table_free(&t);
}

static const char *name_of_parent(json_t *row)
{
    return *ctl_text(row, "name") ? ctl_text(row, "name") : ctl_text(row, "plan");
}

static void print_parents(const struct listing *l)
{
    const struct term_column columns[] = {
        {"run", 0},
        {"status", 0},
        {"parent", TERM_SHRINK(14)},
        {ctl_zoned("started"), 0},
        {"ended", TERM_OPTIONAL | TERM_DROP(1)},
        {"took", TERM_RIGHT | TERM_OPTIONAL},
        {"children", TERM_RIGHT | TERM_OPTIONAL}, /* all children of the plan */
        {"by", TERM_SHRINK(5)},
        {"key", TERM_SHRINK(8) | TERM_DROP(2)},
    };
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    unsigned digits = ctl_id_digits(l->rows, "run");
    size_t i;
    json_t *row;
    json_array_foreach (l->rows, i, row) {
        const char *status =
            *ctl_text(row, "status") ? ctl_text(row, "status") : ctl_text(row, "state");
        term_table_add(t, ctl_id(row, "run", digits));
        term_table_add_in(t, ctl_mood(status), status);
        term_table_add(t, name_of_parent(row));
        term_table_add(t, ctl_when(row, "begun_at"));
        term_table_add(t, ctl_when(row, "ended_at"));
        term_table_add(t, ctl_took(row, "begun_at", "ended_at"));
        term_table_add(t, ctl_text(row, "tasks"));
        term_table_add(t, ctl_text(row, "by"));
        term_table_add(t, ctl_text(row, "key"));
    }
    ctl_print(t);
    term_table_free(&t);
}

/* How to go on: from when the oldest row ended, to the millisecond. If all rows ended then, that
 * would only list them again. */
static void say_older(const struct listing *l)
{
    json_t *first = json_array_get(l->rows, 0),
           *last = json_array_get(l->rows, json_array_size(l->rows) - 1);
    const char *ended = ctl_text(last, "ended_at");
    char until[CLOCK_TEXT]; /* rows that ended with the last one come again: none is missed */
    char *how = NULL;
    if (l->query.as_json)
        how = mem_strdup(
            "-n COUNT shows more; --until with the last row's ended_at shows earlier ones");
    else if (*ended && strcmp(ctl_text(first, "ended_at"), ended) != 0)
        how = mem_printf("-n COUNT shows more; --until '%s' shows earlier ones",
                         clock_format(ctl_time(last, "ended_at") + 1, until));
    say_more(l, how ? how : "-n COUNT shows more");
    mem_free(&how);
}

static int take_times(const struct listing *l, const struct option_values *v, int64_t *ret_since,
                      int64_t *ret_until)
{
    const struct {
        const char *name;
        int64_t *ret;
    } times[] = {{"since", ret_since}, {"until", ret_until}};
    struct error err = {0};
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        const char *text = opt_str(v, times[i].name);
        if (text && term_time_parse(text, clock_wall_ms(), times[i].ret, &err) < 0) {
            error_prefix(&err, "--%s", times[i].name);
            return ctl_fail(l->argv, EXIT_ASKED_WRONGLY, &err);
        }
    }
    if (*ret_since && *ret_until && *ret_since >= *ret_until) {
        error_set(&err, -EINVAL, "--since is not before --until: nothing can have ended between");
        return ctl_fail(l->argv, EXIT_ASKED_WRONGLY, &err);
    }
    return -1;
}

static int list_history(struct listing *l, const struct option_values *v)
{
    bool parents = opt_flag(v, "parents");
    int64_t since = 0, until = 0;
    int code = take_times(l, v, &since, &until);
    if (code >= 0)
        return code;
    const struct ctl_where where[] = {{"server", opt_str(v, "server"), 0, false},
                                      {"job", opt_str(v, "job"), 0, false},
                                      {"parent", opt_str(v, "parent"), 0, true},
                                      {"status", opt_str(v, "status"), 0, false},
                                      {"since", NULL, since, false},
                                      {"until", NULL, until, false}};
    l->query.what = parents ? "parents" : "history";
    l->query.where = where;
    l->query.n_where = COUNT_OF(where);
    code =
        ask(l, opt_str(v, "server"), parents ? "no matching parents" : "no matching finished runs");
    if (parents)
        print_parents(l);
    else
        print_history(l);
    say_older(l);
    l->query.where = NULL; /* it ends with this call */
    return code;
}

int ctl_history(int argc, char **argv)
{
    return listing_of(argc, argv, history_rows, COUNT_OF(history_rows), history_examples,
                      list_history);
}
