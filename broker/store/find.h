/* find.h - what a person types for a run, and the ended runs and parents that it may mean: a short
 * id, `last`, `last-failed`.
 *
 *     struct store_question q = {.what = STORE_FIND, .most = 10};
 *     if (store_find_parse(text, &q.find, &err) == 0)
 *         store_ask(store, &q, hear, self);
 *
 * The answer has `most` rows or fewer, newest first, runs and parents in one list (`is_parent` says
 * which). The caller judges rights: if it may show none of a full page, it sets `after` from the
 * last row and asks again; a page with fewer than `most` rows is the last one. Live runs and
 * parents are not here: ask the core (view.h), with store_find_is for a short id.
 *
 * Each answer is found by an index of its own; none scans the history. The cost of the indexes for
 * each row of history, when it is folded:
 *     TAIL    every run and parent: one entry of about 14 bytes among those of the same time
 *             (3 microseconds, a sixth of a page written)
 *     LAST    every single call, and every parent that is not a child: one entry of about 25 bytes
 *             and the principal's name, after that principal's last (1.5 microseconds)
 *     FAILED  every ended run without success: one entry of about 6 bytes, at the end
 * A look-up by TAIL costs a few microseconds for each 65,536 records in the store. */
#ifndef LB_BROKER_STORE_FIND_H
#define LB_BROKER_STORE_FIND_H

#include "common/id.h"
#include "proto/limits.h"

enum {
    STORE_TAIL_MIN = 6, /* fewer digits would be ambiguous in a history of some thousand runs */
    STORE_TAIL_MAX = 32 /* all of an id's digits */
};

enum store_find_by {
    STORE_FIND_TAIL,  /* the id ends with `tail`; newest end first */
    STORE_FIND_LAST,  /* `principal` started it, and it is not a child; newest start first */
    STORE_FIND_FAILED /* a run (not a parent, perhaps a child) without success; newest end first */
};

struct store_find {
    enum store_find_by by;
    char tail[STORE_TAIL_MAX + 1]; /* TAIL: upper-case hexadecimal digits */
    const char *principal;         /* LAST: exactly this one; store_find_parse sets NULL */
    struct {
        uint64_t lsn;  /* TAIL, FAILED: only what ended before this; 0: from the newest */
        struct id run; /* LAST: only what started before this; zero: from the newest */
    } after;
};

/* Reads `last`, `last-failed`, or the last 6 to 32 digits of an id (either case; hyphens are
 * skipped). -EINVAL: it is something else, and *ret is as it was. */
int store_find_parse(struct span text, struct store_find *ret, struct error *err);

/* TAIL: does this id end with it? */
bool store_find_is(const struct store_find *f, struct id run);

#endif
