/* seen.h - which steps of which calls this server has run: what a worker that is broken into cannot
 * have repeated.
 *
 * A call is known by its identity, the hash of its caller's name and its key: both are signed, the
 * run's id is not. Of each call the highest attempt is kept, its run, and the steps and tries of it
 * that were accepted. At the runner's start the table is filled from the LAUNCHED entries of the
 * keepers' files. Once a call has expired nobody can use it again, so its entry may be dropped when
 * room is needed. */
#ifndef LB_RUNNER_SEEN_H
#define LB_RUNNER_SEEN_H

#include "proto/messages.h"

enum {
    /* calls; expired ones are dropped first, and if none is, no new call is taken */
    SEEN_MAX = 1 << 20
};

struct seen;
struct seen *seen_new(void);
void seen_free(struct seen **s);
/* Takes the LAUNCHED entries of every keeper-*.log in the folder. A file that cannot be read to its
 * end is an error. */
int seen_load(struct seen *s, const char *spool_folder, struct error *err);
void seen_launched(struct seen *s, const struct s_launched *l);

void call_identity(struct span caller, struct span key, struct hash *ret);

struct seen_step {
    struct hash identity;
    struct id run;
    uint64_t attempt;
    struct span step;
    uint64_t try_no;
    bool may_repeat; /* the caller allows another attempt when one is lost: rerun or hold */
    int64_t expires;
};
enum seen_answer {
    SEEN_NEW,  /* go on */
    SEEN_SAME, /* this very step was accepted: its outcome is, or will be, in the spool */
    /* another run of the call, an older attempt, or a repetition that its caller has not allowed */
    SEEN_REPLAYED,
    SEEN_FULL
};
/* *ret_begun: when the first step of this attempt was accepted (wall ms), 0: this would be the
 * first. *err says why, for REPLAYED and FULL. */
enum seen_answer seen_ask(struct seen *s, const struct seen_step *step, int64_t now,
                          int64_t *ret_begun, struct error *err);
void seen_add(struct seen *s, const struct seen_step *step, int64_t now);
/* It was accepted and will certainly not be launched: it may be asked for again. */
void seen_forget(struct seen *s, const struct seen_step *step);
size_t seen_count(const struct seen *s);

#endif
