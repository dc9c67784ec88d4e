/* yamlread.c - builds the tree of yaml.h from libyaml's events. */
#include "common/yamltree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/utf8.h"

struct yaml_reader {
    struct yaml *y;
    yaml_parser_t parser;
    struct yaml_node *open[YAML_DEPTH_MAX]; /* maps and sequences that have not ended */
    size_t depth;
    struct yaml_node *key; /* of the map on top; its value comes next */
    unsigned documents;
    struct error *err;
};

static int refuse_at(struct yaml_reader *r, yaml_mark_t at, const char *sentence)
{
    return error_set(r->err, -EINVAL, "%s:%zu:%zu: %s", r->y->name, at.line + 1, at.column + 1,
                     sentence);
}

/* libyaml's complaints in plain words, each with the place to fix: an unclosed bracket is reported
 * where it opens. A row matches if both of its parts occur in what libyaml says; the first row that
 * matches counts. */
static const struct {
    const char *context, *problem;
    bool where_it_opens;
    const char *sentence;
} complaints[] = {
    {"", "mapping values are not allowed", false,
     "this ':' is in the wrong place: put a text that has ': ' in it into quotes, and begin a "
     "nested mapping on a line of its own, indented"},
    {"block mapping", "expected key", false,
     "a key is expected here: check the indentation, and that no text follows a closing quote"},
    {"block collection", "expected '-'", false,
     "a '- ' is expected here: a list and a mapping cannot stand side by side"},
    {"flow sequence", "", true, "this '[' is not closed, or a ',' is missing in its list"},
    {"flow mapping", "", true, "this '{' is not closed, or a ',' is missing in its mapping"},
    {"quoted scalar", "end of stream", true, "this quote is not closed"},
    {"", "tab character", false, "a tab: indent with spaces"},
    {"simple key", "expected ':'", true, "this line has no ':' between a key and a value"},
    {"", "cannot start any token", false,
     "a value cannot begin with this character: use quotes; if it is a tab, indent with spaces"},
    {"", "expected node content", false, "a value is expected here"},
    {"", "expected <document start>", false, "the document ended above; nothing may follow it"},
};

static int refuse_parse(struct yaml_reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        mem_die();
    const char *problem = p->problem ? p->problem : "not YAML";
    const char *context = p->context ? p->context : "";
    yaml_mark_t at = p->problem_mark;
    /* the only kind without a mark; the character is near the reading position */
    if (p->error == YAML_READER_ERROR)
        at = p->mark;
    for (size_t i = 0; i < sizeof complaints / sizeof *complaints; i++)
        if (strstr(context, complaints[i].context) && strstr(problem, complaints[i].problem))
            return refuse_at(r, complaints[i].where_it_opens ? p->context_mark : at,
                             complaints[i].sentence);
    return error_set(r->err, -EINVAL, "%s:%zu:%zu: %s%s%s", r->y->name, at.line + 1, at.column + 1,
                     context, *context ? ": " : "", problem);
}

static struct yaml_node *node_new(struct yaml_reader *r, enum yaml_kind kind, yaml_mark_t at)
{
    struct yaml_node *node = mem_zalloc(1, sizeof *node);
    node->tree = r->y;
    node->kind = kind;
    node->line = (unsigned)at.line + 1;
    node->column = (unsigned)at.column + 1;
    return node;
}

static void append(struct yaml_node *to, struct yaml_node *node)
{
    if (to->count == to->cap) {
        to->cap = to->cap ? to->cap * 2 : 4;
        to->items = mem_realloc(to->items, to->cap, sizeof *to->items);
    }
    node->parent = to;
    node->index = to->count;
    to->items[to->count++] = node;
}

