/* ctl_servers.c - lbctl servers, whoami: who is there, with what; who am I. */
#include "admin/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

static const struct option_row rows[] = {
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
    {"pool", 'p', OPTION_STR, NULL, 0, 0, false, "NAME", "servers of this pool only"},
};

static const struct term_column columns[] = {
    {"server", false}, {"state", false},   {"pools", false}, {"slots", true},    {"live", true},
    {"jobs", true},    {"packages", true}, {"since", false}, {"trouble", false},
};

/* Joins the texts of an array; at most `most`, then how many more. */
static char *joined(json_t *array, size_t most)
{
    struct buf out = {0};
    size_t n = json_array_size(array);
    for (size_t i = 0; i < n && i < most; i++) {
        const char *item = json_string_value(json_array_get(array, i));
        buf_printf(&out, "%s%s", i ? " " : "", item ? item : "");
    }
    if (n > most)
        buf_printf(&out, " +%zu", n - most);
    char *text = mem_strdup(buf_str(&out));
    buf_free(&out);
    return text;
}

/* Needs that do not hold, packages that are wanted but not there, job files that are wrong. */
static void trouble(json_t *row, struct buf *out)
{
    size_t i;
    json_t *item;
    if (*ctl_text(row, "draining_reason"))
        buf_printf(out, "draining: %s; ", ctl_text(row, "draining_reason"));
    /* of one server; a listing has only those it misses */
    json_t *packages = json_object_get(row, "packages");
    json_array_foreach (packages ? packages : json_object_get(row, "packages_missing"), i, item) {
        if (*ctl_text(item, "trouble"))
            buf_printf(out, "%s: %s; ", ctl_text(item, "name"), ctl_text(item, "trouble"));
    }
    json_array_foreach (json_object_get(row, "needs"), i, item) {
        if (*ctl_text(item, "trouble"))
            buf_printf(out, "%s: %s; ", ctl_text(item, "need"), ctl_text(item, "trouble"));
    }
    const char *wrong = ctl_text(row, "jobs_with_trouble");
    if (*wrong && strcmp(wrong, "0") != 0)
        buf_printf(out, "%s job file%s wrong (lbworker check, there, says why); ", wrong,
                   strcmp(wrong, "1") == 0 ? " is" : "s are");
    if (out->n > 2)
        out->n -= 2;
}

static void print(void *self, json_t *row)
{
    struct term_table *t = self;
    struct buf wrong = {0};
    char *pools = joined(json_object_get(row, "pools"), 8);
    const char *state =
        json_is_true(json_object_get(row, "draining")) ? "draining" : ctl_text(row, "state");
    trouble(row, &wrong);
    term_table_add(t, ctl_text(row, "server"));
    term_table_add_in(t, ctl_mood(state), state);
    term_table_add(t, pools);
    term_table_add(t, ctl_text(row, "slots"));
    term_table_add(t, ctl_text(row, "live"));
    term_table_add(t, ctl_text(row, "n_jobs"));
    term_table_add(t, ctl_text(row, "n_packages"));
    term_table_add(t, ctl_when(ctl_text(row, "up_since")));
    term_table_add(t, buf_str(&wrong));
    mem_free(&pools);
    buf_free(&wrong);
}

/* One server, with all that it attests. */
static void print_whole(void *self, json_t *row)
{
    struct buf wrong = {0};
    size_t i;
    json_t *item;
    (void)self;
    trouble(row, &wrong);
    printf("%s: %s%s, since %s, at %s, software %s\n", ctl_text(row, "server"),
           ctl_text(row, "state"),
           json_is_true(json_object_get(row, "draining")) ? ", draining" : "",
           ctl_text(row, "up_since"), ctl_text(row, "address"), ctl_text(row, "software"));
    printf("  %s slots, %s attempts here, %s running, room for %s more\n", ctl_text(row, "slots"),
           ctl_text(row, "live"), ctl_text(row, "running"), ctl_text(row, "credit"));
    json_array_foreach (json_object_get(row, "jobs"), i, item)
        printf("  job %-24s version %-8s %s\n", ctl_text(item, "job"), ctl_text(item, "version"),
               ctl_text(item, "job_hash"));
    json_array_foreach (json_object_get(row, "packages"), i, item)
        printf("  package %-20s version %-8s %s %s\n", ctl_text(item, "name"),
               ctl_text(item, "version"), ctl_text(item, "hash"), ctl_text(item, "trouble"));
    json_array_foreach (json_object_get(row, "needs"), i, item)
        printf("  need %-23s %s %s\n", ctl_text(item, "need"),
               json_is_true(json_object_get(item, "holds")) ? "holds" : "does not hold:",
               ctl_text(item, "trouble"));
    if (wrong.n)
        printf("  trouble: %s\n", buf_str(&wrong));
    buf_free(&wrong);
}

int ctl_servers(int argc, char **argv)
{
    struct option_values v = {0};
    size_t n;
    int first,
        code = ctl_begin(
            rows, COUNT_OF(rows), argc, argv, "[SERVER] [options]",
            "  lbctl servers --pool etl\n  lbctl servers etl1        with its jobs, packages and needs\n",
            0, 1, &v, &first);
    if (code >= 0)
        return code;
    const char *one = first < argc ? argv[first] : NULL;
    const struct ctl_where where[] = {{"address", opt_str(&v, "pool"), 0}, {"server", one, 0}};
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    code = ctl_query(argv, "servers", where, 2, INT64_MAX, opt_flag(&v, "json"),
                     one ? print_whole : print, t, &n);
    if (code == EXIT_DONE && n == 0 && one) {
        fprintf(stderr, "%s: no server '%s' is known, or you may not watch it\n", argv[0], one);
        code = EXIT_REFUSED;
    } else if (code == EXIT_DONE && n == 0 && opt_str(&v, "pool")) {
        fprintf(stderr, "%s: no server of pool '%s' is known, or you may not watch it\n", argv[0],
                opt_str(&v, "pool"));
        code = EXIT_REFUSED;
    } else if (code == EXIT_DONE && n == 0) {
        fprintf(stderr,
                "no servers yet; lbctl invite --server NAME prints a token with which one joins\n");
    }
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
    printf("%s, %s of cluster %s, certificate until %s\n", ctl_text(row, "name"),
           ctl_text(row, "role"), ctl_text(row, "cluster"), ctl_text(row, "not_after"));
    json_array_foreach (json_object_get(row, "grants"), i, item)
        printf("  may %s\n", json_string_value(item));
    if (strcmp(ctl_text(row, "role"), "administrator") == 0)
        printf("  may everything\n");
}

int ctl_whoami(int argc, char **argv)
{
    struct option_values v = {0};
    int first,
        code = ctl_begin(
            rows, 1, argc, argv, "[--json]",
            "  lbctl whoami        name, role, grants, and until when the certificate lasts\n", 0,
            0, &v, &first);
    if (code >= 0)
        return code;
    code = ctl_query(argv, "whoami", NULL, 0, 1, opt_flag(&v, "json"), print_me, NULL, NULL);
    options_free(&v);
    return code;
}
