/* ctl_proxyshow.c - lbctl proxy list, show, test: what the files say, and what the runner would. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "admin/ctl_proxy.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/termout.h"
#include "package/installed.h"
#include "package/proxyfile.h"

/* ---- As JSON */

static json_t *text_of(struct span s)
{
    return json_stringn((const char *)(s.p ? s.p : (const uint8_t *)""), s.n);
}

static json_t *list_of(const struct wire_list *list)
{
    json_t *array = json_array();
    struct wire_iter it = wire_iter(list);
    struct span item;
    while (wire_next(&it, &item))
        json_array_append_new(array, text_of(item));
    return array;
}

static json_t *names_of(const struct wire_list *map)
{
    json_t *array = json_array();
    struct wire_iter it = wire_iter(map);
    struct span name;
    struct value v;
    while (wire_next_pair(&it, &name, &v))
        json_array_append_new(array, text_of(name));
    return array;
}

static json_t *protections_of(uint64_t bits)
{
    json_t *array = json_array();
    for (unsigned at = 0; at < PROTECT_COUNT; at++)
        if (bits & (1U << at))
            json_array_append_new(array, json_string(protect_word(at)));
    return array;
}

/* A member that has nothing to say is left out. Takes the value. */
static void set_if_any(json_t *o, const char *key, json_t *value)
{
    if (json_array_size(value) || json_object_size(value) ||
        (json_is_string(value) && *json_string_value(value)))
        json_object_set(o, key, value);
    json_decref(value);
}

static void add_limits(json_t *o, const struct d_proxy *p)
{
    json_t *limits = json_object();
    const struct {
        const char *key;
        uint64_t v;
    } rows[] = {{"timeout_ms", p->timeout_ms},   {"memory_bytes", p->memory},
                {"cpu_milli", p->cpu},           {"processes", p->processes},
                {"open_files", p->files},        {"file_size_bytes", p->file_size},
                {"output_bytes", p->output_cap}, {"warn_ms", p->warn_ms},
                {"warn_signal", p->warn_signal}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].v)
            json_object_set_new(limits, rows[i].key, json_integer((json_int_t)rows[i].v));
    set_if_any(o, "limits", limits);
}

static void add_account(json_t *o, const struct account_user *a)
{
    json_t *groups = json_array();
    for (size_t i = 0; i < a->n_groups; i++)
        json_array_append_new(groups, json_integer(a->groups[i]));
    json_object_set_new(o, "user", json_string(a->name));
    json_object_set_new(o, "uid", json_integer(a->uid));
    json_object_set_new(o, "gid", json_integer(a->gid));
    json_object_set_new(o, "groups", groups);
}

static void add_said(json_t *o, const struct d_proxy *p)
{
    set_if_any(o, "description", text_of(p->description));
    set_if_any(o, "user", text_of(p->user));
    json_object_set_new(o, "subsystems", list_of(&p->subsystems));
    json_object_set_new(o, "principals", list_of(&p->principals));
    if (!p->any_signer)
        json_object_set_new(o, "signers", list_of(&p->signers));
    set_if_any(o, "environment", names_of(&p->environment));
    set_if_any(o, "credentials", names_of(&p->credentials));
    set_if_any(o, "on", protections_of(p->on));
    set_if_any(o, "required", protections_of(p->required));
    add_limits(o, p);
}

json_t *ctl_proxy_json(struct ctl_proxy *c, const char *name)
{
    static const struct proxy_question any; /* whoever, whatever: is it usable at all? */
    struct error err = {0};
    struct proxy_found found = {0};
    struct span document;
    json_t *o = json_object();
    int rc = proxyserver_find(&c->here.server, span_str(name), &found, &document, &err);
    json_object_set_new(o, "v", json_integer(1));
    json_object_set_new(o, "proxy", json_string(name));
    set_if_any(o, "file", json_string(found.file));
    if (rc == 0) {
        add_said(o, &found.proxy);
        rc = proxyserver_judge(&c->here.server, span_str(name), &any, &found, &err);
    }
    if (rc == 0)
        add_account(o, &found.account);
    json_object_set_new(o, "usable", json_boolean(rc == 0));
    if (rc < 0)
        json_object_set_new(o, "trouble", json_string(err.text));
    return o;
}

