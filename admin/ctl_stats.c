/* ctl_stats.c - lbctl stats: the broker's counts, or what each principal uses of it. */
#include "admin/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/size.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    {"principals", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "what each principal uses, and what it was refused"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
};

static const char examples[] =
    "  lbctl stats                      the broker's counts\n"
    "  lbctl stats --principals         who uses it: first who was refused something,\n"
    "                                   then by the memory of live runs\n"
    "  lbctl stats --principals --json | jq 'select(.name == \"anna\") | .budgets'\n"
    "Without `watch *@*` you see your own row alone.\n"
    "docs/operations.md lists the budgets.\n";

/* The columns after the name; a narrow page leaves out those with the highest rank. */
static const struct {
    const char *budget, *title;
    unsigned drop;
} columns[] = {
    {"sessions", "sessions", 0},
    {"runs", "runs", 0},
    {"memory", "memory", 0},
    {"questions", "questions", 3},
    {"bytes_in", "in", 4},
    {"bytes_out", "out", 2},
    {"subscriptions", "subscribed", 5},
    {"log_readers", "readers", 6},
    {"uploads", "uploads", 7},
    {"evidence", "evidence", 8},
    {"lookups", "lookups", 11},
    {"logs", "logs", 9},
    {"depot", "depot", 10},
};
enum { COLUMNS = sizeof columns / sizeof *columns };

static int64_t of(json_t *row, const char *budget, const char *what)
{
    return ctl_int(json_object_get(json_object_get(row, "budgets"), budget), what);
}

static int64_t refused(json_t *row)
{
    int64_t n = 0;
    const char *word;
    json_t *b;
    json_object_foreach (json_object_get(row, "budgets"), word, b)
        n += ctl_int(b, "refused");
    return n;
}

static bool before(json_t *a, json_t *b)
{
    static const char *const by[] = {"memory", "runs", "bytes_out", "sessions"};
    if (refused(a) != refused(b))
        return refused(a) > refused(b);
    for (size_t i = 0; i < COUNT_OF(by); i++)
        if (of(a, by[i], "used") != of(b, by[i], "used"))
            return of(a, by[i], "used") > of(b, by[i], "used");
    return strcmp(ctl_text(a, "name"), ctl_text(b, "name")) < 0;
}

/* Takes the first of those that are left, again and again: there are few. */
static json_t *take_first(json_t *principals)
{
    size_t best = 0;
    for (size_t i = 1; i < json_array_size(principals); i++)
        if (before(json_array_get(principals, i), json_array_get(principals, best)))
            best = i;
    json_t *row = json_incref(json_array_get(principals, best));
    json_array_remove(principals, best);
    return row;
}

static bool in_bytes(const char *budget)
{
    static const char *const words[] = {"memory",   "bytes_in", "bytes_out",
                                        "evidence", "logs",     "depot"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(budget, words[i]) == 0)
            return true;
    return false;
}

static void add_principal(struct term_table *t, json_t *row)
{
    char size[SIZE_TEXT];
    int64_t no = refused(row);
    term_table_add(t, ctl_text(row, "name"));
    for (unsigned i = 0; i < COLUMNS; i++) {
        int64_t used = of(row, columns[i].budget, "used");
        enum term_mood mood = of(row, columns[i].budget, "refused") ? TERM_WARN : TERM_PLAIN;
        if (used && in_bytes(columns[i].budget))
            term_table_add_in(t, mood, size_format(used, size));
        else
            used ? term_table_addf(t, mood, "%lld", (long long)used) : term_table_add(t, "");
    }
    no ? term_table_addf(t, TERM_WARN, "%lld", (long long)no) : term_table_add(t, "");
}

static void print_json(json_t *row)
{
    char *line = json_dumps(row, JSON_COMPACT);
    term_say(stdout, "%s\n", line ? line : "{}");
    free(line);
}

static int principals(char **argv, bool as_json)
{
    struct term_column titles[COLUMNS + 2] = {{"name", TERM_SHRINK(8)}};
    json_t *all = json_array();
    struct ctl_query q = {.what = "principals", .row = ctl_gather, .self = all};
    for (unsigned i = 0; i < COLUMNS; i++)
        titles[i + 1] = (struct term_column){columns[i].title, TERM_RIGHT | TERM_OPTIONAL |
                                                                   TERM_DROP(columns[i].drop)};
    titles[COLUMNS + 1] = (struct term_column){"refused", TERM_RIGHT};
    struct term_table *t = term_table_new(titles, COUNT_OF(titles));
    int code = ctl_query(argv, &q);
    while (json_array_size(all)) {
        json_t *row = take_first(all);
        if (as_json)
            print_json(row);
        else
            add_principal(t, row);
        json_decref(row);
    }
    ctl_print(t);
    term_table_free(&t);
    json_decref(all);
    return code;
}

static void print_counts(void *self, json_t *row)
{
    const char *name, *in;
    json_t *value, *below;
    (void)self;
    json_object_foreach (row, name, value) {
        if (json_is_integer(value) && strcmp(name, "v") != 0)
            term_say(stdout, "%-24s %s\n", name, ctl_text(row, name));
        json_object_foreach (value, in, below)
            term_say(stdout, "%s.%-*s %s\n", name, 23 - (int)strlen(name), in,
                     json_is_boolean(below) ? json_is_true(below) ? "true" : "false"
                                            : ctl_text(value, in));
    }
}

int ctl_stats(int argc, char **argv)
{
    struct option_values v = {0};
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "[--principals] [--json]",
                                examples, 0, 0, &v, &first);
    if (code >= 0)
        return code;
    struct ctl_query q = {.what = "stats", .as_json = opt_flag(&v, "json"), .row = print_counts};
    code =
        opt_flag(&v, "principals") ? principals(argv, opt_flag(&v, "json")) : ctl_query(argv, &q);
    options_free(&v);
    return code;
}
