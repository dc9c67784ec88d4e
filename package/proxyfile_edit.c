/* proxyfile_edit.c - see proxyfile_edit.h.
 *
 * The text is changed where the list stands. Whatever comes of it is compiled and must be exactly
 * the proxy that was wanted; if it is not, the whole file is written anew. So the editing of text
 * may be simple, and cannot be wrong. */
#include "package/proxyfile_edit.h"

#include <errno.h>
#include <string.h>

#include "common/name.h"
#include "common/yaml.h"
#include "trust/proxy.h"

/* ---- The wanted proxy */

static struct wire_list *list_of(struct d_proxy *p, const char *key)
{
    return strcmp(key, "subsystems") == 0   ? &p->subsystems
           : strcmp(key, "principals") == 0 ? &p->principals
                                            : &p->signers;
}

static int compile(const char *name, struct span text, struct buf *document, struct d_proxy *ret,
                   struct error *err)
{
    struct problems ps = {0};
    int rc = proxyfile_compile(name, text, document, &ps);
    if (rc < 0)
        error_set(err, rc, "%s", ps.v[0].text);
    else
        rc = d_proxy_decode(buf_span(document), ret, err);
    problems_free(&ps);
    return rc;
}

static bool stands_for_all(const struct d_proxy *p, const char *key)
{
    return strcmp(key, "subsystems") == 0 ? wire_list_has(&p->subsystems, "*")
           : strcmp(key, "signers") == 0  ? p->any_signer
                                          : false;
}

/* The list with or without the value. */
static struct wire_list changed(const struct wire_list *list, const char *value, bool add,
                                struct buf *items)
{
    struct wire_iter it = wire_iter(list);
    struct span item;
    uint32_t n = 0;
    while (wire_next(&it, &item))
        if (add || !span_eq_str(item, value)) {
            wire_add_str(items, item);
            n++;
        }
    if (add) {
        wire_add_str(items, span_str(value));
        n++;
    }
    return wire_list_from(items, n);
}

/* Without the lines of the file, which may move. */
static void comparable(const struct d_proxy *p, struct buf *out)
{
    struct d_proxy q = *p;
    q.user_line = q.subsystems_line = q.principals_line = q.signers_line = 0;
    buf_clear(out);
    d_proxy_encode(&q, out);
}

/* ---- The text */

/* Where line and column are; both count from 1, and columns count bytes here: of other characters
 * the result is wrong, and found to be. */
static size_t place_of(struct span text, unsigned line, unsigned column)
{
    size_t at = 0;
    while (line > 1 && at < text.n)
        line -= text.p[at++] == '\n';
    return at + column - 1 < text.n ? at + column - 1 : text.n;
}

static size_t line_end(struct span text, size_t at)
{
    while (at < text.n && text.p[at] != '\n')
        at++;
    return at < text.n ? at + 1 : at;
}

static size_t line_start(struct span text, size_t at)
{
    while (at > 0 && text.p[at - 1] != '\n')
        at--;
    return at;
}

/* The end of the scalar at `at` inside [ ]. */
static size_t scalar_end(struct span text, size_t at)
{
    const uint8_t quote = at < text.n && strchr("\"'", text.p[at]) ? text.p[at] : 0;
    if (quote) {
        do
            at++;
        while (at < text.n && text.p[at] != quote);
        return at < text.n ? at + 1 : at;
    }
    while (at < text.n && !strchr(",]\n", text.p[at]))
        at++;
    return at;
}

static void put(struct span text, size_t from, size_t to, const char *instead, struct buf *out)
{
    buf_add(out, text.p, from);
    buf_add_str(out, instead);
    buf_add(out, text.p + to, text.n - to);
}

static void quoted(const char *value, struct buf *out)
{
    buf_printf(out, "\"%s\"", value);
}

static void add_flow(struct span text, const struct yaml_node *seq, const char *value,
                     struct buf *out)
{
    struct buf piece = {0};
    const size_t n = yaml_count(seq);
    const struct yaml_node *last = n ? yaml_item(seq, n - 1) : seq;
    size_t at = place_of(text, yaml_line(last), yaml_column(last));
    at = n ? scalar_end(text, at) : at + 1;
    if (n)
        buf_add_str(&piece, ", ");
    quoted(value, &piece);
    put(text, at, at, buf_str(&piece), out);
    buf_free(&piece);
}

static void remove_flow(struct span text, const struct yaml_node *seq, size_t i, struct buf *out)
{
    const struct yaml_node *item = yaml_item(seq, i);
    size_t from = place_of(text, yaml_line(item), yaml_column(item)), to = scalar_end(text, from);
    while (to < text.n && strchr(" \t", text.p[to]))
        to++;
    if (to < text.n && text.p[to] == ',') {
        to++;
        while (to < text.n && strchr(" \t", text.p[to]))
            to++;
    } else
        while (from > 0 && strchr(", \t", text.p[from - 1]))
            from--;
    put(text, from, to, "", out);
}

