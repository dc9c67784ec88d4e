/* ctl_servers.c - lbctl servers: which servers there are, what they have and what is wrong. */
#include "admin/ctl.h"
#include "client/who.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    {"pool", 'p', OPTION_STR, NULL, 0, 0, false, "NAME", "only servers of this pool"},
    CTL_UTC_ROW,
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
};

static const char examples[] =
    "  lbctl servers\n"
    "  lbctl servers --pool etl\n"
    "  lbctl servers etl1             with its jobs, packages and needs\n";

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

/* A draining server says so in `state`, or in a flag of its own. */
static const char *state_of(json_t *row)
{
    bool up = strcmp(ctl_text(row, "state"), "up") == 0;
    return up && json_is_true(json_object_get(row, "draining")) ? "draining"
                                                                : ctl_text(row, "state");
}

/* Since when it has been up, or when it was last heard from. */
static const char *since_key(json_t *row)
{
    return strcmp(ctl_text(row, "state"), "unreachable") == 0 ? "heard_at" : "up_since";
}

/* What its worker complains of, needs that are not met, packages that are wanted but missing, job
 * files with errors. */
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
    if (*ctl_text(row, "trouble"))
        buf_printf(out, "%s; ", ctl_text(row, "trouble"));
    json_array_foreach (json_object_get(row, "refused"), i, item)
        buf_printf(out, "it refuses %s: %s; ", ctl_text(item, "job"), ctl_text(item, "trouble"));
    if (*ctl_text(row, "slots_with_trouble"))
        buf_printf(out, "%s; ", ctl_text(row, "slots_with_trouble"));
    if (*ctl_text(row, "unsigned"))
        buf_printf(out, "it takes unsigned packages: %s; ", ctl_text(row, "unsigned"));
    const char *wrong = ctl_text(row, "jobs_with_trouble");
    if (*wrong && strcmp(wrong, "0") != 0)
        buf_printf(out, "%s job file%s wrong (lbworker check, there, says why); ", wrong,
                   strcmp(wrong, "1") == 0 ? " is" : "s are");
    if (out->n > 2)
        out->n -= 2;
}

static void add_server(struct term_table *t, json_t *row)
{
    struct buf wrong = {0};
    char *pools = joined(json_object_get(row, "pools"), 8);
    const char *state = state_of(row);
    bool away = strcmp(state, "unreachable") == 0;
    trouble(row, &wrong);
    term_table_add(t, ctl_text(row, "server"));
    term_table_add_in(t, ctl_mood(state), state);
    term_table_add(t, pools);
    term_table_add(t, ctl_text(row, "slots"));
    term_table_add(t, ctl_text(row, "live"));
    term_table_add(t, ctl_text(row, "n_jobs"));
    term_table_add(t, ctl_text(row, "n_packages"));
    term_table_add(t, away ? "" : ctl_when(row, "up_since"));
    term_table_add(t, ctl_when(row, "heard_at"));
    term_table_add(t, buf_str(&wrong));
    mem_free(&pools);
    buf_free(&wrong);
}

static bool any_away(json_t *servers)
{
    size_t i;
    json_t *row;
    json_array_foreach (servers, i, row)
        if (strcmp(ctl_text(row, "state"), "unreachable") == 0)
            return true;
    return false;
}

static void print_servers(json_t *servers)
{
    /* The first title of a column of times names the zone; when a server was last heard from
       matters only if one is away. */
    const struct term_column columns[] = {
        {"server", TERM_SHRINK(8)},
        {"state", 0},
        {"pools", TERM_SHRINK(6) | TERM_DROP(2)},
        {"slots", TERM_RIGHT},
        {"live", TERM_RIGHT},
        {"jobs", TERM_RIGHT | TERM_DROP(3)},
        {"packages", TERM_RIGHT | TERM_DROP(4)},
        {ctl_zoned("up since"), TERM_DROP(1)},
        {"last heard", TERM_OPTIONAL},
        {"trouble", TERM_OPTIONAL | TERM_SHRINK(18) | TERM_WRAP},
    };
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    bool heard = any_away(servers);
    size_t i;
    json_t *row;
    json_array_foreach (servers, i, row) {
        if (!heard)
            json_object_del(row, "heard_at");
        add_server(t, row);
    }
    ctl_print(t);
    term_table_free(&t);
}

