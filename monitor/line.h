/* line.h - an event of the broker (JSON) as one line for people. Pure but for the time zone.
 *
 *     09:14:07  4b3c2d10  etl2  nightly/extract[orders]  succeeded  12.4s  rows=48211
 *     09:14:09  7e1f00a2  etl1  nightly/extract[lines]   failed     14.0s  no such table
 *     09:14:09            etl1                           server            state=unreachable
 *
 * A page of 110 columns has the job beside a child's name, too, and its parameters where they fit;
 * one of less than 100 leaves the parent's name out. Outputs are cut to the page; the message of
 * what did not succeed goes into lines of its own below where the line has no room. */
#ifndef LB_MONITOR_LINE_H
#define LB_MONITOR_LINE_H

#include <jansson.h>

#include "common/term.h"

/* All zero but for `term`. Columns grow with what they have shown, so that lines align although
 * later ones are not known yet. */
struct event_line {
    struct term term;
    int server, name, job, word, took;
    int day; /* of the last event, as year * 1000 + day of the year; 0: none yet */
};

/* Appends the line with its line feed; what came from outside is made safe. */
void line_of_event(struct event_line *l, const json_t *event, struct buf *out);

/* Is this event on another day than the one before? Then *out gets "2026-11-21, times in CET". */
bool line_new_day(struct event_line *l, const json_t *event, struct buf *out);

#endif