static void add_block(struct span text, const struct yaml_node *seq, const char *value,
                      struct buf *out)
{
    struct buf piece = {0};
    const struct yaml_node *last = yaml_item(seq, yaml_count(seq) - 1);
    const size_t in_last = place_of(text, yaml_line(last), 1), end = line_end(text, in_last);
    if (text.p[end - 1] != '\n')
        buf_add_str(&piece, "\n");
    for (size_t i = in_last; i < end && strchr(" \t", text.p[i]); i++)
        buf_add(&piece, &text.p[i], 1);
    buf_add_str(&piece, "- ");
    quoted(value, &piece);
    buf_add_str(&piece, "\n");
    put(text, end, end, buf_str(&piece), out);
    buf_free(&piece);
}

static void remove_block(struct span text, const struct yaml_node *seq, size_t i, struct buf *out)
{
    const size_t at = place_of(text, yaml_line(yaml_item(seq, i)), 1);
    if (yaml_count(seq) > 1) {
        put(text, line_start(text, at), line_end(text, at), "", out);
        return;
    }
    /* the last one: `key:` becomes `key: []` */
    const size_t from = line_start(text, at), colon = from > 0 ? from - 1 : 0;
    buf_add(out, text.p, colon);
    buf_add_str(out, " []\n");
    buf_add(out, text.p + line_end(text, at), text.n - line_end(text, at));
}

static void edit_text(const struct proxyfile_edit *e, const struct yaml_node *root, struct buf *out)
{
    const struct yaml_node *seq = yaml_get(root, e->key);
    if (!yaml_is_seq(seq))
        return;
    const size_t at = place_of(e->text, yaml_line(seq), yaml_column(seq));
    const bool flow = at < e->text.n && e->text.p[at] == '[';
    if (e->add) {
        if (flow)
            add_flow(e->text, seq, e->value, out);
        else if (yaml_count(seq))
            add_block(e->text, seq, e->value, out);
        return;
    }
    for (size_t i = 0; i < yaml_count(seq); i++)
        if (span_eq_str(yaml_text(yaml_item(seq, i)), e->value)) {
            flow ? remove_flow(e->text, seq, i, out) : remove_block(e->text, seq, i, out);
            return;
        }
}

/* True: *out has a text that compiles to exactly this. */
static bool edited(const struct proxyfile_edit *e, struct span wanted, struct buf *out)
{
    struct yaml *yaml = NULL;
    struct buf document = {0}, got = {0};
    struct d_proxy p;
    bool same = false;
    if (yaml_read_bytes(e->name, e->text, &yaml, NULL) == 0)
        edit_text(e, yaml_root(yaml), out);
    if (out->n && compile(e->name, buf_span(out), &document, &p, NULL) == 0) {
        comparable(&p, &got);
        same = span_eq(buf_span(&got), wanted);
    }
    yaml_free(&yaml);
    buf_free(&document);
    buf_free(&got);
    return same;
}

static int change(const struct proxyfile_edit *e, struct d_proxy *p, struct buf *out,
                  bool *ret_lost, struct error *err)
{
    struct buf items = {0}, wanted = {0}, document = {0};
    struct d_proxy checked;
    struct wire_list *list = list_of(p, e->key);
    int rc = 0;
    *list = changed(list, e->value, e->add, &items);
    comparable(p, &wanted);
    *ret_lost = false;
    if (!edited(e, buf_span(&wanted), out)) {
        buf_clear(out);
        proxyfile_format(p, out);
        *ret_lost = e->text.n && memchr(e->text.p, '#', e->text.n) != NULL;
        rc = compile(e->name, buf_span(out), &document, &checked, err);
    }
    buf_free(&items);
    buf_free(&wanted);
    buf_free(&document);
    return rc < 0 ? rc : 1;
}

/* A sentence about what was asked for, and not about a place in a file that nobody has written. */
static int check_value(const char *key, struct span value, struct error *err)
{
    if (strcmp(key, "principals") == 0)
        return proxy_check_principal(value, err);
    if (strcmp(key, "signers") == 0)
        return proxy_check_signer(value, err);
    return span_eq_str(value, "*") ? 0 : name_check_name("the name of a subsystem", value, err);
}

int proxyfile_edit(const struct proxyfile_edit *e, struct buf *out, bool *ret_lost,
                   struct error *err)
{
    struct buf document = {0};
    struct d_proxy p;
    int rc = compile(e->name, e->text, &document, &p, err);
    if (rc == 0 && e->add)
        rc = check_value(e->key, span_str(e->value), err);
    if (rc == 0) {
        const bool all = stands_for_all(&p, e->key),
                   there = wire_list_has(list_of(&p, e->key), e->value);
        if (all && !e->add)
            rc = error_set(err, -EINVAL,
                           "%s: %s stands for all of them; list those that are to stay, then take "
                           "the others away",
                           e->name, e->key);
        else if (!all && there != e->add)
            rc = change(e, &p, out, ret_lost, err);
    }
    if (rc < 0)
        buf_clear(out);
    buf_free(&document);
    return rc;
}
