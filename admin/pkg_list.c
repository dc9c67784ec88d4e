/* pkg_list.c - lbpkg list: the packages of the depot, or, with --servers, who has which. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/pkg_net.h"
#include "client/who.h"
#include "common/duration.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/term.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    {"servers", 's', OPTION_FLAG, NULL, 0, 0, false, NULL,
     "a line for each server and package that it has or should have"},
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
};

static const char examples[] = "  lbpkg list\n"
                               "  lbpkg list --servers --json | jq 'select(.trouble)'\n";

static const struct term_column depot_columns[] = {
    {"package", TERM_SHRINK(10)},
    {"version", TERM_SHRINK(6)},
    {"size", TERM_RIGHT | TERM_DROP(1)},
    {"hash", TERM_DROP(2)},
    {"deployed to", TERM_SHRINK(12) | TERM_WRAP},
};
static const struct term_column server_columns[] = {
    {"server", TERM_SHRINK(8)},  {"package", TERM_SHRINK(10)},
    {"version", TERM_SHRINK(6)}, {"signer", TERM_OPTIONAL | TERM_DROP(1)},
    {"hash", TERM_DROP(2)},      {"trouble", TERM_OPTIONAL | TERM_SHRINK(20) | TERM_WRAP},
};

struct pkg_listing {
    struct term_table *table;
    bool json;
    json_t *packages; /* of the depot, which returns them in no particular order */
    struct buf out;
};

static void add_json(struct pkg_listing *l, const json_t *row)
{
    char *text = json_dump_canonical(row);
    buf_printf(&l->out, "%s\n", text);
    free(text);
}

/* Enough of a hash for people: the first 12 digits. */
static void add_hash(struct pkg_listing *l, const char *hash)
{
    const char *digits = strncmp(hash, PACKAGE_HASH_PREFIX, 8) == 0 ? hash + 8 : hash;
    term_table_addf(l->table, TERM_FAINT, "%.12s", digits);
}

static void add_addresses(const json_t *row, struct buf *out)
{
    const json_t *list = json_object_get(row, "deployed"), *item;
    size_t i;
    json_array_foreach (list, i, item)
        buf_printf(out, "%s%s", out->n ? " " : "", pkg_text(item, "address"));
}

static void take_package(void *self, json_t *row)
{
    struct pkg_listing *l = self;
    json_array_append(l->packages, row);
}

static void add_package(struct pkg_listing *l, json_t *row)
{
    char size[DURATION_TEXT];
    struct buf addresses = {0};
    if (l->json) {
        add_json(l, row);
        return;
    }
    add_addresses(row, &addresses);
    term_table_add(l->table, pkg_text(row, "name"));
    term_table_add(l->table, pkg_text(row, "version"));
    term_table_add(l->table,
                   size_format(json_integer_value(json_object_get(row, "size_bytes")), size));
    add_hash(l, pkg_text(row, "hash"));
    term_table_add(l->table, buf_str(&addresses));
    buf_free(&addresses);
}

static void take_server(void *self, json_t *row)
{
    struct pkg_listing *l = self;
    json_t *packages = json_object_get(row, "packages"), *p;
    size_t i;
    json_array_foreach (packages, i, p) {
        if (l->json) {
            json_object_set_new(p, "v", json_integer(1));
            json_object_set(p, "server", json_object_get(row, "server"));
            add_json(l, p);
            continue;
        }
        const char *trouble = pkg_text(p, "trouble");
        term_table_add(l->table, pkg_text(row, "server"));
        term_table_add(l->table, pkg_text(p, "name"));
        term_table_add(l->table, pkg_text(p, "version"));
        term_table_add(l->table, pkg_text(p, "signer"));
        add_hash(l, pkg_text(p, "hash"));
        term_table_add_in(l->table, TERM_BAD, trouble);
    }
}

static int by_name(const void *a, const void *b)
{
    const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
    int names = strcmp(pkg_text(x, "name"), pkg_text(y, "name"));
    return names ? names : strverscmp(pkg_text(x, "version"), pkg_text(y, "version"));
}

static void add_packages(struct pkg_listing *l)
{
    size_t i, n = json_array_size(l->packages);
    json_t **sorted = mem_alloc((n + 1) * sizeof *sorted);
    for (i = 0; i < n; i++)
        sorted[i] = json_array_get(l->packages, i);
    qsort(sorted, n, sizeof *sorted, by_name);
    for (i = 0; i < n; i++)
        add_package(l, sorted[i]);
    mem_free(&sorted);
}

/* Nothing is listed: is there nothing, or may we see nothing? */
static int explain_none(struct longboat *lb, char **argv, bool servers)
{
    struct who me;
    struct error err = {0};
    int code = EXIT_DONE;
    if (who_ask(lb, &me, &err) < 0)
        return pkg_fail(argv, EXIT_REFUSED, &err);
    if (servers && !me.may_watch) {
        who_may_not_watch(&me, argv[0]);
        code = EXIT_REFUSED;
    } else if (me.administrator) {
        term_say(stderr, "no packages yet; lbpkg deploy FILE --to POOL brings one\n");
    } else {
        term_say(stderr, "no packages that '%s' may see (grants: %s)\n", me.name, me.grants);
    }
    who_free(&me);
    return code;
}

static int list(struct longboat *lb, char **argv, bool servers, bool json)
{
    struct pkg_listing l = {.json = json, .packages = json_array()};
    struct error err = {0};
    struct term term = term_of(STDOUT_FILENO);
    l.table = servers ? term_table_new(server_columns, COUNT_OF(server_columns))
                      : term_table_new(depot_columns, COUNT_OF(depot_columns));
    int rc = servers ? pkg_servers(lb, NULL, take_server, &l, &err)
                     : pkg_packages(lb, take_package, &l, &err);
    add_packages(&l);
    if (rc < 0) {
        rc = pkg_fail(argv, EXIT_REFUSED, &err);
    } else if (!l.out.n && term_table_rows(l.table) == 0) {
        rc = json ? EXIT_DONE : explain_none(lb, argv, servers);
    } else {
        term_table_print(l.table, &term, &l.out);
        rc = pkg_print(argv, &l.out);
    }
    term_table_free(&l.table);
    json_decref(l.packages);
    buf_free(&l.out);
    return rc;
}

int pkg_list(int argc, char **argv)
{
    struct option_values v = {0};
    int first, rc = pkg_begin(rows, COUNT_OF(rows), argc, argv, "[--servers] [--json]", examples, 0,
                              0, &v, &first);
    if (rc >= 0)
        return rc;
    struct longboat *lb = pkg_connect(argv);
    rc = lb ? list(lb, argv, opt_flag(&v, "servers"), opt_flag(&v, "json")) : EXIT_REFUSED;
    longboat_close(&lb);
    options_free(&v);
    return rc;
}
