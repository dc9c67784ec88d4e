/* ctl_audit.c - lbctl audit list | show | export | verify: the broker's audit trail, for people and
 * for proofs. */
#include "admin/ctl.h"

#include <errno.h>
#include <string.h>

#include "admin/ctl_trail.h"
#include "common/clock.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    {"since", 0, OPTION_STR, NULL, 0, 0, false, "TIME",
     "list: not before this time: '2h' ago, a day, or a moment"},
    {"until", 0, OPTION_STR, NULL, 0, 0, false, "TIME", "list: before this time"},
    {"principal", 'p', OPTION_STR, NULL, 0, LIMIT_NAME, false, "NAME", "list: who; may have a *"},
    {"verb", 0, OPTION_STR, NULL, 0, LIMIT_NAME, false, "VERB", "list: what; may have a *"},
    {"object", 0, OPTION_STR, NULL, 0, LIMIT_SHORT, false, "OBJECT", "list: on what; may have a *"},
    {"decision", 0, OPTION_STR, NULL, 0, LIMIT_NAME, false, "WORD",
     "list: allowed, refused or denied"},
    {"count", 'n', OPTION_INT, "50", 0, INT64_MAX, false, "COUNT", "list: so many; 0: all"},
    {"output", 'o', OPTION_STR, NULL, 0, 0, false, "FILE", "export: the file to be made"},
    {"checkpoint", 0, OPTION_STR, NULL, 0, 0, false, "FILE",
     "verify: the trail must go on from the checkpoint in this file"},
    {"administrators", 0, OPTION_STR, NULL, 0, 0, false, "FILE",
     "verify: their public keys, one a line; else those of this home"},
    CTL_UTC_ROW,
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "list, show: one JSON object a line"},
};

static const char synopsis[] = "list | show NUMBER | export -o FILE | verify [FILE] [options]";
static const char examples[] =
    "  lbctl audit list --decision denied --since 1d\n"
    "  lbctl audit list --principal olga --verb drain\n"
    "  lbctl audit show 17\n"
    "  lbctl audit verify              is anything missing or altered, and where?\n"
    "  lbctl audit export -o trail.jsonl\n"
    "  lbctl audit verify trail.jsonl --administrators keys --checkpoint noted\n"
    "The newest checkpoint that was verified is kept in this home:\n"
    "the next trail must go on from it.\n";

static enum term_mood mood_of(const char *decision)
{
    return strcmp(decision, "denied") == 0    ? TERM_BAD
           : strcmp(decision, "refused") == 0 ? TERM_WARN
                                              : TERM_PLAIN;
}

static void add_row(void *self, json_t *row)
{
    struct term_table *t = self;
    const char *decision = ctl_text(row, "decision"), *reason = ctl_text(row, "reason");
    int64_t count = ctl_int(row, "count");
    term_table_add(t, ctl_text(row, "number"));
    term_table_add(t, ctl_when(row, "at"));
    term_table_add(t, ctl_text(row, "principal"));
    term_table_add(t, ctl_text(row, "verb"));
    term_table_add(t, ctl_text(row, "object"));
    if (count > 1)
        term_table_addf(t, mood_of(decision), "%s %lldx", decision, (long long)count);
    else
        term_table_add_in(t, mood_of(decision), decision);
    term_table_add(t, *reason ? reason : ctl_text(row, "after"));
}

static int take_time(char **argv, const struct option_values *v, const char *name, int64_t *ret)
{
    struct error err = {0};
    const char *text = opt_str(v, name);
    if (!text || term_time_parse(text, clock_wall_ms(), ret, &err) == 0)
        return -1;
    error_prefix(&err, "--%s", name);
    return ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
}

