/* words.h - inside of this room: how times, states and names are written. */
#ifndef LB_PARENT_REPORT_WORDS_H
#define LB_PARENT_REPORT_WORDS_H

#include "parent/report/report.h"

enum term_mood words_mood(enum status s);
/* "09:14:07" in the local zone. */
void words_clock(int64_t wall_ms, struct buf *out);
/* "prepare/0"; the task alone if it has one instance by its nature. */
void words_child(const struct pcore *c, uint32_t task, uint32_t index, struct buf *out);
/* What tells it from its siblings: "table=orders". Made safe, at most `width` columns. */
void words_label(const struct pcore *c, uint32_t task, uint32_t index, int width, struct buf *out);
/* Message of an ended child, or its outputs "rows=48211 x=1", or nothing; made safe, at most
   `width` columns. */
void words_said(const struct pcore_child *k, int width, struct buf *out);
/* "running", "out of contact", "asked" before it is accepted. */
void words_state(const struct pcore_child *k, struct buf *out);
/* How long it ran, or has run until now; -1: it has not started. */
int64_t words_elapsed(const struct pcore_child *k, int64_t now);

#endif