/* Adds the node where the next one belongs; takes ownership in any case. */
static int place(struct yaml_reader *r, struct yaml_node *node, yaml_mark_t at)
{
    struct yaml_node *top = r->depth ? r->open[r->depth - 1] : NULL;
    if (!top) {
        /* libyaml yields one root a document, and a second document is refused */
        r->y->root = node;
        return 0;
    }
    if (top->kind == YAML_KIND_MAP && !r->key) {
        r->key = node;
        if (node->kind == YAML_KIND_SCALAR)
            return 0;
        const bool braces = node->kind == YAML_KIND_MAP && top->line == node->line &&
                            top->column + 1 == node->column;
        return refuse_at(r, at,
                         braces ? "put a placeholder into quotes: \"{{name}}\""
                                : "a key must be a text, not a mapping or a list");
    }
    if (top->kind == YAML_KIND_MAP) {
        node->key = r->key;
        r->key = NULL;
    }
    append(top, node);
    return 0;
}

static int check_plain(struct yaml_reader *r, const yaml_event_t *e, const yaml_char_t *anchor,
                       const yaml_char_t *tag)
{
    if (anchor)
        return refuse_at(r, e->start_mark,
                         "anchors (&name) are not allowed: write the value where it is used");
    if (tag)
        return refuse_at(r, e->start_mark,
                         "tags (!name) are not allowed: types follow from the spelling");
    return 0;
}

static int on_scalar(struct yaml_reader *r, const yaml_event_t *e)
{
    int rc = check_plain(r, e, e->data.scalar.anchor, e->data.scalar.tag);
    if (rc < 0)
        return rc;
    struct yaml_node *node = node_new(r, YAML_KIND_SCALAR, e->start_mark);
    node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->n = e->data.scalar.length;
    node->text = mem_alloc(node->n + 1);
    memcpy(node->text, e->data.scalar.value, node->n);
    node->text[node->n] = 0;
    return place(r, node, e->start_mark);
}

static int on_start(struct yaml_reader *r, const yaml_event_t *e, enum yaml_kind kind)
{
    int rc = kind == YAML_KIND_MAP
                 ? check_plain(r, e, e->data.mapping_start.anchor, e->data.mapping_start.tag)
                 : check_plain(r, e, e->data.sequence_start.anchor, e->data.sequence_start.tag);
    if (rc == 0 && r->depth == YAML_DEPTH_MAX)
        rc = refuse_at(r, e->start_mark, "more than 64 levels of mappings and lists");
    if (rc < 0)
        return rc;
    struct yaml_node *node = node_new(r, kind, e->start_mark);
    rc = place(r, node, e->start_mark);
    if (rc == 0)
        r->open[r->depth++] = node;
    return rc;
}

static int by_key(const void *a, const void *b)
{
    const struct yaml_node *x = *(struct yaml_node *const *)a, *y = *(struct yaml_node *const *)b;
    int c = yaml_key_cmp(yaml_text(x->key), yaml_text(y->key));
    return c ? c : (x->index > y->index) - (x->index < y->index);
}

static int on_end(struct yaml_reader *r)
{
    struct yaml_node *node = r->open[--r->depth];
    if (node->kind != YAML_KIND_MAP || node->count == 0)
        return 0;
    node->sorted = mem_dup(node->items, node->count * sizeof *node->items);
    qsort(node->sorted, node->count, sizeof *node->sorted, by_key);
    /* keys are compared as C strings, which end there */
    for (size_t i = 0; i < node->count; i++)
        if (memchr(node->items[i]->key->text, 0, yaml_text(node->items[i]->key).n))
            return yaml_error(node->items[i]->key, r->err, "key '%.80s' has a NUL character",
                              node->items[i]->key->text);
    for (size_t i = 1; i < node->count; i++) {
        const struct yaml_node *first = node->sorted[i - 1]->key, *second = node->sorted[i]->key;
        if (yaml_key_cmp(yaml_text(first), yaml_text(second)) == 0)
            return yaml_error(second, r->err, "key '%.80s' is given twice, first on line %u",
                              second->text, first->line);
    }
    return 0;
}