static void print_json(json_t *o)
{
    char *text = json_dump_canonical(o);
    term_say(stdout, "%s\n", text);
    free(text);
}

/* ---- list */

static int is_file(const struct dirent *e)
{
    const size_t n = strlen(e->d_name);
    return n > 5 && n <= LIMIT_NAME + 5 && strcmp(e->d_name + n - 5, ".yaml") == 0;
}

/* All names, `default` too where it needs no file. An array of texts. */
static json_t *all_names(const struct ctl_proxy *c)
{
    struct dirent **found = NULL;
    json_t *names = json_array();
    bool has_default = false;
    int n = scandir(c->here.proxies, &found, is_file, alphasort);
    for (int i = 0; i < n; i++) {
        const size_t len = strlen(found[i]->d_name) - 5;
        json_array_append_new(names, json_stringn(found[i]->d_name, len));
        has_default = has_default || strcmp(found[i]->d_name, PROXY_DEFAULT ".yaml") == 0;
        free(found[i]);
    }
    free(found);
    if (!has_default && !c->here.server.separated)
        json_array_insert_new(names, 0, json_string(PROXY_DEFAULT));
    return names;
}

static char *joined(json_t *array)
{
    struct buf out = {0};
    size_t i;
    json_t *item;
    json_array_foreach (array, i, item)
        buf_printf(&out, "%s%s", i ? " " : "", json_string_value(item));
    char *text = mem_strdup(buf_str(&out));
    buf_free(&out);
    return text;
}

static void add_row(struct term_table *t, json_t *o)
{
    static const char *const lists[] = {"subsystems", "principals", "signers"};
    term_table_add(t, ctl_text(o, "proxy"));
    term_table_add(t, ctl_text(o, "user"));
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        char *text = joined(json_object_get(o, lists[i]));
        const bool all = json_object_get(o, "principals") && !json_object_get(o, lists[i]);
        term_table_add(t, all ? "all" : text);
        mem_free(&text);
    }
    term_table_add_in(t, TERM_BAD, ctl_text(o, "trouble"));
}

int ctl_proxy_list(struct ctl_proxy *c)
{
    static const struct term_column columns[] = {
        {"proxy", TERM_SHRINK(8)},
        {"user", TERM_SHRINK(6)},
        {"subsystems", TERM_SHRINK(8) | TERM_WRAP},
        {"principals", TERM_SHRINK(10) | TERM_WRAP},
        {"signers", TERM_SHRINK(6) | TERM_DROP(1)},
        {"trouble", TERM_OPTIONAL | TERM_SHRINK(18) | TERM_WRAP},
    };
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    json_t *names = all_names(c), *name;
    size_t i;
    json_array_foreach (names, i, name) {
        json_t *o = ctl_proxy_json(c, json_string_value(name));
        if (opt_flag(c->values, "json"))
            print_json(o);
        else
            add_row(t, o);
        json_decref(o);
    }
    if (term_table_rows(t))
        ctl_print(t);
    else if (!json_array_size(names))
        term_say(stderr, "no proxies yet, so no step can run here: lbctl proxy new NAME --user "
                         "USER\n");
    term_table_free(&t);
    json_decref(names);
    return EXIT_DONE;
}

/* ---- show */

static void print_account(const struct account_user *a)
{
    term_say(stdout, "# runs as %s: user %u, group %u", a->name, (unsigned)a->uid,
             (unsigned)a->gid);
    for (size_t i = 0; i < a->n_groups; i++)
        term_say(stdout, "%s %u", i ? "," : "; groups", (unsigned)a->groups[i]);
    term_say(stdout, "%s%s\n", *a->home ? ", home " : "", a->home);
}

