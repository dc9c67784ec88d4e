/* find.h - the run that a person means: by its id, by the end of its id, or by a word.
 *
 * A run can be named by
 *   its whole id        0198c1f2-7a10-7cc3-9d1e-6a9f4b3c2d10
 *   the end of its id   4b3c2d10: at least six hexadecimal digits, as many as make it unique among
 *                       the runs that the asker may see
 *   last                the newest parent, or call without a parent, that the asker has started
 *   last-failed         the newest run that has ended without success, children included */
#ifndef LB_CLIENT_FIND_H
#define LB_CLIENT_FIND_H

#include "client/longboat.h"

enum {
    FIND_TAIL_MIN = 6, /* digits that a tail must have */
    FIND_TAIL = 8      /* digits of it that people are shown */
};

/* Checks that `text` has one of the four forms above. -EINVAL if not; the sentence lists them. */
int find_check(const char *text, struct error *err);

/* Finds the run that `text` names. A whole id is accepted as it is, without asking: the request
 * that uses it finds out whether the run exists. For everything else the broker is asked (for up
 * to 30 s). -EINVAL: none of the four forms; -ENOENT: no such run, or none that the asker may see;
 * -ENOTUNIQ: several, which *ret_candidates (may be NULL; appended to) then lists, a line each, for
 * people; other errors as longboat_query. */
int longboat_find_run(struct longboat *lb, const char *text, struct id *ret_run,
                      struct buf *ret_candidates, struct error *err);

/* How many of the last digits of these ids tell each from all others: FIND_TAIL where that is
 * enough, else 12, else 32 (the whole id). For a page of ids; the same id twice counts as one. */
unsigned find_tail_length(const struct id *ids, size_t n);

/* The last `digits` digits of an id as people are shown them (32: with its hyphens). Returns
 * `out`. */
char *find_tail(struct id run, unsigned digits, char out[ID_TEXT]);

#endif
