/* subsystemfile.c - see subsystemfile.h. */
#include "package/subsystemfile.h"

#include <errno.h>

#include "common/mem.h"
#include "common/suggest.h"
#include "package/manifest_parameter.h"
#include "package/proxyfile_inner.h"
#include "trust/proxy.h"
#include "trust/subsystem.h"

enum { ARGUMENTS = 60 /* what a step adds fits behind them */ };

static const char *const subsystem_keys[] = {"subsystem", "description", "command",
                                             "text",      "parameters",  "environment",
                                             "needs",     "exit_codes",  NULL};
static const char *const code_keys[] = {"is", "means", NULL};

/* Arguments may repeat, so this is no proxyfile_list. */
static uint32_t read_command(const struct yaml_node *seq, struct buf *items, struct problems *ps)
{
    struct error err;
    const size_t n = yaml_count(seq);
    int rc = yaml_expect_seq(seq, &err);
    if (rc == 0 && (n == 0 || n > ARGUMENTS))
        rc = yaml_error(seq, &err, "a command has 1 to %d words", (int)ARGUMENTS);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        const struct yaml_node *node = yaml_item(seq, i);
        const char *text;
        rc = yaml_str(node, &text, &err);
        if (rc == 0 && span_str(text).n > LIMIT_PATH)
            rc = yaml_error(node, &err, "a word has at most %d bytes", (int)LIMIT_PATH);
        if (rc == 0 && i == 0 && (rc = proxyfile_check_path(span_str(text), &err)) < 0)
            yaml_place(node, &err);
        if (rc == 0)
            wire_add_str(items, span_str(text));
    }
    return proxyfile_note(ps, rc, &err) ? (uint32_t)n : 0;
}

static uint32_t read_needs(const struct yaml_node *seq, struct buf *items, struct problems *ps)
{
    struct error err;
    uint32_t n = 0;
    int rc = yaml_expect_seq(seq, &err);
    if (rc == 0 && yaml_count(seq) > LIMIT_NEEDS)
        rc = yaml_error(seq, &err, "%zu needs; the limit is %d", yaml_count(seq), (int)LIMIT_NEEDS);
    if (!proxyfile_note(ps, rc, &err))
        return 0;
    for (size_t i = 0; i < yaml_count(seq); i++) {
        char *need = NULL;
        if (manifest_read_need(yaml_item(seq, i), &need, ps) < 0)
            continue;
        wire_add_str(items, span_str(need));
        mem_free(&need);
        n++;
    }
    return n;
}

/* "CODE: succeeded", or "CODE: {is: failed, means: TEXT}". */
static bool read_exit_code(const struct yaml_node *key, const struct yaml_node *value,
                           struct buf *out, struct problems *ps)
{
    struct manifest_exit e;
    struct error err;
    const struct yaml_node *is = value;
    const char *means = "";
    const size_t before = ps->errors;
    if (yaml_is_map(value)) {
        manifest_note_unknown_keys(value, code_keys, ps);
        means = proxyfile_text(value, "means", LIMIT_SHORT, ps);
        if (!(is = yaml_require(value, "is", &err)))
            problems_add_error(ps, &err);
    }
    if (ps->errors != before || !manifest_read_exit_code(key, is, &e, ps))
        return false;
    d_exit_code_encode(
        &(struct d_exit_code){.code = e.code, .package = e.outcome, .means = span_str(means)}, out);
    return true;
}

static uint32_t read_exit_codes(const struct yaml_node *map, struct buf *items, struct problems *ps)
{
    struct error err;
    struct buf one = {0};
    uint32_t n = 0;
    if (!proxyfile_note(ps, yaml_expect_map(map, &err), &err))
        return 0;
    for (size_t i = 0; i < yaml_count(map); i++) {
        buf_clear(&one);
        if (!read_exit_code(yaml_key(map, i), yaml_value(map, i), &one, ps))
            continue;
        wire_add_bin(items, buf_span(&one));
        n++;
    }
    buf_free(&one);
    return n;
}

struct subsystemfile {
    struct buf argv, text, environment, needs, exits;
    /* what every server has under this name; has_own: there is such a one */
    struct buf builtin;
    struct d_subsystem own;
    bool has_own;
};