/* ---- One server, with all that it attests */
/* "::ffff:192.0.2.1" is an IPv4 address as an IPv6 socket sees it. */
static const char *plain_address(const char *address)
{
    static const char mapped[] = "::ffff:";
    return strncmp(address, mapped, strlen(mapped)) == 0 ? address + strlen(mapped) : address;
}

/* Text after `name: `, wrapped to the page. */
static void print_wrapped(const struct term *term, const char *name, struct span text)
{
    struct buf safe = {0}, out = {0};
    int at = (int)strlen(name) + 2;
    term_safe(&safe, text);
    buf_printf(&out, "%s: ", name);
    term_wrap(&out, buf_span(&safe), at, term_page(term));
    buf_add_str(&out, "\n");
    term_put(stdout, buf_span(&out));
    buf_free(&safe);
    buf_free(&out);
}

static void print_head(json_t *row, const struct term *term)
{
    struct buf text = {0};
    char moment[TERM_TIME], zone[TERM_TIME];
    const char *state = state_of(row), *key = since_key(row), *name = ctl_text(row, "server");
    int64_t since = ctl_time(row, key);
    buf_add_str(&text, state);
    if (since)
        buf_printf(&text, "%s %s %s",
                   *key == 'h'                ? ", last heard"
                   : strcmp(state, "up") == 0 ? " since"
                                              : ", up since",
                   term_moment(since, moment), term_zone(since, zone));
    else if (*key == 'h')
        buf_add_str(&text, ", not heard since the broker started");
    if (*ctl_text(row, "address"))
        buf_printf(&text, ", at %s", plain_address(ctl_text(row, "address")));
    if (*ctl_text(row, "software"))
        buf_printf(&text, ", %s", ctl_text(row, "software"));
    print_wrapped(term, name, buf_span(&text));
    buf_clear(&text);
    buf_printf(&text, "%s, of which %s are in use (%s running); room for %s more",
               ctl_text(row, "slots"), ctl_text(row, "live"), ctl_text(row, "running"),
               ctl_text(row, "credit"));
    if (ctl_int(row, "slots"))
        print_wrapped(term, "slots", buf_span(&text));
    buf_free(&text);
}

static void print_jobs(json_t *jobs)
{
    static const struct term_column columns[] = {
        {"job", TERM_SHRINK(12)}, {"version", TERM_SHRINK(6)}, {"live", TERM_RIGHT}, {"hash", 0}};
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    size_t i;
    json_t *job;
    json_array_foreach (jobs, i, job) {
        term_table_add(t, ctl_text(job, "job"));
        term_table_add(t, ctl_text(job, "version"));
        term_table_add(t, ctl_text(job, "live"));
        term_table_add_in(t, TERM_FAINT, ctl_hash(job, "job_hash"));
    }
    if (json_array_size(jobs))
        term_say(stdout, "\n");
    ctl_print(t);
    term_table_free(&t);
}

static void print_packages(json_t *packages)
{
    static const struct term_column columns[] = {
        {"package", TERM_SHRINK(12)},
        {"version", TERM_SHRINK(6)},
        {"signer", TERM_OPTIONAL | TERM_DROP(1)},
        {"hash", 0},
        {"trouble", TERM_OPTIONAL | TERM_SHRINK(20) | TERM_WRAP}};
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    size_t i;
    json_t *package;
    json_array_foreach (packages, i, package) {
        term_table_add(t, ctl_text(package, "name"));
        term_table_add(t, ctl_text(package, "version"));
        term_table_add(t, ctl_text(package, "signer"));
        term_table_add_in(t, TERM_FAINT, ctl_hash(package, "hash"));
        term_table_add_in(t, TERM_BAD, ctl_text(package, "trouble"));
    }
    if (json_array_size(packages))
        term_say(stdout, "\n");
    ctl_print(t);
    term_table_free(&t);
}

