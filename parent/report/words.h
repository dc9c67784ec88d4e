/* words.h - internal: how times, states and names are written. */
#ifndef LB_PARENT_REPORT_WORDS_H
#define LB_PARENT_REPORT_WORDS_H

#include "parent/report/report.h"

enum term_mood words_mood(enum status s);
/* "09:14:07" in the local zone. */
void words_clock(int64_t wall_ms, struct buf *out);
/* "prepare[orders]", made safe, at most `width` columns. */
void words_child(const struct pcore *c, uint32_t task, uint32_t index, int width, struct buf *out);
/* `before` and the message of an ended child, or its outputs "rows=48211 x=1"; made safe. Nothing
   without either. */
void words_said(const struct pcore_child *k, const char *before, struct buf *out);
/* "timed out" */
const char *words_status(enum status s);
/* The last eight characters of an id, as people are shown it; in `out`. */
const char *words_short(struct id id, char out[ID_TEXT]);
/* "running", "out of contact", "asked" before it is accepted. */
void words_state(const struct pcore_child *k, struct buf *out);
/* How long it ran, or has been running; -1: it has not started. */
int64_t words_elapsed(const struct pcore_child *k, int64_t now);

#endif
