/* ctl_whoami.c - lbctl whoami: name, role and grants, as the broker sees them. */
#include <stdio.h>
#include <string.h>

#include "admin/ctl.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    CTL_UTC_ROW,
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object"},
};

static const char examples[] =
    "  lbctl whoami        name, role, grants, and how long the certificate is valid\n";

static void print(void *self, json_t *row)
{
    size_t i;
    json_t *item;
    char moment[TERM_TIME], zone[TERM_TIME];
    int64_t end = ctl_time(row, "not_after");
    (void)self;
    term_say(stdout, "%s, %s of cluster %s\n", ctl_text(row, "name"), ctl_text(row, "role"),
             ctl_text(row, "cluster"));
    term_say(stdout, "  certificate valid until %s %s\n", term_moment(end, moment),
             term_zone(end, zone));
    json_array_foreach (json_object_get(row, "grants"), i, item)
        term_say(stdout, "  may %s\n", json_string_value(item));
    if (strcmp(ctl_text(row, "role"), "administrator") == 0)
        term_say(stdout, "  may do everything\n");
}

int ctl_whoami(int argc, char **argv)
{
    struct option_values v = {0};
    int first,
        code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "[--json]", examples, 0, 0, &v, &first);
    if (code >= 0)
        return code;
    struct ctl_query q = {.what = "whoami", .as_json = opt_flag(&v, "json"), .row = print};
    if (opt_flag(&v, "utc"))
        term_utc();
    code = ctl_query(argv, &q);
    options_free(&v);
    return code;
}
