/* verify.h - may this step run? All checks, in order, as a list one can read (verify.c, `checks`).
 *
 * The worker that asks is believed in nothing: what was called, by whom, for which job on which
 * server comes from signed bytes and from files of this server. What no check has let through
 * reaches no keeper. */
#ifndef LB_RUNNER_VERIFY_H
#define LB_RUNNER_VERIFY_H

#include "runner/runnerpaths.h"
#include "runner/policy.h"
#include "runner/seen.h"

struct verifier;
/* Reads what was run before from the spool. `paths` is lent for good. */
int verifier_new(const struct runner_paths *paths, struct verifier **ret, struct error *err);
void verifier_free(struct verifier **v);
struct policy *verifier_policy(struct verifier *v);

enum verify_verdict {
    VERDICT_RUN,    /* *out is its S_LAUNCH; it counts as seen from now on */
    VERDICT_SAME,   /* this very step was taken before: nothing is to be done */
    VERDICT_REFUSED /* *ret_code and the sentence say why */
};
/* `now`: wall ms. On a refusal *ret_check is the name of the check that refused. */
enum verify_verdict verify_step(struct verifier *v, const struct s_step *request, int64_t now,
                                struct buf *out, enum refusal *ret_code, const char **ret_check,
                                struct error *err);

/* A keeper holds this step: it counts as seen. And: it is certain that it was not and will not be
   launched. */
void verifier_taken(struct verifier *v, const struct s_kept *kept, int64_t now);
void verifier_forget(struct verifier *v, const struct s_kept *kept);

/* The names of the checks in their order; NULL after the last. For docs and tests. */
const char *verify_check_name(unsigned i);

#endif
