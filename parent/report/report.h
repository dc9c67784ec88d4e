/* report.h - what people and programs see of a parent: while it runs and when it is over. Pure but
 * for the local time zone: the time comes in, everything is appended to a buffer.
 *
 *   lines    one line for each child's start and end, and for what somebody should know (parked,
 *   out of contact,
 *            skipped); for logs and pipes
 *   events   the same and all progress as JSON, one object a line live     on a terminal: a line
 *   and bar for each running child and one of totals, drawn again in place report   the overview at
 *   the end, as text and as JSON */
#ifndef LB_PARENT_REPORT_REPORT_H
#define LB_PARENT_REPORT_REPORT_H

#include "common/term.h"
#include "parent/core/core.h"

/* ---- Lines, in the order of surface.md:
 *     09:14:07  etl2  prepare-table  table=orders  succeeded  12.4s  attempt 1  rows=48211
 *     nightly/prepare/0 */
/* Appends a line if the effect is worth one. `loud`: only what somebody should know, since a live
 * display shows the rest. True: it was. */
bool lines_add(const struct pcore *c, const struct pcore_effect *e, int64_t now, bool loud,
               const struct term *t, struct buf *out);

/* ---- Events. {"event":"child"|"ended"|"skipped", ...}; nothing for effects that are no news. */
void events_add(const struct pcore *c, const struct pcore_effect *e, int64_t now, struct buf *out);

/* ---- Live */
enum {
    /* ten pictures a second at the most: nobody sees more, and terminals over ssh are slow */
    LIVE_REDRAW_MS = 100,
    LIVE_HEIGHT = 24, /* lines, if nobody says */
    LIVE_MIN = 4      /* a lower terminal is written as if it had these */
};
struct live { /* all zero: nothing is drawn */
    int drawn;
};
/* Takes the last picture away, so that lines can be written. */
void live_clear(struct live *l, struct buf *out);
/* Draws at most height - 1 lines of at most t->width columns in its place. */
void live_draw(struct live *l, const struct pcore *c, int64_t now, const struct term *t, int height,
               struct buf *out);

/* ---- Report */
enum { REPORT_CHILDREN = 200 /* listed in the text; of more only those that did not succeed */ };
void report_text(const struct pcore *c, const struct term *t, struct buf *out);
/* One JSON object of at most `most` bytes: what does not fit of the lists of tasks and children is
 * counted in "tasks_left_out" and "children_left_out"; those that did not succeed go first then.
 * `most` is at least 64 KiB. */
void report_json(const struct pcore *c, size_t most, struct buf *out);

#endif