int ctl_proxy_show(struct ctl_proxy *c)
{
    static const struct proxy_question any;
    struct proxy_found found = {0};
    struct span document;
    struct error err = {0};
    struct buf text = {0};
    if (opt_flag(c->values, "json")) {
        json_t *o = ctl_proxy_json(c, c->name);
        const bool usable = json_is_true(json_object_get(o, "usable"));
        print_json(o);
        json_decref(o);
        return usable ? EXIT_DONE : EXIT_RAN_AND_FAILED;
    }
    if (proxyserver_find(&c->here.server, span_str(c->name), &found, &document, &err) < 0)
        return ctl_fail(c->argv, EXIT_RAN_AND_FAILED, &err);
    proxyfile_format(&found.proxy, &text);
    term_say(stdout, "# %s\n", found.file);
    term_put(stdout, buf_span(&text));
    buf_free(&text);
    if (proxyserver_judge(&c->here.server, span_str(c->name), &any, &found, &err) < 0)
        return ctl_fail(c->argv, EXIT_RAN_AND_FAILED, &err);
    print_account(&found.account);
    return EXIT_DONE;
}

/* ---- test */

static int find_package(const struct installed_store *s, const char *what,
                        const struct installed_package **ret, struct error *err)
{
    struct hash h;
    if (package_hash_parse(what, &h, NULL) < 0)
        return installed_find(s, what, ret, err);
    *ret = installed_by_hash(s, &h);
    return *ret ? 0 : error_set(err, -ENOENT, "no package with the hash %.80s is installed", what);
}

/* Its signer, and the subsystem that it needs. */
static int test_package(struct ctl_proxy *c, const struct proxy_found *found, struct span subsystem,
                        struct error *err)
{
    const char *what = opt_str(c->values, "package");
    struct installed_store *s = NULL;
    const struct installed_package *p = NULL;
    char *folder = mem_printf("%s/packages", c->paths.state);
    int rc = installed_open(folder, &s, err);
    if (rc == 0)
        rc = find_package(s, what, &p, err);
    if (rc == 0 && subsystem.n && !span_eq(subsystem, p->runnable.subsystem))
        rc = error_set(err, -EINVAL, "package '%s' is of subsystem '" SPAN_FMT "'", p->name,
                       SPAN_ARG(p->runnable.subsystem));
    if (rc == 0)
        rc = proxy_judge(&found->proxy, found->file,
                         &(struct proxy_question){.subsystem = p->runnable.subsystem}, err);
    if (rc == 0)
        rc = proxyhere_judge_signer(&c->here, found, &p->runnable.signer_key, err);
    installed_close(&s);
    mem_free(&folder);
    return rc;
}

/* The first of an option that test takes once; "": none. */
static const char *one_of(const struct ctl_proxy *c, const char *option)
{
    size_t n = 0;
    const char *const *texts = opt_list(c->values, option, &n);
    return n ? texts[0] : "";
}

int ctl_proxy_test(struct ctl_proxy *c)
{
    const struct proxy_question q = {.principal = span_str(one_of(c, "principal")),
                                     .subsystem = span_str(one_of(c, "subsystem"))};
    struct proxy_found found = {0};
    struct error err = {0};
    int rc = proxyserver_judge(&c->here.server, span_str(c->name), &q, &found, &err);
    if (rc == 0 && opt_str(c->values, "package"))
        rc = test_package(c, &found, q.subsystem, &err);
    if (opt_flag(c->values, "json")) {
        json_t *o = json_object();
        json_object_set_new(o, "v", json_integer(1));
        json_object_set_new(o, "proxy", json_string(c->name));
        json_object_set_new(o, "allowed", json_boolean(rc == 0));
        if (rc < 0)
            json_object_set_new(o, "text", json_string(err.text));
        else
            add_account(o, &found.account);
        print_json(o);
        json_decref(o);
    } else if (rc == 0) {
        term_say(stdout, "allowed\n");
        print_account(&found.account);
    } else
        term_say(stdout, "refused: %s\n", err.text);
    return rc == 0 ? EXIT_DONE : EXIT_RAN_AND_FAILED;
}
