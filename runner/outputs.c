/* outputs.c - see outputs.h. */
#include "runner/outputs.h"

#include <errno.h>
#include <string.h>

#include "common/name.h"
#include "common/textcarry.h"
#include "common/utf8.h"
#include "runner/jsonread.h"
#include "runner/typed.h"

static struct span trim(struct span s)
{
    while (s.n && s.p[0] <= ' ')
        s = span_of(s.p + 1, s.n - 1);
    while (s.n && s.p[s.n - 1] <= ' ')
        s.n--;
    return s;
}

/* Bytes at the head of s that are visible ASCII characters. */
static size_t visible(struct span s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] > ' ' && s.p[n] < 0x7f)
        n++;
    return n;
}

void outputs_clean_text(struct span s, size_t most, struct buf *out)
{
    const size_t from = out->n;
    while (s.n) {
        const size_t room = most - (out->n - from), seen = visible(s),
                     plain = seen < room ? seen : room;
        if (plain) { /* nearly all text is; the rest goes character by character */
            buf_add(out, s.p, plain);
            s = span_of(s.p + plain, s.n - plain);
            continue;
        }
        uint32_t point;
        uint8_t bytes[4];
        bool whole;
        size_t n = textcarry_escape(s, &whole);
        if (n) {
            s = span_of(s.p + n, s.n - n);
            continue;
        }
        n = utf8_take(s, &point);
        size_t put = utf8_put(n == 0 ? 0xfffd : point < 0x20 || point == 0x7f ? ' ' : point, bytes);
        bool leading = out->n == from && bytes[0] == ' ';
        if (!leading && out->n - from + put > most)
            break;
        if (!leading)
            buf_add(out, bytes, put);
        s = span_of(s.p + (n ? n : 1), s.n - (n ? n : 1));
    }
    while (out->n > from && out->p[out->n - 1] == ' ')
        out->n--;
}

/* ---- Outputs */

struct gathering {
    const struct wire_list *declared;
    struct buf items;
    uint32_t n;
};

static void gathered_without(struct gathering *g, struct span name)
{
    struct wire_list list = wire_list_from(&g->items, g->n);
    struct wire_iter it = wire_iter(&list);
    struct buf rest = {0};
    struct span old;
    struct value v;
    uint32_t n = 0;
    while (wire_next_pair(&it, &old, &v))
        if (!span_eq(old, name)) {
            value_add_str(&rest, old);
            buf_add(&rest, v.raw.p, v.raw.n);
            n++;
        }
    buf_free(&g->items);
    g->items = rest;
    g->n = n;
}

static int gather(struct gathering *g, struct span name, const struct value *v, struct error *err)
{
    struct d_parameter p;
    struct value old;
    char key[LIMIT_NAME + 1];
    if (!name_is_identifier(name) || !span_copy_str(name, key, sizeof key)) {
        struct buf shown = {0};
        outputs_clean_text(name, LIMIT_NAME, &shown);
        int rc = error_set(err, -EINVAL, "'%s' is not a valid name of an output", buf_str(&shown));
        buf_free(&shown);
        return rc;
    }
    struct wire_list so_far = wire_list_from(&g->items, g->n);
    if (wire_map_get(&so_far, key, &old))
        gathered_without(g, name);
    bool known = d_parameter_find(g->declared, name, &p);
    if (g->declared->count && !known)
        return error_set(err, -EINVAL, "the package declares no output '%s'", key);
    size_t was = g->items.n;
    value_add_str(&g->items, name);
    if (known) {
        int rc = typed_value("output", &p, v, &g->items, err);
        if (rc < 0)
            return rc;
    } else
        buf_add(&g->items, v->raw.p, v->raw.n);
    g->n++;
    if (g->items.n <= LIMIT_OUTPUTS - 8 && g->n <= LIMIT_VALUES)
        return 0;
    g->items.n = was;
    return error_set(err, -EINVAL, "the outputs are larger than %d bytes", (int)LIMIT_OUTPUTS);
}

