/* mask.c - see mask.h. */
#include "runner/mask.h"

#include <errno.h>
#include <string.h>

#include "common/jsontext.h"
#include "common/mem.h"

enum { NONE = 0 /* no transition leads back to the root */ };

/* A text that values begin with. */
struct mask_node {
    uint32_t parent, fail, next; /* next: of those with the same depth; 0: the last */
    uint16_t depth, match;       /* match: the longest value at the end of this text; 0: none */
    uint8_t byte;
};

struct mask {
    struct buf values; /* each after its length, an uint32_t */
    bool too_long;
    struct mask_node *v;
    uint32_t n, slots; /* slots: a power of two */
    uint32_t *table;   /* (node, byte) to node */
    bool first[256];   /* bytes that a value begins with */
};

struct mask *mask_new(void)
{
    return mem_znew(struct mask);
}

static void wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->cap);
    buf_free(b);
}

void mask_free(struct mask **pm)
{
    struct mask *m = *pm;
    if (!m)
        return;
    wipe(&m->values);
    if (m->v)
        explicit_bzero(m->v, m->n * sizeof *m->v);
    mem_free(&m->v);
    mem_free(&m->table);
    mem_free(pm);
}

/* ---- Gathering the values */

static void add_piece(struct mask *m, struct span s)
{
    uint32_t n = (uint32_t)s.n;
    if (m->values.n + s.n + sizeof n > MASK_BYTES_MAX) {
        m->too_long = true;
        return;
    }
    if (m->values.n + s.n + sizeof n > m->values.cap) { /* no copy stays behind as it grows */
        struct buf larger = {0};
        buf_grow(&larger, 2 * (m->values.n + s.n + sizeof n));
        buf_add(&larger, m->values.p, m->values.n);
        wipe(&m->values);
        m->values = larger;
    }
    buf_add(&m->values, &n, sizeof n);
    buf_add(&m->values, s.p, s.n);
}

static void add_text(struct mask *m, struct span s)
{
    if (s.n < MASK_MIN)
        return;
    for (; s.n > MASK_PIECE_MAX; s = span_of(s.p + MASK_PIECE_MAX, s.n - MASK_PIECE_MAX)) {
        add_piece(m, span_of(s.p, MASK_PIECE_MAX));
        if (s.n < 2 * MASK_PIECE_MAX) { /* the last two overlap: a short rest alone is no secret */
            add_piece(m, span_of(s.p + s.n - MASK_PIECE_MAX, MASK_PIECE_MAX));
            return;
        }
    }
    add_piece(m, s);
}

static void add_lines(struct mask *m, struct span s)
{
    while (s.n) {
        const uint8_t *end = memchr(s.p, '\n', s.n);
        size_t n = end ? (size_t)(end - s.p) : s.n;
        struct span line = span_of(s.p, n);
        while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
            line.n--;
        add_text(m, line);
        s = span_of(s.p + n + (end != NULL), s.n - n - (end != NULL));
    }
}

void mask_add(struct mask *m, struct span value)
{
    struct buf json = {0};
    while (value.n && value.p[value.n - 1] == '\n') /* a file's last line ends, too */
        value.n--;
    add_text(m, value);
    if (value.n && memchr(value.p, '\n', value.n))
        add_lines(m, value);
    buf_grow(&json, value.n * 6 + 2); /* each byte as \u00xx: it never grows further */
    json_escape(&json, value);
    if (json.n > value.n + 2)
        add_text(m, span_of(json.p + 1, json.n - 2));
    wipe(&json);
}

/* ---- The automaton */

static uint32_t slot_of(const struct mask *m, uint32_t node, uint8_t byte)
{
    uint32_t at = (node * 257u + byte) * 2654435761u;
    return (at ^ at >> 15) & (m->slots - 1);
}

static uint32_t go(const struct mask *m, uint32_t node, uint8_t byte)
{
    for (uint32_t i = slot_of(m, node, byte); m->table[i]; i = (i + 1) & (m->slots - 1))
        if (m->v[m->table[i]].parent == node && m->v[m->table[i]].byte == byte)
            return m->table[i];
    return NONE;
}

static uint32_t go_or_add(struct mask *m, uint32_t node, uint8_t byte)
{
    uint32_t to = go(m, node, byte), i = slot_of(m, node, byte);
    if (to != NONE)
        return to;
    while (m->table[i])
        i = (i + 1) & (m->slots - 1);
    m->v[m->n] =
        (struct mask_node){.parent = node, .byte = byte, .depth = (uint16_t)(m->v[node].depth + 1)};
    m->table[i] = m->n;
    return m->n++;
}

static void insert(struct mask *m, struct span value)
{
    uint32_t at = 0;
    for (size_t i = 0; i < value.n; i++)
        at = go_or_add(m, at, value.p[i]);
    m->v[at].match = (uint16_t)value.n;
    m->first[value.p[0]] = true;
}

static uint32_t step(const struct mask *m, uint32_t node, uint8_t byte)
{
    uint32_t to;
    while ((to = go(m, node, byte)) == NONE && node)
        node = m->v[node].fail;
    return to;
}

/* From the shortest text on: the longest other text at the end of each. */
static void link_all(struct mask *m)
{
    uint32_t *of_depth = mem_zalloc(MASK_PIECE_MAX + 1, sizeof *of_depth);
    for (uint32_t i = 1; i < m->n; i++) {
        m->v[i].next = of_depth[m->v[i].depth];
        of_depth[m->v[i].depth] = i;
    }
    for (unsigned d = 1; d <= MASK_PIECE_MAX; d++)
        for (uint32_t i = of_depth[d]; i; i = m->v[i].next) {
            struct mask_node *x = &m->v[i];
            x->fail = x->parent ? step(m, m->v[x->parent].fail, x->byte) : 0;
            if (!x->match)
                x->match = m->v[x->fail].match;
        }
    mem_free(&of_depth);
}

int mask_ready(struct mask *m, struct error *err)
{
    struct span rest = buf_span(&m->values);
    uint32_t n;
    if (m->too_long)
        return error_set(err, -E2BIG, "its secret values have more than %d bytes",
                         (int)MASK_BYTES_MAX);
    if (!rest.n)
        return 0;
    for (m->slots = 64; m->slots < 2 * rest.n; m->slots *= 2)
        ;
    m->v = mem_zalloc(rest.n + 1, sizeof *m->v);
    m->table = mem_zalloc(m->slots, sizeof *m->table);
    m->n = 1;
    while (rest.n) {
        memcpy(&n, rest.p, sizeof n);
        insert(m, span_of(rest.p + sizeof n, n));
        rest = span_of(rest.p + sizeof n + n, rest.n - sizeof n - n);
    }
    wipe(&m->values);
    link_all(m);
    return 0;
}

size_t mask_feed(const struct mask *m, struct mask_at *at, uint8_t *text, size_t held, size_t n)
{
    if (!m || !m->v)
        return 0;
    for (size_t i = held; i < held + n; i++) {
        if (!at->node && !m->first[text[i]])
            continue;
        at->node = step(m, at->node, text[i]);
        size_t match = m->v[at->node].match;
        if (match)
            memset(text + i + 1 - match, MASK_STAR, match);
    }
    return m->v[at->node].depth;
}

void mask_whole(const struct mask *m, struct span text)
{
    struct mask_at at = {0};
    mask_feed(m, &at, (uint8_t *)text.p, 0, text.n);
}
