/* proxyfile.c - see proxyfile.h. */
#include "package/proxyfile.h"

#include <errno.h>
#include <string.h>

#include "common/name.h"
#include "package/manifest_parameter.h"
#include "package/proxyfile_inner.h"
#include "trust/proxy.h"

static const char *const proxy_keys[] = {
    "proxy",   "description", "user",        "group",  "groups",  "subsystems",        "principals",
    "signers", "environment", "credentials", "limits", "sandbox", "allow_system_user", NULL};

bool proxyfile_note(struct problems *ps, int rc, const struct error *err)
{
    if (rc < 0)
        problems_add_error(ps, err);
    return rc >= 0;
}

const char *proxyfile_text(const struct yaml_node *map, const char *key, size_t most,
                           struct problems *ps)
{
    const struct yaml_node *node = yaml_get(map, key);
    struct error err;
    const char *text = "";
    if (!node || !proxyfile_note(ps, yaml_str(node, &text, &err), &err))
        return "";
    if (*text && strlen(text) <= most)
        return text;
    proxyfile_note(ps, yaml_error(node, &err, "'%s' has 1 to %zu bytes", key, most), &err);
    return "";
}

const char *proxyfile_name(const struct yaml_node *root, const char *key, const char *file,
                           struct problems *ps)
{
    struct error err;
    const struct yaml_node *node = yaml_require(root, key, &err);
    const char *slash = strrchr(file, '/');
    if (!node) {
        problems_add_error(ps, &err);
        return "";
    }
    const char *name = proxyfile_text(root, key, LIMIT_NAME, ps);
    if (!*name)
        return "";
    file = slash ? slash + 1 : file;
    int rc = name_check_name("a name here", span_str(name), &err);
    if (rc < 0)
        yaml_place(node, &err);
    else if (strncmp(file, name, strlen(name)) != 0 || strcmp(file + strlen(name), ".yaml") != 0)
        rc = yaml_error(node, &err, "%s '%s' must be in a file named %s.yaml", key, name, name);
    return proxyfile_note(ps, rc, &err) ? name : "";
}

static bool is_there(const struct buf *items, uint32_t n, struct span text)
{
    const struct wire_list so_far = wire_list_from(items, n);
    struct wire_iter it = wire_iter(&so_far);
    struct span item;
    while (wire_next(&it, &item))
        if (span_eq(item, text))
            return true;
    return false;
}

/* One text of a list or map, judged; -EINVAL with its place. */
static int take_text(const struct yaml_node *node, size_t most, proxyfile_rule *rule,
                     const char **ret, struct error *err)
{
    int rc = yaml_str(node, ret, err);
    if (rc == 0 && strlen(*ret) > most)
        return yaml_error(node, err, "a text here has at most %zu bytes", most);
    if (rc == 0 && rule && (rc = rule(span_str(*ret), err)) < 0)
        yaml_place(node, err);
    return rc;
}

uint32_t proxyfile_list(const struct yaml_node *seq, const char *what, size_t most,
                        proxyfile_rule *rule, struct buf *items, struct problems *ps)
{
    struct error err;
    uint32_t n = 0;
    int rc = yaml_expect_seq(seq, &err);
    if (rc == 0 && yaml_count(seq) > most)
        rc = yaml_error(seq, &err, "%zu %s; the limit is %zu", yaml_count(seq), what, most);
    if (!proxyfile_note(ps, rc, &err))
        return 0;
    for (size_t i = 0; i < yaml_count(seq); i++) {
        const struct yaml_node *node = yaml_item(seq, i);
        const char *text;
        rc = take_text(node, LIMIT_PATH, rule, &text, &err);
        if (rc == 0 && is_there(items, n, span_str(text)))
            rc = yaml_error(node, &err, "'%.80s' is listed twice", text);
        if (!proxyfile_note(ps, rc, &err))
            continue;
        wire_add_str(items, span_str(text));
        n++;
    }
    return n;
}