/* One of ours keeps the way in which it gets its parameters. */
static enum subsystem_parameters read_parameters(const struct yaml_node *root,
                                                 const struct subsystemfile *f, struct problems *ps)
{
    struct error err;
    char hint[SUGGEST_TEXT];
    const struct yaml_node *node = yaml_get(root, "parameters");
    const char *word = proxyfile_text(root, "parameters", LIMIT_NAME, ps);
    const int parameters =
        subsystem_parameters_parse(*word || !f->has_own ? span_str(word) : f->own.parameters);
    if (parameters < 0)
        proxyfile_note(
            ps,
            yaml_error(node, &err,
                       "parameters reach a program as environment, sqlite3, psql or dtexec, not "
                       "'%.64s'%s",
                       word, suggest_hint(word, subsystem_parameter_words, hint)),
            &err);
    else if (parameters == SUBSYSTEM_SQL)
        proxyfile_note(ps,
                       yaml_error(node ? node : root, &err,
                                  "a file of subsystem sql says whose command it is: "
                                  "parameters: sqlite3, or parameters: psql"),
                       &err);
    return parameters < 0 ? SUBSYSTEM_ENVIRONMENT : (enum subsystem_parameters)parameters;
}

static const char *read_name(const struct yaml_node *root, const char *file,
                             struct subsystemfile *f, struct problems *ps)
{
    struct error err;
    const char *name = proxyfile_name(root, "subsystem", file, ps);
    const int builtin = subsystem_builtin_find(span_str(name));
    if (builtin < 0)
        return name;
    subsystem_builtin((unsigned)builtin, &f->builtin);
    f->has_own = d_subsystem_decode(buf_span(&f->builtin), &f->own, NULL) == 0;
    if (!subsystem_is_replaceable((unsigned)builtin))
        proxyfile_note(ps,
                       yaml_error(yaml_get(root, "subsystem"), &err,
                                  "no file takes the place of subsystem '%s'; give yours another "
                                  "name",
                                  name),
                       &err);
    return name;
}

static void compile(const struct yaml_node *root, const char *file, struct subsystemfile *f,
                    struct buf *out, struct problems *ps)
{
    struct error err;
    struct d_subsystem d = {0};
    const struct yaml_node *node;
    const size_t was = out->n;
    if (!proxyfile_note(ps, yaml_expect_map(root, &err), &err))
        return;
    manifest_note_unknown_keys(root, subsystem_keys, ps);
    d.name = span_str(read_name(root, file, f, ps));
    d.description = span_str(proxyfile_text(root, "description", LIMIT_TEXT, ps));
    if (!(node = yaml_require(root, "command", &err)))
        problems_add_error(ps, &err);
    else
        d.argv = wire_list_from(&f->argv, read_command(node, &f->argv, ps));
    if ((node = yaml_get(root, "text")))
        d.text_argv = wire_list_from(&f->text, read_command(node, &f->text, ps));
    if ((node = yaml_get(root, "environment")))
        d.environment =
            wire_list_from(&f->environment, proxyfile_map(node, "environment", proxy_check_variable,
                                                          NULL, &f->environment, ps));
    if ((node = yaml_get(root, "needs")))
        d.needs = wire_list_from(&f->needs, read_needs(node, &f->needs, ps));
    if ((node = yaml_get(root, "exit_codes")))
        d.exit_codes = wire_list_from(&f->exits, read_exit_codes(node, &f->exits, ps));
    else if (f->has_own)
        d.exit_codes = f->own.exit_codes;
    const enum subsystem_parameters parameters = read_parameters(root, f, ps);
    d.parameters = span_str(subsystem_parameter_words[parameters]);
    /* these say themselves to their program what is the entry and what a text */
    if (parameters != SUBSYSTEM_ENVIRONMENT && yaml_get(root, "text"))
        proxyfile_note(ps,
                       yaml_error(yaml_get(root, "text"), &err,
                                  "with parameters: %s the command is the same for a text",
                                  subsystem_parameter_words[parameters]),
                       &err);
    else if (parameters != SUBSYSTEM_ENVIRONMENT)
        d.text_argv = d.argv;
    if (ps->errors)
        return;
    d_subsystem_encode(&d, out);
    if (out->n - was > LIMIT_PROXY) {
        yaml_error(root, &err, "the compiled subsystem has %zu bytes; the limit is %d",
                   out->n - was, (int)LIMIT_PROXY);
        problems_add_error(ps, &err);
        out->n = was;
    }
}

int subsystemfile_compile(const char *name, struct span text, struct buf *out,
                          struct problems *problems)
{
    struct yaml *yaml = NULL;
    struct error err;
    struct subsystemfile f = {0};
    struct buf *const lists[] = {&f.argv, &f.text, &f.environment, &f.needs, &f.exits, &f.builtin};
    if (proxyfile_note(problems, yaml_read_bytes(name, text, &yaml, &err), &err))
        compile(yaml_root(yaml), name, &f, out, problems);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        buf_free(lists[i]);
    yaml_free(&yaml);
    return problems->errors ? -EINVAL : 0;
}