static void print_needs(json_t *needs)
{
    static const struct term_column columns[] = {
        {"need", TERM_SHRINK(20)},
        {"state", 0},
        {"trouble", TERM_OPTIONAL | TERM_SHRINK(20) | TERM_WRAP}};
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    size_t i;
    json_t *need;
    json_array_foreach (needs, i, need) {
        bool holds = json_is_true(json_object_get(need, "holds"));
        term_table_add(t, ctl_text(need, "need"));
        term_table_add_in(t, holds ? TERM_GOOD : TERM_BAD, holds ? "met" : "unmet");
        term_table_add(t, ctl_text(need, "trouble"));
    }
    if (json_array_size(needs))
        term_say(stdout, "\n");
    ctl_print(t);
    term_table_free(&t);
}

static void print_whole(json_t *row)
{
    struct term term = term_of(STDOUT_FILENO);
    struct buf wrong = {0};
    print_head(row, &term);
    print_jobs(json_object_get(row, "jobs"));
    print_packages(json_object_get(row, "packages"));
    print_needs(json_object_get(row, "needs"));
    trouble(row, &wrong);
    if (wrong.n) {
        term_say(stdout, "\n");
        print_wrapped(&term, "trouble", buf_span(&wrong));
    }
    buf_free(&wrong);
}

/* No rows: are there no servers, or may the asker see none? */
static int explain_none(char **argv, struct longboat *lb, const char *server, const char *pool)
{
    struct who me;
    struct error err = {0};
    int code = EXIT_DONE, rc = who_ask(lb, &me, &err);
    if (rc < 0)
        return ctl_fail(argv, ctl_code(rc, REFUSAL_NONE), &err);
    if (!me.may_watch) {
        who_may_not_watch(&me, argv[0]);
        code = EXIT_REFUSED;
    } else if (server && ctl_any_server(argv, lb, "address", server)) {
        term_say(stderr, "%s: '%s' is a pool; lbctl servers --pool %s lists its servers\n", argv[0],
                 server, server);
        code = EXIT_ASKED_WRONGLY;
    } else if (server || pool) {
        term_say(stderr, "%s: no server %s'%s' is known, or you may not watch it\n", argv[0],
                 server ? "" : "of pool ", server ? server : pool);
        code = EXIT_REFUSED;
    } else {
        term_say(stderr, "no servers yet; lbctl invite --server NAME prints a token with which one "
                         "joins\n");
    }
    who_free(&me);
    return code;
}

static int list_servers(char **argv, struct longboat *lb, const char *server, const char *pool,
                        bool as_json)
{
    json_t *servers = json_array();
    const struct ctl_where where[] = {{"address", pool, 0, false}, {"server", server, 0, false}};
    struct ctl_query q = {.what = "servers",
                          .where = where,
                          .n_where = COUNT_OF(where),
                          .as_json = as_json,
                          .row = ctl_gather,
                          .self = servers};
    size_t i;
    json_t *row;
    int code = ctl_query_over(argv, lb, &q);
    if (code == EXIT_DONE && q.rows == 0)
        code = explain_none(argv, lb, server, pool);
    if (server)
        json_array_foreach (servers, i, row)
            print_whole(row);
    else
        print_servers(servers);
    json_decref(servers);
    return code;
}

int ctl_servers(int argc, char **argv)
{
    struct option_values v = {0};
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "[SERVER] [options]", examples, 0,
                                1, &v, &first);
    if (code >= 0)
        return code;
    if (opt_flag(&v, "utc"))
        term_utc();
    struct longboat *lb = ctl_connect(argv);
    code = lb ? list_servers(argv, lb, first < argc ? argv[first] : NULL, opt_str(&v, "pool"),
                             opt_flag(&v, "json"))
              : EXIT_REFUSED;
    longboat_close(&lb);
    options_free(&v);
    return code;
}