uint32_t proxyfile_map(const struct yaml_node *map, const char *what, proxyfile_rule *key_rule,
                       proxyfile_rule *rule, struct buf *items, struct problems *ps)
{
    struct error err;
    uint32_t n = 0;
    int rc = yaml_expect_map(map, &err);
    if (rc == 0 && yaml_count(map) > LIMIT_VALUES)
        rc = yaml_error(map, &err, "more than %d entries in %s", (int)LIMIT_VALUES, what);
    if (!proxyfile_note(ps, rc, &err))
        return 0;
    for (size_t i = 0; i < yaml_count(map); i++) {
        const char *key, *text;
        rc = take_text(yaml_key(map, i), LIMIT_NAME, key_rule, &key, &err);
        if (rc == 0)
            rc = take_text(yaml_value(map, i), LIMIT_PARAMETER_ENV, rule, &text, &err);
        if (!proxyfile_note(ps, rc, &err))
            continue;
        value_add_str(items, span_str(key));
        value_add_str(items, span_str(text));
        n++;
    }
    if (items->n > LIMIT_OUTPUTS - 8) {
        yaml_error(map, &err, "%s has %zu bytes; the limit is %d", what, items->n,
                   (int)LIMIT_OUTPUTS - 8);
        problems_add_error(ps, &err);
        return 0;
    }
    return n;
}

int proxyfile_check_path(struct span text, struct error *err)
{
    char path[LIMIT_PATH + 3];
    bool good = text.n > 0 && text.n <= LIMIT_PATH && text.p[0] == '/';
    if (good) {
        span_copy_str(text, path, sizeof path - 1);
        strcat(path, "/"); /* so that the last part is like the others */
        good = !strstr(path, "/./") && !strstr(path, "/../");
    }
    return good ? 0
                : error_set(err, -EINVAL, "'%.*s' is not an absolute path without . and .. parts",
                            (int)(text.n < 80 ? text.n : 80), (const char *)text.p);
}

static int check_subsystem(struct span text, struct error *err)
{
    return span_eq_str(text, "*") ? 0 : name_check_name("the name of a subsystem", text, err);
}

static int check_group(struct span text, struct error *err)
{
    return text.n && text.n <= LIMIT_SHORT ? 0 : error_set(err, -EINVAL, "a group has a name");
}

static int check_credential(struct span text, struct error *err)
{
    return name_check_name("the name of a credential", text, err);
}

static unsigned line_of(const struct yaml_node *root, const char *key)
{
    const struct yaml_node *node = yaml_get(root, key);
    return node ? yaml_line(node) : 0;
}

static void read_user(const struct yaml_node *root, struct proxyfile *f, struct d_proxy *d)
{
    struct error err;
    const char *allowed, *user;
    d->user = span_str(user = proxyfile_text(root, "user", LIMIT_SHORT, f->problems));
    d->user_line = line_of(root, "user");
    d->group = span_str(proxyfile_text(root, "group", LIMIT_SHORT, f->problems));
    if (!yaml_get(root, "user") && !yaml_require(root, "user", &err))
        problems_add_error(f->problems, &err);
    d->own_groups = !yaml_get(root, "groups");
    if (!d->own_groups)
        d->groups = wire_list_from(&f->groups,
                                   proxyfile_list(yaml_get(root, "groups"), "groups", LIMIT_GROUPS,
                                                  check_group, &f->groups, f->problems));
    allowed = proxyfile_text(root, "allow_system_user", LIMIT_SHORT, f->problems);
    d->system_user = *allowed != 0;
    if (*allowed && *user && strcmp(allowed, user) != 0) {
        yaml_error(yaml_get(root, "allow_system_user"), &err,
                   "this allows '%.60s', but the user is '%.60s': it must repeat the user", allowed,
                   user);
        problems_add_error(f->problems, &err);
    }
}

