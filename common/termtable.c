/* termtable.c - the tables of term.h. */
#include "common/term.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/mem.h"

enum {
    GAP = 2,
    /* on a terminal too narrow for the others the last column still says something, and lines
       wrap */
    LAST_MIN = 8
};

struct cell {
    size_t at, n; /* in text */
    int width;
    enum term_mood mood;
};

struct term_table {
    const struct term_column *columns;
    size_t n;
    struct buf text;
    struct cell *cells;
    size_t count, cap;
};

struct term_table *term_table_new(const struct term_column *columns, size_t n)
{
    struct term_table *t = mem_zalloc(1, sizeof *t);
    t->columns = columns;
    t->n = n;
    return t;
}

void term_table_free(struct term_table **t)
{
    if (!*t)
        return;
    buf_free(&(*t)->text);
    mem_free(&(*t)->cells);
    mem_free(t);
}

void term_table_add_in(struct term_table *t, enum term_mood mood, const char *text)
{
    if (t->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        t->cells = mem_realloc(t->cells, t->cap, sizeof *t->cells);
    }
    struct cell *c = &t->cells[t->count++];
    c->at = t->text.n;
    term_safe(&t->text, span_str(text));
    c->n = t->text.n - c->at;
    c->width = c->n ? term_width(span_of(t->text.p + c->at, c->n)) : 0;
    c->mood = mood;
}

void term_table_add(struct term_table *t, const char *text)
{
    term_table_add_in(t, TERM_PLAIN, text);
}

void term_table_addf(struct term_table *t, enum term_mood mood, const char *fmt, ...)
{
    char *text;
    va_list ap;
    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        mem_die();
    term_table_add_in(t, mood, text);
    mem_free(&text);
}

size_t term_table_rows(const struct term_table *t)
{
    return (t->count + t->n - 1) / t->n;
}

static void spaces(struct buf *out, int n)
{
    if (n > 0)
        buf_printf(out, "%*s", n, "");
}

/* One cell of a column `width` wide; the last column has no padding behind it. */
static void print_cell(struct buf *out, const struct term *term, struct span text,
                       enum term_mood mood, int width, bool right, bool last)
{
    struct buf shown = {0};
    int used = term_cut(&shown, text, width);
    if (right)
        spaces(out, width - used);
    if (shown.n)
        term_paint(out, term, mood, buf_str(&shown));
    if (!right && !last)
        spaces(out, width - used);
    if (!last)
        spaces(out, GAP);
    buf_free(&shown);
}

static void measure(const struct term_table *t, const struct term *term, int *widths)
{
    int before_last = 0;
    for (size_t i = 0; i < t->n; i++)
        widths[i] = term_width(span_str(t->columns[i].title));
    for (size_t i = 0; i < t->count; i++)
        if (t->cells[i].width > widths[i % t->n])
            widths[i % t->n] = t->cells[i].width;
    for (size_t i = 0; i + 1 < t->n; i++)
        before_last += widths[i] + GAP;
    int rest = term->width - before_last;
    if (rest < LAST_MIN)
        rest = LAST_MIN;
    if (term->is_terminal && widths[t->n - 1] > rest)
        widths[t->n - 1] = rest;
}

void term_table_print(const struct term_table *t, const struct term *term, struct buf *out)
{
    if (t->count == 0 || t->n == 0)
        return;
    int *widths = mem_zalloc(t->n, sizeof *widths);
    measure(t, term, widths);
    for (size_t i = 0; i < t->n; i++)
        print_cell(out, term, span_str(t->columns[i].title), TERM_BOLD, widths[i],
                   t->columns[i].right, i + 1 == t->n);
    buf_add_str(out, "\n");
    for (size_t i = 0; i < term_table_rows(t) * t->n; i++) {
        size_t column = i % t->n;
        const struct cell none = {0}, *c = i < t->count ? &t->cells[i] : &none;
        struct span text = c->n ? span_of(t->text.p + c->at, c->n) : SPAN_NONE;
        print_cell(out, term, text, c->mood, widths[column], t->columns[column].right,
                   column + 1 == t->n);
        if (column + 1 == t->n)
            buf_add_str(out, "\n");
    }
    mem_free(&widths);
}
