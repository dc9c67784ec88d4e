/* verify.h - may this step run? All checks are in one ordered list (verify.c, `checks`).
 *
 * The requesting worker is not trusted in anything: what was called, by whom, for which job on
 * which server comes from signed bytes and from files of this server. No step reaches a keeper
 * unless it has passed every check. */
#ifndef LB_RUNNER_VERIFY_H
#define LB_RUNNER_VERIFY_H

#include "runner/runnerpaths.h"
#include "runner/policy.h"
#include "runner/seen.h"

struct verifier;
/* Reads from the spool what has already run. `paths` is lent for its life. On success *ret is
 * yours: verifier_free. */
int verifier_new(const struct runner_paths *paths, struct verifier **ret, struct error *err);
void verifier_free(struct verifier **v);
struct policy *verifier_policy(struct verifier *v);

enum verify_verdict {
    VERDICT_RUN,    /* *out is its S_LAUNCH; from now on the step counts as seen */
    VERDICT_SAME,   /* this very step was accepted before: nothing to do */
    VERDICT_REFUSED /* *ret_code and the sentence say why */
};
/* `now`: wall ms. On a refusal *ret_check is the name of the check that refused. */
enum verify_verdict verify_step(struct verifier *v, const struct s_step *request, int64_t now,
                                struct buf *out, enum refusal *ret_code, const char **ret_check,
                                struct error *err);

/* The package was installed, perhaps again. */
void verifier_installed(struct verifier *v, const struct hash *package);
/* A keeper holds this step: it counts as seen. */
void verifier_taken(struct verifier *v, const struct s_kept *kept, int64_t now);
/* This step certainly was not launched and never will be: it may be requested again. */
void verifier_forget(struct verifier *v, const struct s_kept *kept);

/* The name of the i-th check; NULL after the last. For docs and tests. */
const char *verify_check_name(unsigned i);

#endif
