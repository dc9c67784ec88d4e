/* term.h - what people see: colour by meaning, width, tables, bars, and a display that is drawn
 * again in place.
 *
 * Everything is written into a struct buf and goes out by one write, so a table never tears. Text
 * that comes from outside passes term_safe first (tables do it themselves): nobody moves our
 * reader's cursor. */
#ifndef LB_COMMON_TERM_H
#define LB_COMMON_TERM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"

struct term {
    bool is_terminal;
    bool colour; /* a terminal, TERM is not "dumb", NO_COLOR is unset or empty */
    int width;   /* columns; 80 when nobody says */
};

/* Looks at the descriptor and the environment. Ask again after SIGWINCH or before each redraw. */
struct term term_of(int fd);

enum term_mood { TERM_PLAIN, TERM_GOOD, TERM_BAD, TERM_WARN, TERM_FAINT, TERM_BOLD };

/* The sequences that begin and end a mood; "" without colour. */
const char *term_on(const struct term *t, enum term_mood mood);
const char *term_off(const struct term *t, enum term_mood mood);
/* Appends `text` in the mood. The text is ours: it is not made safe. */
void term_paint(struct buf *out, const struct term *t, enum term_mood mood, const char *text);

/* Columns that UTF-8 text takes: 2 for wide characters, 0 for combining ones, 1 for what is
 * malformed. The text must be safe: control characters count 0. */
int term_width(struct span text);

/* Appends text from outside with everything made visible that could act on a terminal or deceive a
 * reader: control bytes as \x1b, C1 controls and characters that change the direction as \u202e,
 * malformed bytes as U+FFFD. */
void term_safe(struct buf *out, struct span text);
/* The same, but lines and tabs stay: for logs of children. */
void term_safe_lines(struct buf *out, struct span text);

/* Appends as much of safe text as fits into `width` columns; what was cut ends in an ellipsis.
 * Returns the columns. */
int term_cut(struct buf *out, struct span text, int width);

/* ---- tables ---- */

struct term_column {
    const char *title;
    bool right; /* numbers */
};

struct term_table;

/* `columns` are lent until the table is freed. */
struct term_table *term_table_new(const struct term_column *columns, size_t n);
void term_table_free(struct term_table **t);
/* The next cell, row by row. The text is copied and made safe; NULL is an empty cell. */
void term_table_add(struct term_table *t, const char *text);
void term_table_add_in(struct term_table *t, enum term_mood mood, const char *text);
void term_table_addf(struct term_table *t, enum term_mood mood, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
size_t term_table_rows(const struct term_table *t); /* begun or complete */
/* Appends titles and rows; columns are as wide as their widest cell and two spaces apart. On a
 * terminal the last one takes the rest of the width and is cut with an ellipsis; elsewhere nothing
 * is cut. No rows: nothing is written. */
void term_table_print(const struct term_table *t, const struct term *term, struct buf *out);

/* ---- a display that is drawn again ---- */

/* Appends a bar of exactly `width` columns, filled to `fraction` (held between 0 and 1) in eighths
   of a column. */
void term_bar(struct buf *out, int width, double fraction);
/* the cursor to the first column, `lines` up; 0: of this line */
void term_up(struct buf *out, int lines);
void term_erase_line(struct buf *out);  /* from the cursor to the end of the line */
void term_erase_below(struct buf *out); /* from the cursor to the end of the screen */

#endif
