/* ctl_subsystem.c - lbctl subsystem list, show: the ways to run a step that this server has. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "common/json.h"
#include "common/mem.h"
#include "common/name.h"
#include "common/paths.h"
#include "common/suggest.h"
#include "common/termout.h"
#include "package/proxyhere.h"
#include "proto/outcome.h"

static const struct option_row rows[] = {
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
};

static const char synopsis[] = "list|show [NAME] [options]";

static const char examples[] =
    "  lbctl subsystem list\n"
    "  lbctl subsystem show ssis\n"
    "  lbctl subsystem list --json | jq 'select(.usable | not)'\n"
    "Run it on the server. A subsystem is built in, or a file of etc/subsystems.d,\n"
    "which may also take the place of one that is built in. A proxy says which of\n"
    "them its steps may use: lbctl proxy grant NAME --subsystem SUBSYSTEM.\n";

static const char *const verbs[] = {"list", "show", NULL};

struct ctl_subsystem {
    struct paths paths;
    struct proxyhere here;
};

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

static json_t *codes_of(const struct wire_list *list)
{
    json_t *array = json_array();
    struct wire_iter it = wire_iter(list);
    struct span item;
    struct d_exit_code e;
    while (wire_next(&it, &item)) {
        if (d_exit_code_decode(item, &e, NULL) < 0)
            continue;
        json_t *o = json_object();
        json_object_set_new(o, "code", json_integer((json_int_t)e.code));
        json_object_set_new(o, "is", json_string(package_outcome_text(e.package)));
        if (e.means.n)
            json_object_set_new(o, "means", text_of(e.means));
        json_array_append_new(array, o);
    }
    return array;
}

/* A member that has nothing to say is left out. Takes the value. */
static void set_if_any(json_t *o, const char *key, json_t *value)
{
    if (json_array_size(value) || (json_is_string(value) && *json_string_value(value)))
        json_object_set(o, key, value);
    json_decref(value);
}

static void set_file(const struct ctl_subsystem *c, json_t *o, const char *name)
{
    char *path = mem_printf("%s/%s.yaml", c->here.subsystems, name);
    char *shown = access(path, F_OK) == 0 ? mem_printf(SUBSYSTEM_FOLDER "/%s.yaml", name)
                                          : mem_strdup(PROXY_IMPLIED);
    const int i = subsystem_builtin_find(span_str(name));
    const bool fixed = i >= 0 && !subsystem_is_replaceable((unsigned)i);
    json_object_set_new(o, "file", json_string(fixed ? PROXY_IMPLIED : shown));
    mem_free(&shown);
    mem_free(&path);
}

static json_t *json_of(struct ctl_subsystem *c, const char *name)
{
    struct error err = {0};
    struct d_subsystem d;
    json_t *o = json_object();
    const int rc = proxyserver_subsystem(&c->here.server, span_str(name), &d, &err);
    json_object_set_new(o, "v", json_integer(1));
    json_object_set_new(o, "subsystem", json_string(name));
    set_file(c, o, name);
    if (rc == 0) {
        set_if_any(o, "description", text_of(d.description));
        set_if_any(o, "command", list_of(&d.argv));
        set_if_any(o, "text", list_of(&d.text_argv));
        set_if_any(o, "parameters", text_of(d.parameters));
        set_if_any(o, "environment", names_of(&d.environment));
        set_if_any(o, "needs", list_of(&d.needs));
        set_if_any(o, "exit_codes", codes_of(&d.exit_codes));
    } else
        json_object_set_new(o, "trouble", json_string(err.text));
    json_object_set_new(o, "usable", json_boolean(rc == 0));
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
    return n > 5 && n <= LIMIT_NAME + 5 && e->d_name[0] != '.' &&
           strcmp(e->d_name + n - 5, ".yaml") == 0;
}

/* Those that are built in, then those of files. An array of texts. */
static json_t *all_names(const struct ctl_subsystem *c)
{
    struct dirent **found = NULL;
    json_t *names = json_array();
    for (unsigned i = 0; subsystem_builtin_name(i); i++)
        json_array_append_new(names, json_string(subsystem_builtin_name(i)));
    int n = scandir(c->here.subsystems, &found, is_file, alphasort);
    for (int i = 0; i < n; i++) {
        const struct span name = span_of(found[i]->d_name, strlen(found[i]->d_name) - 5);
        if (subsystem_builtin_find(name) < 0)
            json_array_append_new(names, text_of(name));
        free(found[i]);
    }
    free(found);
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
    char *command = joined(json_object_get(o, "command")),
         *needs = joined(json_object_get(o, "needs"));
    term_table_add(t, ctl_text(o, "subsystem"));
    term_table_add(t, ctl_text(o, "file"));
    term_table_add(t, command);
    term_table_add(t, json_object_get(o, "text") ? "yes" : "no");
    term_table_add(t, needs);
    term_table_add_in(t, TERM_BAD, ctl_text(o, "trouble"));
    mem_free(&command);
    mem_free(&needs);
}