static int take_object(struct gathering *g, struct span line, struct error *err)
{
    struct buf items = {0};
    uint32_t n;
    int rc = jsonread_object(line, &items, &n, err);
    if (rc == 0) {
        struct wire_list list = wire_list_from(&items, n);
        struct wire_iter it = wire_iter(&list);
        struct span name;
        struct value v;
        while (rc == 0 && wire_next_pair(&it, &name, &v))
            rc = gather(g, name, &v, err);
    }
    buf_free(&items);
    return rc;
}

static int take_assignment(struct gathering *g, struct span line, struct error *err)
{
    const uint8_t *eq = memchr(line.p, '=', line.n);
    if (!eq)
        return error_set(err, -EINVAL, "expected name=value or a JSON object");
    struct span name = trim(span_of(line.p, (size_t)(eq - line.p)));
    struct span text = span_of(eq + 1, line.n - (size_t)(eq + 1 - line.p));
    if (!utf8_is_valid(text, NULL) || (text.n && memchr(text.p, 0, text.n)))
        return error_set(err, -EINVAL, "the value is not UTF-8 text");
    struct buf encoded = {0};
    struct value v;
    value_add_str(&encoded, text);
    struct span in = buf_span(&encoded);
    value_read(&in, &v);
    int rc = gather(g, name, &v, err);
    buf_free(&encoded);
    return rc;
}

int outputs_read(struct span text, const struct wire_list *declared, struct buf *items,
                 uint32_t *ret_count, struct error *err)
{
    struct gathering g = {.declared = declared};
    unsigned number = 0;
    int rc = 0;
    while (rc == 0 && text.n) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end ? (size_t)(end - text.p) : text.n;
        struct span line = span_of(text.p, n);
        text = span_of(text.p + n + (end != NULL), text.n - n - (end != NULL));
        number++;
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        struct span bare = trim(line);
        if (!bare.n)
            continue;
        rc = bare.p[0] == '{' ? take_object(&g, bare, err) : take_assignment(&g, line, err);
        if (rc < 0)
            error_prefix(err, "outputs, line %u", number);
    }
    if (rc == 0) {
        buf_add(items, g.items.p, g.items.n);
        *ret_count = g.n;
    }
    buf_free(&g.items);
    return rc;
}

/* ---- Verdict and progress */

static struct span take_word(struct span *s)
{
    *s = trim(*s);
    size_t n = 0;
    while (n < s->n && s->p[n] > ' ')
        n++;
    struct span word = span_of(s->p, n);
    *s = span_of(s->p + n, s->n - n);
    return word;
}

bool outputs_read_verdict(struct span text, enum package_outcome *ret, struct buf *message)
{
    static const enum package_outcome may_say[] = {PACKAGE_SUCCEEDED, PACKAGE_FAILED,
                                                   PACKAGE_CANCELLED};
    struct span rest = text, word = take_word(&rest);
    if (word.n && word.p[word.n - 1] == ':')
        word.n--;
    for (size_t i = 0; i < sizeof may_say / sizeof *may_say; i++)
        if (span_eq_str(word, package_outcome_text(may_say[i]))) {
            *ret = may_say[i];
            outputs_clean_text(rest, LIMIT_TEXT, message);
            return true;
        }
    outputs_clean_text(text, LIMIT_TEXT, message);
    return false;
}

bool outputs_read_progress(struct span text, uint64_t *ret_percent, struct buf *message)
{
    while (text.n && text.p[text.n - 1] != '\n')
        text.n--;
    text = trim(text);
    size_t from = text.n;
    while (from && text.p[from - 1] != '\n')
        from--;
    struct span line = span_of(text.p + from, text.n - from), rest = line, word = take_word(&rest);
    if (!line.n)
        return false;
    if (word.n > 1 && word.p[word.n - 1] == '%')
        word.n--;
    uint64_t percent = 0;
    size_t i = 0;
    while (i < word.n && i < 4 && word.p[i] >= '0' && word.p[i] <= '9')
        percent = percent * 10 + (uint64_t)(word.p[i++] - '0');
    bool number = i > 0 && i == word.n;
    if (number)
        *ret_percent = percent > 100 ? 100 : percent;
    outputs_clean_text(number ? rest : line, LIMIT_TEXT, message);
    return true;
}
