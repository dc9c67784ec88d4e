/* ctl_servers.c - lbctl servers, whoami: who is there, with what; who am I. */
#include "admin/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

static const struct option_row rows[] = {
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
    {"pool", 0, OPTION_STR, NULL, 0, 0, false, "NAME", "servers of this pool only"},
};

static const struct term_column columns[] = {
    {"server", false}, {"state", false}, {"pools", false},    {"slots", true},
    {"live", true},    {"since", false}, {"packages", false}, {"trouble", false},
};

/* Joins the texts, or the members `key` of the objects, of an array; at most `most`, then how many more. */
static char *joined(json_t *array, const char *key, size_t most)
{
    struct buf out = {0};
    size_t n = json_array_size(array);
    for (size_t i = 0; i < n && i < most; i++) {
        json_t *item = json_array_get(array, i);
        buf_printf(&out, "%s%s", i ? " " : "", key ? ctl_text(item, key) : json_string_value(item));
    }
    if (n > most)
        buf_printf(&out, " +%zu", n - most);
    char *text = mem_strdup(buf_str(&out));
    buf_free(&out);
    return text;
}

/* Needs that do not hold and packages that are wanted but not there. */
static void trouble(json_t *row, struct buf *out)
{
    size_t i;
    json_t *item;
    if (*ctl_text(row, "draining_reason"))
        buf_printf(out, "draining: %s; ", ctl_text(row, "draining_reason"));
    json_array_foreach(json_object_get(row, "packages"), i, item)
    {
        if (*ctl_text(item, "trouble"))
            buf_printf(out, "%s: %s; ", ctl_text(item, "name"), ctl_text(item, "trouble"));
    }
    json_array_foreach(json_object_get(row, "needs"), i, item)
    {
        if (*ctl_text(item, "trouble"))
            buf_printf(out, "%s: %s; ", ctl_text(item, "need"), ctl_text(item, "trouble"));
    }
    if (out->n > 2)
        out->n -= 2;
}

static void print(void *self, json_t *row)
{
    struct term_table *t = self;
    struct buf wrong = {0};
    char *pools = joined(json_object_get(row, "pools"), NULL, 8);
    char *packages = joined(json_object_get(row, "packages"), "name", 6);
    const char *state = json_is_true(json_object_get(row, "draining")) ? "draining" : ctl_text(row, "state");
    trouble(row, &wrong);
    term_table_add(t, ctl_text(row, "server"));
    term_table_add_in(t, ctl_mood(state), state);
    term_table_add(t, pools);
    term_table_add(t, ctl_text(row, "slots"));
    term_table_add(t, ctl_text(row, "live"));
    term_table_add(t, ctl_when(ctl_text(row, "up_since")));
    term_table_add(t, packages);
    term_table_add(t, buf_str(&wrong));
    mem_free(&pools);
    mem_free(&packages);
    buf_free(&wrong);
}

int ctl_servers(int argc, char **argv)
{
    struct option_values v = {0};
    size_t n;
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "[options]", "  lbctl servers --pool etl\n", 0, 0, &v, &first);
    if (code >= 0)
        return code;
    const struct ctl_where where[] = {{"pool", opt_str(&v, "pool")}};
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    code = ctl_query(argv, "servers", where, 1, INT64_MAX, opt_flag(&v, "json"), print, t, &n);
    if (code == EXIT_DONE && n == 0)
        fprintf(stderr, "no servers yet; lbctl invite --server NAME prints a token with which one joins\n");
    ctl_print(t);
    term_table_free(&t);
    options_free(&v);
    return code;
}

static void print_me(void *self, json_t *row)
{
    size_t i;
    json_t *item;
    (void)self;
    printf("%s, %s of cluster %s, certificate until %s\n", ctl_text(row, "name"), ctl_text(row, "role"), ctl_text(row, "cluster"),
           ctl_text(row, "not_after"));
    json_array_foreach(json_object_get(row, "grants"), i, item) printf("  may %s\n", json_string_value(item));
    if (strcmp(ctl_text(row, "role"), "administrator") == 0)
        printf("  may everything\n");
}

int ctl_whoami(int argc, char **argv)
{
    struct option_values v = {0};
    int first, code = ctl_begin(rows, 1, argc, argv, "[--json]", NULL, 0, 0, &v, &first);
    if (code >= 0)
        return code;
    code = ctl_query(argv, "whoami", NULL, 0, 1, opt_flag(&v, "json"), print_me, NULL, NULL);
    options_free(&v);
    return code;
}
