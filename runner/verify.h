/* verify.h - may this step run? All checks are in one ordered list (verify.c, `checks`).
 *
 * The requesting worker is not trusted in anything: what was called, by whom, for which job on
 * which server comes from signed bytes and from files of this server. No step reaches a keeper
 * unless it has passed every check. */
#ifndef LB_RUNNER_VERIFY_H
#define LB_RUNNER_VERIFY_H

#include "runner/runnerpaths.h"
#include "runner/attempts.h"
#include "runner/policy.h"
#include "runner/seen.h"

struct verifier;
/* Reads from the spool what has already run. `paths` is lent for its life. On success *ret is
 * yours: verifier_free. */
int verifier_new(const struct runner_paths *paths, struct verifier **ret, struct error *err);
void verifier_free(struct verifier **v);
/* Who knows which steps wait and run; without it none does. */
void verifier_ask_of_slots(struct verifier *v, attempts_holds_fn *holds, void *self);
struct policy *verifier_policy(struct verifier *v);

enum verify_verdict {
    VERDICT_RUN,    /* *out is its S_LAUNCH; from now on the step counts as seen */
    VERDICT_SAME,   /* this very step was accepted before: nothing to do */
    VERDICT_EARLY,  /* another step of the run has not ended: ask again when it has */
    VERDICT_REFUSED /* *ret_code and the sentence say why */
};
/* `now`: wall ms. On a refusal *ret_check is the name of the check that refused, and *out has the
 * hash of the job if the refusal ends the try (for S_ENDED.job_hash); else it is empty. */
enum verify_verdict verify_step(struct verifier *v, const struct s_step *request, int64_t now,
                                struct buf *out, enum refusal *ret_code, const char **ret_check,
                                struct error *err);

/* A keeper holds this step: it counts as seen. */
void verifier_taken(struct verifier *v, const struct s_kept *kept, int64_t now);
/* The keeper of this step has died. launched: it had started. If not, it certainly never will, and
 * may be requested again. */
void verifier_lost(struct verifier *v, const struct s_kept *kept, bool launched, int64_t now);
/* A step has ended; a keeper says so. launched: it had started. */
void verifier_ended(struct verifier *v, const struct s_ended *e, bool launched);
/* The worker stops an attempt: only its `always` steps may still come. */
void verifier_halted(struct verifier *v, const struct s_halt *h);

/* The name of the i-th check; NULL after the last. For docs and tests. */
const char *verify_check_name(unsigned i);

#endif