static void read_allowed(const struct yaml_node *root, struct proxyfile *f, struct d_proxy *d)
{
    static const char *const required[] = {"subsystems", "principals"};
    struct problems *ps = f->problems;
    struct error err;
    for (size_t i = 0; i < 2; i++)
        if (!yaml_require(root, required[i], &err))
            problems_add_error(ps, &err);
    const struct yaml_node *all = yaml_get(root, "subsystems"), *node;
    if (all && span_eq_str(yaml_text(all), "*")) {
        wire_add_str(&f->subsystems, span_str("*"));
        d->subsystems = wire_list_from(&f->subsystems, 1);
    } else if (all)
        d->subsystems =
            wire_list_from(&f->subsystems, proxyfile_list(all, "subsystems", 64, check_subsystem,
                                                          &f->subsystems, ps));
    if ((node = yaml_get(root, "principals")))
        d->principals = wire_list_from(&f->principals,
                                       proxyfile_list(node, "principals", LIMIT_VALUES,
                                                      proxy_check_principal, &f->principals, ps));
    d->any_signer = !(node = yaml_get(root, "signers"));
    if (node)
        d->signers =
            wire_list_from(&f->signers, proxyfile_list(node, "signers", LIMIT_VALUES,
                                                       proxy_check_signer, &f->signers, ps));
    d->subsystems_line = line_of(root, "subsystems");
    d->principals_line = line_of(root, "principals");
    d->signers_line = line_of(root, "signers");
}

static void read_given(const struct yaml_node *root, struct proxyfile *f, struct d_proxy *d)
{
    const struct yaml_node *node;
    if ((node = yaml_get(root, "environment")))
        d->environment =
            wire_list_from(&f->environment, proxyfile_map(node, "environment", proxy_check_variable,
                                                          NULL, &f->environment, f->problems));
    if ((node = yaml_get(root, "credentials")))
        d->credentials = wire_list_from(
            &f->credentials, proxyfile_map(node, "credentials", check_credential,
                                           proxyfile_check_path, &f->credentials, f->problems));
    if ((node = yaml_get(root, "limits")))
        proxyfile_limits(node, d, f->problems);
    proxyfile_sandbox(yaml_get(root, "sandbox"), f, d);
}

static void compile(const struct yaml_node *root, const char *file, struct proxyfile *f,
                    struct buf *out)
{
    struct error err;
    struct d_proxy d = {0};
    const size_t was = out->n;
    if (!proxyfile_note(f->problems, yaml_expect_map(root, &err), &err))
        return;
    manifest_note_unknown_keys(root, proxy_keys, f->problems);
    d.name = span_str(proxyfile_name(root, "proxy", file, f->problems));
    d.description = span_str(proxyfile_text(root, "description", LIMIT_TEXT, f->problems));
    read_user(root, f, &d);
    read_allowed(root, f, &d);
    read_given(root, f, &d);
    if (f->problems->errors)
        return;
    d_proxy_encode(&d, out);
    if (out->n - was > LIMIT_PROXY) {
        yaml_error(root, &err, "the compiled proxy has %zu bytes; the limit is %d", out->n - was,
                   (int)LIMIT_PROXY);
        problems_add_error(f->problems, &err);
        out->n = was;
    }
}

int proxyfile_compile(const char *name, struct span text, struct buf *out,
                      struct problems *problems)
{
    struct yaml *yaml = NULL;
    struct error err;
    struct proxyfile f = {.problems = problems};
    struct buf *const lists[] = {&f.subsystems,  &f.principals,  &f.signers, &f.groups,
                                 &f.environment, &f.credentials, &f.reads,   &f.writes};
    if (proxyfile_note(problems, yaml_read_bytes(name, text, &yaml, &err), &err))
        compile(yaml_root(yaml), name, &f, out);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        buf_free(lists[i]);
    yaml_free(&yaml);
    return problems->errors ? -EINVAL : 0;
}
