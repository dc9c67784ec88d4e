/* term.h - what people see: colour by meaning, width, tables, times, bars, and a display that is
 * redrawn in place.
 *
 * Everything is written into a struct buf and goes out through termout.h, so a table never tears.
 * Colours and cursor moves are marks until then. Text from outside passes term_safe first (tables
 * do it themselves), so that it takes one line and its width is known. */
#ifndef LB_COMMON_TERM_H
#define LB_COMMON_TERM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/error.h"

struct term {
    bool is_terminal;
    bool colour;  /* a terminal, TERM is not "dumb", NO_COLOR is unset or empty */
    int width;    /* columns; 80 if unknown */
    bool bounded; /* no terminal, but COLUMNS says how wide a page is */
};

/* Looks at the descriptor and the environment. Ask again after SIGWINCH or before each redraw. */
struct term term_of(int fd);

enum term_mood { TERM_PLAIN, TERM_GOOD, TERM_BAD, TERM_WARN, TERM_FAINT, TERM_BOLD };

/* The marks that begin and end a mood (termout.h turns them into sequences); "" without colour. */
const char *term_on(const struct term *t, enum term_mood mood);
const char *term_off(const struct term *t, enum term_mood mood);
/* Appends `text` in the mood. The text is ours: it is not made safe. */
void term_paint(struct buf *out, const struct term *t, enum term_mood mood, const char *text);

/* Columns that UTF-8 text takes: 2 for wide characters, 0 for combining ones, 1 for what is
 * malformed. The text must be safe: control characters count 0. */
int term_width(struct span text);

/* Appends text from outside with everything made visible that could act on a terminal or deceive a
 * reader: controls and characters that change the direction as \u202e, malformed bytes as U+FFFD.
 * What is JSON stays JSON and says the same. */
void term_safe(struct buf *out, struct span text);
/* The same, but lines and tabs stay: for logs of children. */
void term_safe_lines(struct buf *out, struct span text);

/* May we write characters beyond ASCII? True where the user's locale (LC_ALL, LC_CTYPE, LANG) uses
 * UTF-8. Looked up once. */
bool term_unicode(void);
/* For tests: fixes the answer from now on. */
void term_unicode_set(bool on);

/* Appends as much of safe text as fits in `width` columns; what was cut ends in an ellipsis ("..."
 * where the locale has none). Returns the columns. */
int term_cut(struct buf *out, struct span text, int width);

/* Appends safe text as lines of at most `width` columns that break at spaces, for text that begins
 * at column `at`: the lines that follow are indented to there. No line feed at the end. */
void term_wrap(struct buf *out, struct span text, int at, int width);

/* The columns that a page for `t` may take: its width; INT_MAX if it is not a terminal and COLUMNS
 * is not set. */
int term_page(const struct term *t);

/* ---- tables ---- */

/* What a column of a table does, ORed together. Where a table is wider than the page,
 * 1. the columns that may shrink do so, evenly, the cells being cut with an ellipsis or, with
 *    TERM_WRAP, continued in lines below;
 * 2. if that is still too wide, columns are left out, the highest TERM_DROP first, the rightmost
 *    first among equals;
 * 3. if that is not enough either, the rightmost columns are cut to what is left.
 * So a row never folds. The last column shrinks to eight even if nothing says so. */
enum term_column_flags {
    TERM_RIGHT = 1, /* numbers */
    TERM_WRAP = 2,
    TERM_OPTIONAL = 4, /* left out of a page on which no row has any text in it */
};
#define TERM_SHRINK(min) ((unsigned)(min) << 8)   /* to `min` columns, 1 to 255 */
#define TERM_DROP(rank)  ((unsigned)(rank) << 16) /* 1 to 255 */

struct term_column {
    const char *title;
    unsigned how;
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
size_t term_table_rows(const struct term_table *t); /* complete or not */
/* Appends titles and rows, columns two spaces apart, fitted to the page of `term`.
 * Elsewhere (a pipe, a file) nothing is cut or left out. Without any title there is no line of
 * titles. No rows: nothing is written. */
void term_table_print(const struct term_table *t, const struct term *term, struct buf *out);

/* ---- times, in the zone of this process (TZ, /etc/localtime) ---- */

enum { TERM_TIME = 64 /* room for each of these */ };

void term_utc(void); /* from now on the zone is UTC */
/* "CET", "UTC": the zone at that moment. */
char *term_zone(int64_t wall_ms, char out[TERM_TIME]);
/* For a listing: "09:14:07" today, "Nov 20 09:14" within the last half year, else "2025-11-20". */
char *term_when(int64_t wall_ms, int64_t now_ms, char out[TERM_TIME]);
/* "2026-11-20 09:14:07" */
char *term_moment(int64_t wall_ms, char out[TERM_TIME]);
char *term_clock(int64_t wall_ms, char out[TERM_TIME]); /* "09:14:07" */
/* Reads the moment that a person means: a time ago ("2h", "1d"), a day ("2026-11-20": its
 * midnight), a day and a time ("2026-11-20 09:14", seconds and T allowed), a time of today
 * ("09:14"), all of this zone; or RFC 3339 with its offset. -EINVAL. */
int term_time_parse(const char *s, int64_t now_ms, int64_t *ret_ms, struct error *err);

/* ---- a display that is redrawn ---- */

/* Appends a bar of exactly `width` columns, filled to `fraction` (held between 0 and 1) in eighths
 * of a column, or in whole columns of '#' where the locale has no blocks. */
void term_bar(struct buf *out, int width, double fraction);
/* the cursor to the first column, `lines` up; 0: of this line */
void term_up(struct buf *out, int lines);
void term_erase_line(struct buf *out);  /* from the cursor to the end of the line */
void term_erase_below(struct buf *out); /* from the cursor to the end of the screen */

#endif
