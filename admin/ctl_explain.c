/* ctl_explain.c - lbctl explain: why a run that has not ended is where it is, server by server. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "client/find.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "one JSON object a line: the run, then each server"},
};

static const char examples[] =
    "  lbctl explain last    for each server what is unmet, and what would clear it\n";

static const struct term_column columns[] = {
    {"server", TERM_SHRINK(8)},
    {"why not", TERM_SHRINK(20) | TERM_WRAP},
    {"what would clear it", TERM_OPTIONAL | TERM_SHRINK(20) | TERM_WRAP},
};

static void add_server(struct term_table *t, json_t *row)
{
    size_t i;
    json_t *unmet;
    if (json_is_true(json_object_get(row, "eligible"))) {
        term_table_add(t, ctl_text(row, "server"));
        term_table_addf(t, TERM_GOOD, "could take it now (room for %s)", ctl_text(row, "credit"));
        term_table_add(t, "");
    }
    json_array_foreach (json_object_get(row, "unmet"), i, unmet) {
        term_table_add(t, i ? "" : ctl_text(row, "server"));
        term_table_add(t, ctl_text(unmet, "text"));
        term_table_add(t, ctl_text(unmet, "clears"));
    }
}

static void print_head(json_t *row)
{
    struct term term = term_of(STDOUT_FILENO);
    struct buf text = {0}, safe = {0}, out = {0};
    buf_printf(&text, "run %s is %s", ctl_id(row, "run", FIND_TAIL), ctl_text(row, "summary"));
    if (ctl_int(row, "ahead"))
        buf_printf(&text, "; %s runs of its kind go first", ctl_text(row, "ahead"));
    term_safe(&safe, buf_span(&text));
    term_wrap(&out, buf_span(&safe), 0, term_page(&term));
    buf_add_str(&out, "\n");
    term_put(stdout, buf_span(&out));
    buf_free(&text);
    buf_free(&safe);
    buf_free(&out);
}

/* Once a run is running, what other servers lack would mislead. */
static void print(json_t *rows_of_answer, bool with_servers)
{
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    size_t i;
    json_t *row;
    json_array_foreach (rows_of_answer, i, row)
        if (!*ctl_text(row, "server"))
            print_head(row);
        else if (with_servers)
            add_server(t, row);
    ctl_print(t);
    term_table_free(&t);
}

/* A parent does not wait for a server; its children do. */
static int explain_parent(char **argv, json_t *row)
{
    const char *id = ctl_id(row, "run", FIND_TAIL);
    if (ctl_has_ended(row))
        term_say(stderr, "%s: this is a parent, and it has ended; lbctl show %s\n", argv[0], id);
    else
        term_say(
            stderr,
            "%s: this is a parent; lbctl runs --parent %s lists its children, and lbctl explain "
            "CHILD\nsays why one of them waits\n",
            argv[0], id);
    return EXIT_ASKED_WRONGLY;
}

static int explain(char **argv, struct longboat *lb, const char *text, bool as_json)
{
    int code;
    json_t *answer = json_array(), *row = ctl_run_row(argv, lb, text, &code);
    const struct ctl_where where[] = {{"run", ctl_text(row, "run"), 0, false}};
    struct ctl_query q = {.what = "explain",
                          .where = where,
                          .n_where = 1,
                          .as_json = as_json,
                          .row = ctl_gather,
                          .self = answer};
    const char *state = ctl_text(row, "state");
    if (row && ctl_is_parent(row))
        code = explain_parent(argv, row);
    else if (row)
        code = ctl_query_over(argv, lb, &q);
    print(answer, strcmp(state, "running") != 0);
    json_decref(answer);
    json_decref(row);
    return code;
}

int ctl_explain(int argc, char **argv)
{
    struct option_values v = {0};
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "RUN [--json]", examples, 1, 1,
                                &v, &first);
    if (code >= 0)
        return code;
    struct longboat *lb = ctl_connect(argv);
    code = lb ? explain(argv, lb, argv[first], opt_flag(&v, "json")) : EXIT_REFUSED;
    longboat_close(&lb);
    options_free(&v);
    return code;
}