static int list(struct ctl_subsystem *c, bool json)
{
    static const struct term_column columns[] = {
        {"subsystem", TERM_SHRINK(8)},
        {"file", TERM_SHRINK(12) | TERM_DROP(2)},
        {"command", TERM_SHRINK(12) | TERM_WRAP},
        {"text", 0},
        {"needs", TERM_SHRINK(8) | TERM_WRAP | TERM_DROP(1)},
        {"trouble", TERM_OPTIONAL | TERM_SHRINK(18) | TERM_WRAP},
    };
    struct term_table *t = term_table_new(columns, COUNT_OF(columns));
    json_t *names = all_names(c), *name;
    size_t i;
    json_array_foreach (names, i, name) {
        json_t *o = json_of(c, json_string_value(name));
        if (json)
            print_json(o);
        else
            add_row(t, o);
        json_decref(o);
    }
    if (term_table_rows(t))
        ctl_print(t);
    term_table_free(&t);
    json_decref(names);
    return EXIT_DONE;
}

/* ---- show */

static void say_list(json_t *o, const char *key, const char *label)
{
    char *text = joined(json_object_get(o, key));
    if (*text)
        term_say(stdout, "%-12s %s\n", label, text);
    mem_free(&text);
}

static void say_codes(json_t *o)
{
    size_t i;
    json_t *e;
    json_array_foreach (json_object_get(o, "exit_codes"), i, e)
        term_say(stdout, "%-12s %lld is %s%s%s\n", i ? "" : "exit codes",
                 (long long)json_integer_value(json_object_get(e, "code")), ctl_text(e, "is"),
                 *ctl_text(e, "means") ? ": " : "", ctl_text(e, "means"));
}

static int show(struct ctl_subsystem *c, char **argv, const char *name, bool json)
{
    struct error err = {0};
    json_t *o = json_of(c, name);
    const bool usable = json_is_true(json_object_get(o, "usable"));
    if (json)
        print_json(o);
    else if (usable) {
        term_say(stdout, "%-12s %s (%s)\n", "subsystem", name, ctl_text(o, "file"));
        if (*ctl_text(o, "description"))
            term_say(stdout, "%-12s %s\n", "is", ctl_text(o, "description"));
        say_list(o, "command", "command");
        say_list(o, "text", "for a text");
        term_say(stdout, "%-12s %s\n", "parameters", ctl_text(o, "parameters"));
        say_list(o, "environment", "sets");
        say_list(o, "needs", "needs");
        say_codes(o);
    } else
        error_set(&err, -EINVAL, "%s", ctl_text(o, "trouble"));
    json_decref(o);
    return usable || json ? (usable ? EXIT_DONE : EXIT_RAN_AND_FAILED)
                          : ctl_fail(argv, EXIT_RAN_AND_FAILED, &err);
}

/* ---- */

static int run(struct ctl_subsystem *c, char **argv, int first, int argc, bool json)
{
    struct error err = {0};
    char hint[SUGGEST_TEXT];
    const char *verb = argv[first], *name = first + 1 < argc ? argv[first + 1] : NULL;
    const bool lists = strcmp(verb, "list") == 0;
    if (!lists && strcmp(verb, "show") != 0)
        error_set(&err, -EINVAL, "unknown verb '%.60s'%s; verbs are list, show", verb,
                  suggest_hint(verb, verbs, hint));
    else if (lists && name)
        error_set(&err, -EINVAL, "list takes no name; lbctl subsystem show %.64s", name);
    else if (!lists && !name)
        error_set(&err, -EINVAL, "the subsystem's name is missing: lbctl subsystem show NAME");
    else if (!name || name_check_name("the name of a subsystem", span_str(name), &err) == 0)
        return lists ? list(c, json) : show(c, argv, name, json);
    return ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
}

int ctl_subsystem(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    static struct ctl_subsystem c; /* three paths of 4096 bytes are too large for the stack */
    int first,
        code = ctl_begin(rows, COUNT_OF(rows), argc, argv, synopsis, examples, 1, 2, &v, &first);
    if (code >= 0)
        return code;
    if (trust_init(&err) < 0 || paths_resolve(&c.paths, &err) < 0)
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    else {
        proxyhere_open(&c.here, &c.paths);
        code = run(&c, argv, first, argc, opt_flag(&v, "json"));
        proxyhere_close(&c.here);
    }
    options_free(&v);
    return code;
}
