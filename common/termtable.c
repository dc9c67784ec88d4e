/* termtable.c - the tables of term.h. */
#include "common/term.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

enum {
    GAP = 2,
    LAST_MIN = 8 /* the last column, if it does not say how narrow it may be */
};

struct term_cell {
    size_t at, n; /* in text */
    int width;
    enum term_mood mood;
};

struct term_table {
    const struct term_column *columns;
    size_t n;
    struct buf text;
    struct term_cell *cells;
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
    struct term_cell *c = &t->cells[t->count++];
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

/* ---- Widths */

static unsigned min_of(const struct term_table *t, size_t column)
{
    unsigned min = t->columns[column].how >> 8 & 255;
    return min || column + 1 < t->n ? min : LAST_MIN;
}

static unsigned rank_of(const struct term_table *t, size_t column)
{
    return t->columns[column].how >> 16 & 255;
}

/* The screen columns that all of them take together; a width of 0 means left out. */
static int total_of(const int *widths, size_t n)
{
    int total = -GAP;
    for (size_t i = 0; i < n; i++)
        if (widths[i])
            total += widths[i] + GAP;
    return total;
}

/* As wide as the widest cell; on a page, 0 for an optional column without text. */
static void measure(const struct term_table *t, bool page, int *widths)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->cells[i].width > widths[i % t->n])
            widths[i % t->n] = t->cells[i].width;
    for (size_t i = 0; i < t->n; i++) {
        int title = term_width(span_str(t->columns[i].title));
        bool shown = widths[i] || !page || !(t->columns[i].how & TERM_OPTIONAL);
        if (shown && title > widths[i])
            widths[i] = title;
    }
}

/* Step 2 of term.h: `least` are the widths that columns may shrink to. */
static void leave_out(const struct term_table *t, int page, int *least)
{
    while (total_of(least, t->n) > page) {
        size_t victim = t->n;
        for (size_t i = 0; i < t->n; i++)
            if (least[i] && rank_of(t, i) &&
                (victim == t->n || rank_of(t, i) >= rank_of(t, victim)))
                victim = i;
        if (victim == t->n)
            return;
        least[victim] = 0;
    }
}

/* Step 3: from the right, down to a single column, and then to none. */
static void cut_off(const struct term_table *t, int page, int *least)
{
    int over;
    for (size_t i = t->n; i-- > 1 && (over = total_of(least, t->n) - page) > 0;)
        if (least[i])
            least[i] = least[i] - over > 1 ? least[i] - over : 1;
    for (size_t i = t->n; i-- > 1 && total_of(least, t->n) > page;)
        least[i] = 0;
    if (least[0] > page)
        least[0] = page;
}

/* Shares what is left over evenly among the columns that are narrower than their text. */
static void share(const int *wanted, size_t n, int page, int *widths)
{
    int left = page - total_of(widths, n);
    for (bool given = true; left > 0 && given;) {
        given = false;
        for (size_t i = 0; i < n && left > 0; i++)
            if (widths[i] && widths[i] < wanted[i]) {
                widths[i]++;
                left--;
                given = true;
            }
    }
}

static int *widths_for(const struct term_table *t, int page)
{
    int *wanted = mem_zalloc(t->n, sizeof *wanted), *widths = mem_zalloc(t->n, sizeof *widths);
    measure(t, page < INT_MAX, wanted);
    bool fits = total_of(wanted, t->n) <= page;
    for (size_t i = 0; i < t->n; i++) {
        int min = (int)min_of(t, i);
        widths[i] = !fits && min && wanted[i] > min ? min : wanted[i];
    }
    if (!fits) {
        leave_out(t, page, widths);
        cut_off(t, page, widths);
        share(wanted, t->n, page, widths);
    }
    mem_free(&wanted);
    return widths;
}

/* ---- Rows */

static void spaces(struct buf *out, int n)
{
    if (n > 0)
        buf_printf(out, "%*s", n, "");
}

/* Takes the next line of a cell from *text. */
static void take_line(struct span *text, bool wrap, int width, struct buf *line)
{
    struct buf lines = {0};
    buf_clear(line);
    if (!wrap) {
        term_cut(line, *text, width);
        *text = SPAN_NONE;
        return;
    }
    term_wrap(&lines, *text, 0, width);
    const uint8_t *end = lines.n ? memchr(lines.p, '\n', lines.n) : NULL;
    size_t n = end ? (size_t)(end - lines.p) : lines.n, used = n;
    buf_add(line, lines.p, n);
    while (used < text->n && text->p[used] == ' ')
        used++;
    *text = end ? span_of(text->p + used, text->n - used) : SPAN_NONE;
    buf_free(&lines);
}

static void print_part(struct buf *out, const struct term *term, struct span part,
                       enum term_mood mood, int width, bool right)
{
    int pad = width - term_width(part);
    struct buf text = {0};
    buf_add(&text, part.p, part.n);
    if (right)
        spaces(out, pad);
    if (part.n)
        term_paint(out, term, mood, buf_str(&text));
    if (!right)
        spaces(out, pad);
    buf_free(&text);
}

/* A row of cells, in as many lines as its longest wrapped cell takes. */
static void print_row(const struct term_table *t, const struct term *term, const int *widths,
                      struct span *texts, const enum term_mood *moods, struct buf *out)
{
    struct buf part = {0};
    bool more = true;
    while (more) {
        more = false;
        bool first = true;
        for (size_t i = 0; i < t->n; i++) {
            if (!widths[i])
                continue;
            take_line(&texts[i], t->columns[i].how & TERM_WRAP, widths[i], &part);
            spaces(out, first ? 0 : GAP);
            const bool pad = i + 1 < t->n || t->columns[i].how & TERM_RIGHT;
            print_part(out, term, buf_span(&part), moods[i], pad ? widths[i] : 0,
                       t->columns[i].how & TERM_RIGHT);
            more |= texts[i].n > 0;
            first = false;
        }
        buf_add_str(out, "\n");
    }
    buf_free(&part);
}

void term_table_print(const struct term_table *t, const struct term *term, struct buf *out)
{
    if (t->count == 0 || t->n == 0)
        return;
    int *widths = widths_for(t, term_page(term));
    struct span *texts = mem_zalloc(t->n, sizeof *texts);
    enum term_mood *moods = mem_zalloc(t->n, sizeof *moods);
    for (size_t i = 0; i < t->n; i++) {
        texts[i] = span_str(t->columns[i].title);
        moods[i] = TERM_BOLD;
    }
    bool titled = false;
    for (size_t i = 0; i < t->n; i++)
        titled |= texts[i].n > 0;
    if (titled)
        print_row(t, term, widths, texts, moods, out);
    for (size_t row = 0; row < term_table_rows(t); row++) {
        for (size_t i = 0; i < t->n; i++) {
            const struct term_cell none = {0};
            const struct term_cell *c =
                row * t->n + i < t->count ? &t->cells[row * t->n + i] : &none;
            texts[i] = c->n ? span_of(t->text.p + c->at, c->n) : SPAN_NONE;
            moods[i] = c->mood;
        }
        print_row(t, term, widths, texts, moods, out);
    }
    mem_free(&widths);
    mem_free(&texts);
    mem_free(&moods);
}