static int list(char **argv, const struct option_values *v)
{
    const struct term_column columns[] = {
        {"number", TERM_RIGHT},
        {ctl_zoned("at"), 0},
        {"principal", TERM_SHRINK(8)},
        {"verb", TERM_SHRINK(8)},
        {"object", TERM_SHRINK(10)},
        {"decision", 0},
        {"reason", TERM_SHRINK(12) | TERM_OPTIONAL},
    };
    int64_t since = 0, until = 0;
    int code = take_time(argv, v, "since", &since);
    if (code < 0)
        code = take_time(argv, v, "until", &until);
    if (code >= 0)
        return code;
    const struct ctl_where where[] = {{"principal", opt_str(v, "principal"), 0, false},
                                      {"verb", opt_str(v, "verb"), 0, false},
                                      {"object", opt_str(v, "object"), 0, false},
                                      {"decision", opt_str(v, "decision"), 0, false},
                                      {"since", NULL, since, false},
                                      {"until", NULL, until, false}};
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    struct ctl_query q = {.what = "audit",
                          .where = where,
                          .n_where = COUNT_OF(where),
                          .limit = opt_int(v, "count"),
                          .as_json = opt_flag(v, "json"),
                          .row = add_row,
                          .self = t};
    code = ctl_query(argv, &q);
    if (!q.as_json)
        ctl_print(t);
    if (q.more)
        term_say(stderr, "there are more: -n COUNT shows them\n");
    term_table_free(&t);
    return code;
}

static void show_row(void *self, json_t *row)
{
    static const struct {
        const char *label, *key;
    } lines[] = {{"entry", "number"},  {"principal", "principal"}, {"role", "role"},
                 {"key", "key"},       {"serial", "serial"},       {"address", "address"},
                 {"verb", "verb"},     {"object", "object"},       {"decision", "decision"},
                 {"code", "code"},     {"count", "count"},         {"reason", "reason"},
                 {"before", "before"}, {"after", "after"}};
    const struct term_column columns[] = {{"", 0}, {"", TERM_SHRINK(40) | TERM_WRAP}};
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    char moment[TERM_TIME];
    (void)self;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        if (!*ctl_text(row, lines[i].key))
            continue;
        term_table_add(t, lines[i].label);
        term_table_add(t, ctl_text(row, lines[i].key));
        if (i == 0) {
            term_table_add(t, "at");
            term_table_add(t, term_moment(ctl_time(row, "at"), moment));
        }
    }
    ctl_print(t);
    term_table_free(&t);
}

static int show(char **argv, const char *number, bool as_json)
{
    struct error err = {0};
    const struct ctl_where where[] = {{"number", number, 0, false}};
    struct ctl_query q = {
        .what = "audit", .where = where, .n_where = 1, .as_json = as_json, .row = show_row};
    if (strspn(number, "0123456789") != strlen(number)) {
        error_set(&err, -EINVAL, "'%.40s' is no number of an entry", number);
        return ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    }
    int code = ctl_query(argv, &q);
    if (code == EXIT_DONE && !q.rows) {
        error_set(&err, -ENOENT, "the audit trail has no entry %s", number);
        code = ctl_fail(argv, EXIT_REFUSED, &err);
    }
    return code;
}

static int run(char **argv, const struct option_values *v, const char *verb, const char *what)
{
    const char *output = opt_str(v, "output");
    struct error err = {0};
    struct ctl_trail_order o = {.checkpoint = opt_str(v, "checkpoint"),
                                .administrators = opt_str(v, "administrators")};
    if (opt_flag(v, "utc"))
        term_utc();
    if (strcmp(verb, "list") == 0 && !what)
        return list(argv, v);
    if (strcmp(verb, "show") == 0 && what)
        return show(argv, what, opt_flag(v, "json"));
    if (strcmp(verb, "export") == 0 && !what && output) {
        o.to = output;
        return ctl_trail_verify(argv, &o);
    }
    if (strcmp(verb, "verify") == 0) {
        o.from = what;
        return ctl_trail_verify(argv, &o);
    }
    error_set(&err, -EINVAL, "usage: %s %s", argv[0], synopsis);
    return ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
}

int ctl_audit(int argc, char **argv)
{
    struct option_values v = {0};
    int first,
        code = ctl_begin(rows, COUNT_OF(rows), argc, argv, synopsis, examples, 1, 2, &v, &first);
    if (code >= 0)
        return code;
    code = run(argv, &v, argv[first], first + 1 < argc ? argv[first + 1] : NULL);
    options_free(&v);
    return code;
}