static int on_document(struct yaml_reader *r, const yaml_event_t *e)
{
    if (r->documents++)
        return refuse_at(r, e->start_mark, "a second document begins here: a file holds one");
    if (e->data.document_start.tag_directives.start != e->data.document_start.tag_directives.end)
        return refuse_at(r, e->start_mark, "%TAG is not allowed");
    return 0;
}

static int on_event(struct yaml_reader *r, const yaml_event_t *e)
{
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        return on_document(r, e);
    case YAML_ALIAS_EVENT:
        return refuse_at(r, e->start_mark,
                         "aliases (*name) are not allowed: write the value where it is used");
    case YAML_SCALAR_EVENT:
        return on_scalar(r, e);
    case YAML_MAPPING_START_EVENT:
        return on_start(r, e, YAML_KIND_MAP);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(r, e, YAML_KIND_SEQ);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        return on_end(r);
    default:
        return 0;
    }
}

static int read_events(struct yaml_reader *r)
{
    for (;;) {
        yaml_event_t e;
        if (!yaml_parser_parse(&r->parser, &e))
            return refuse_parse(r);
        bool end = e.type == YAML_STREAM_END_EVENT;
        int rc = on_event(r, &e);
        yaml_event_delete(&e);
        if (rc < 0 || end)
            return rc;
    }
}

/* Editors on some systems write a byte order mark; libyaml counts it as a column, and every line
 * below it then seems indented differently. */
static bool skip_bom(struct span *bytes)
{
    static const uint8_t bom[] = {0xef, 0xbb, 0xbf};
    if (bytes->n < sizeof bom || memcmp(bytes->p, bom, sizeof bom) != 0)
        return false;
    *bytes = span_of(bytes->p + sizeof bom, bytes->n - sizeof bom);
    return true;
}

/* libyaml would refuse it too, but not say where. */
static int check_utf8(const char *name, struct span bytes, struct error *err)
{
    size_t bad, line = 1, start = 0;
    if (utf8_is_valid(bytes, &bad))
        return 0;
    for (size_t i = 0; i < bad; i++)
        if (bytes.p[i] == '\n') {
            line++;
            start = i + 1;
        }
    return error_set(err, -EINVAL, "%s:%zu:%zu: byte 0x%02x is not UTF-8", name, line,
                     bad - start + 1, bytes.p[bad]);
}

int yaml_read_bytes(const char *name, struct span bytes, struct yaml **ret, struct error *err)
{
    if (bytes.n > YAML_BYTES_MAX)
        return error_set(err, -EFBIG, "%s: larger than %d MiB", name, YAML_BYTES_MAX >> 20);
    bool second = skip_bom(&bytes);
    second = second && skip_bom(&bytes);
    if (second)
        return error_set(err, -EINVAL, "%s:1:1: more than one byte order mark", name);
    int rc = check_utf8(name, bytes, err);
    if (rc < 0)
        return rc;
    struct yaml_reader *r = mem_zalloc(1, sizeof *r);
    r->err = err;
    r->y = mem_zalloc(1, sizeof *r->y);
    r->y->name = mem_strdup(name);
    if (!yaml_parser_initialize(&r->parser))
        mem_die();
    /* no guessing of UTF-16 from the first bytes */
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, bytes.n ? bytes.p : (const uint8_t *)"", bytes.n);
    rc = read_events(r);
    yaml_parser_delete(&r->parser);
    yaml_node_free(r->key);
    if (rc == 0 && !r->y->root) {
        r->y->root = node_new(r, YAML_KIND_SCALAR, (yaml_mark_t){0});
        r->y->root->text = mem_strdup("");
    }
    if (rc < 0)
        yaml_free(&r->y);
    else
        *ret = r->y;
    mem_free(&r);
    return rc;
}

int yaml_read_file(const char *path, struct yaml **ret, struct error *err)
{
    struct buf bytes = {0};
    int rc = file_read(path, YAML_BYTES_MAX, &bytes, err);
    if (rc == 0)
        rc = yaml_read_bytes(path, buf_span(&bytes), ret, err);
    buf_free(&bytes);
    return rc;
}
