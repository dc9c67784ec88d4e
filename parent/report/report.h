/* report.h - what people and programs see of a parent: while it runs and when it is over. Pure but
 * for the local time zone: the time comes in, everything is appended to a buffer.
 *
 *   lines    one line for each child's start and end, and for what somebody should know (parked,
 *            out of contact, skipped); for logs and pipes
 *   events   the same and all progress as JSON, one object a line
 *   live     on a terminal: a line and bar for each running child and one of totals, drawn again
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
/* Appends a line if the effect is worth one; holds skips back. `loud`: only what somebody should
 * know, since a live display shows the rest. True: it was. On a terminal a line is cut to its
 * width. */
bool lines_add(struct lines *l, const struct pcore *c, const struct pcore_effect *e, int64_t now,
               bool loud, const struct term *t, struct buf *out);
/* What is held back. To be called before the next step of the core. */
void lines_flush(struct lines *l, const struct pcore *c, const struct term *t, struct buf *out);

/* ---- Events. {"event":"child"|"ended"|"skipped", ...}; nothing for effects that are no news. */
void events_add(const struct pcore *c, const struct pcore_effect *e, int64_t now, struct buf *out);

/* ---- Live */
enum {
    /* ten pictures a second at the most: nobody sees more, and terminals over ssh are slow */
    LIVE_REDRAW_MS = 100,
    LIVE_HEIGHT = 24, /* lines, if nobody says */
    LIVE_MIN = 4,     /* a lower terminal is written as if it had these */
    LIVE_LINES_MAX = 200
};
struct live {                    /* all zero: nothing is drawn */
    int drawn;                   /* lines */
    int columns[LIVE_LINES_MAX]; /* that each of them takes */
};
/* Takes the last picture away, so that lines can be written in its place. */
void live_clear(struct live *l, const struct term *t, int height, struct buf *out);
/* Draws at most height - 1 lines, each shorter than t->width columns, over the last picture. */
void live_draw(struct live *l, const struct pcore *c, int64_t now, const struct term *t, int height,
               struct buf *out);

/* ---- Report */
enum { REPORT_CHILDREN = 200 /* listed in the text; of more only those that did not succeed */ };
void report_text(const struct pcore *c, const struct term *t, struct buf *out);
/* One JSON object of at most `most` bytes, at least 64 KiB. What does not fit of the lists of tasks
 * and children is counted in "tasks_left_out" and "children_left_out", those that did not succeed
 * go first then, and "left_out_at" says where the rest is. */
void report_json(const struct pcore *c, size_t most, struct buf *out);

#endif
