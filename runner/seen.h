/* seen.h - which steps of which calls this server has run, so that a compromised worker cannot have
 * one repeated.
 *
 * A call is known by its identity, the hash of its caller's name and its key: both are signed, the
 * run's id is not. For each call the table keeps the run, the highest attempt, and the steps and
 * tries of that attempt that were accepted. When the runner starts, it is filled from the LAUNCHED
 * entries of the keepers' files. An expired call cannot be used again, so its entry may be dropped
 * when room is needed. */
#ifndef LB_RUNNER_SEEN_H
#define LB_RUNNER_SEEN_H

#include "proto/messages.h"

enum {
    /* calls; when full, expired ones are dropped; if none is expired, SEEN_FULL */
    SEEN_MAX = 1 << 20
};

struct seen;
struct seen *seen_new(void);
void seen_free(struct seen **s);
/* Adds the LAUNCHED entries of every keeper-*.log in the folder. A file that cannot be read to
 * its end is an error. */
int seen_load(struct seen *s, const char *spool_folder, struct error *err);
void seen_launched(struct seen *s, const struct s_launched *l);

void seen_identity(struct span caller, struct span key, struct hash *ret);

struct seen_step {
    struct hash identity;
    struct id run;
    uint64_t attempt;
    struct span step;
    uint64_t try_no;
    bool may_repeat; /* the caller allows another attempt after a lost one: rerun or hold */
    int64_t expires;
};
enum seen_answer {
    SEEN_NEW,  /* not run yet */
    SEEN_SAME, /* this very step was accepted: its outcome is in the spool, or will be */
    /* another run of the call, an older attempt, or a repetition that the caller does not allow */
    SEEN_REPLAYED,
    SEEN_FULL
};
/* Asks without changing anything. *ret_begun: when the first step of this attempt was accepted
 * (wall ms); 0: this would be the first. For REPLAYED and FULL *err says why. */
enum seen_answer seen_ask(struct seen *s, const struct seen_step *step, int64_t now,
                          int64_t *ret_begun, struct error *err);
void seen_add(struct seen *s, const struct seen_step *step, int64_t now);
/* An accepted step certainly will not be launched: it may be asked for again. */
void seen_forget(struct seen *s, const struct seen_step *step);
size_t seen_count(const struct seen *s);

#endif
