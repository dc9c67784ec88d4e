/* subsystemfile.c - see subsystemfile.h. */
#include "package/subsystemfile.h"

#include <errno.h>

#include "common/mem.h"
#include "package/manifest_parameter.h"
#include "package/proxyfile_inner.h"
#include "trust/proxy.h"

enum { ARGUMENTS = 60 /* what a step adds fits behind them */ };

static const char *const subsystem_keys[] = {"subsystem",   "description", "command",    "text",
                                             "environment", "needs",       "exit_codes", NULL};

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

static uint32_t read_exit_codes(const struct yaml_node *root, struct buf *items,
                                struct problems *ps)
{
    struct manifest m = {0};
    struct buf one = {0};
    uint32_t n = 0;
    if (yaml_get(root, "exit_codes"))
        manifest_read_exit_codes(root, &m, ps);
    for (; n < m.n_exits; n++) {
        buf_clear(&one);
        d_exit_code_encode(
            &(struct d_exit_code){.code = m.exits[n].code, .package = m.exits[n].outcome}, &one);
        wire_add_bin(items, buf_span(&one));
    }
    buf_free(&one);
    manifest_free(&m);
    return n;
}

struct subsystemfile {
    struct buf argv, text, environment, needs, exits;
};

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
    d.name = span_str(proxyfile_name(root, "subsystem", file, ps));
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
    d.exit_codes = wire_list_from(&f->exits, read_exit_codes(root, &f->exits, ps));
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
    struct buf *const lists[] = {&f.argv, &f.text, &f.environment, &f.needs, &f.exits};
    if (proxyfile_note(problems, yaml_read_bytes(name, text, &yaml, &err), &err))
        compile(yaml_root(yaml), name, &f, out, problems);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        buf_free(lists[i]);
    yaml_free(&yaml);
    return problems->errors ? -EINVAL : 0;
}
