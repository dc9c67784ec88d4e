/* report.h - what people and programs see of a parent, during and after the run. Pure but for the
 * local time zone: callers pass the time, and everything is appended to a buffer.
 *
 *   lines    one line for each child's start and end, and for what needs attention (parked, out of
 *            contact, skipped); for logs and pipes
 *   events   the same and all progress as JSON, one object a line
 *   live     on a terminal: a line and bar for each running child and one of totals, redrawn
 *            in place
 *   report   the overview at the end, as text and as JSON */
#ifndef LB_PARENT_REPORT_REPORT_H
#define LB_PARENT_REPORT_REPORT_H

#include "common/term.h"
#include "parent/core/core.h"

/* ---- Lines
 *     09:14:07  etl2  prepare[orders]  succeeded  12.4s  rows=48211
 *     09:14:07  -  300 tasks  skipped because prepare[lines] failed */
struct lines { /* all zero: nothing is held back */
    /* skips with one cause that have no line yet */
    const char *cause;
    uint32_t task, n;
    int64_t at;
};
/* Appends a line for the effect if it needs one, and returns true; holds skips back. `loud`: only
 * what needs attention, because a live display shows the rest. On a terminal a line is cut to its
 * width. */
bool lines_add(struct lines *l, const struct pcore *c, const struct pcore_effect *e, int64_t now,
               bool loud, const struct term *t, struct buf *out);
/* Appends what is held back. Call it before the core's next step. */
void lines_flush(struct lines *l, const struct pcore *c, const struct term *t, struct buf *out);

/* ---- Events. {"event":"child"|"ended"|"skipped", ...}; nothing for effects that carry no news. */
void report_events_add(const struct pcore *c, const struct pcore_effect *e, int64_t now,
                       struct buf *out);

/* ---- Live */
enum {
    /* at most ten pictures a second: more cannot be seen, and terminals over ssh are slow */
    LIVE_REDRAW_MS = 100,
    LIVE_HEIGHT = 24, /* lines, if the terminal does not say */
    LIVE_MIN = 4,     /* a shorter terminal is treated as if it had these */
    LIVE_LINES_MAX = 200
};
struct live {                    /* all zero: nothing is drawn */
    int drawn;                   /* lines */
    int columns[LIVE_LINES_MAX]; /* the width of each line */
};
/* Erases the last picture, so that lines can be written in its place. */
void live_clear(struct live *l, const struct term *t, int height, struct buf *out);
/* Draws at most height - 1 lines, each shorter than t->width columns, over the last picture. */
void live_draw(struct live *l, const struct pcore *c, int64_t now, const struct term *t, int height,
               struct buf *out);

/* ---- Report */
enum { REPORT_CHILDREN = 200 /* listed in the text; if there are more, only failures */ };
void report_text(const struct pcore *c, const struct term *t, struct buf *out);
/* One JSON object of at most `most` bytes, at least 64 KiB. If the lists of tasks and children do
 * not fit, those that did not succeed come first, "tasks_left_out" and "children_left_out" count
 * the rest, and "left_out_at" says where it is. */
void report_json(const struct pcore *c, size_t most, struct buf *out);

#endif
