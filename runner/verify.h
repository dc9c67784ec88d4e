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
#include "runner/proxies.h"
#include "runner/replay.h"

struct verifier;
/* Reads what has already run: the replay table, and what the keepers' files say beyond it.
 * `paths` is lent for its life. On success *ret is yours: verifier_free. */
int verifier_new(const struct runner_paths *paths, struct verifier **ret, struct error *err);
void verifier_free(struct verifier **v);
/* Who knows which steps wait and run; without it none does. */
void verifier_ask_of_slots(struct verifier *v, attempts_holds_fn *holds, void *self);
struct policy *verifier_policy(struct verifier *v);
/* From now on steps are judged to say what would run: in any order, and what earlier steps hand
 * back counts as given. */
void verifier_plan(struct verifier *v);
struct proxies *verifier_proxies(struct verifier *v);
/* What the worker reads that asks for steps from now on: S_LAUNCH says it to the keeper. */
void verifier_form(struct verifier *v, bool first);
/* A step that was allowed, and has waited since: may it still run under its proxy, and with its
 * secrets? Its S_LAUNCH gets the context and the secrets of now. Negative: refused. */
int verifier_again(struct verifier *v, struct buf *launch, int64_t now, enum refusal *ret_code,
                   struct error *err);

enum verify_verdict {
    /* *out is its S_LAUNCH, which may leave after verifier_commit; the step counts as seen */
    VERDICT_RUN,
    VERDICT_SAME,   /* this very step was accepted before: nothing to do */
    VERDICT_EARLY,  /* another step of the run has not ended: ask again when it has */
    VERDICT_REFUSED /* *ret_code and the sentence say why */
};
/* `now`: wall ms. On a refusal *ret_check is the name of the check that refused. */
enum verify_verdict verify_step(struct verifier *v, const struct s_step *request, int64_t now,
                                struct buf *out, enum refusal *ret_code, const char **ret_check,
                                struct error *err);
/* After VERDICT_REFUSED, and after VERDICT_SAME of a step that is nowhere any more: the hash of the
 * job, for S_ENDED.job_hash, if this ends the try of an attempt that is kept (attempts.h); else
 * empty. Valid until the next verify_step. */
struct span verifier_ends(const struct verifier *v);

/* The package was installed, perhaps again. */
void verifier_installed(struct verifier *v, const struct hash *package);
/* Writes what was accepted since the last call, before it is launched. On failure none of it may
 * be launched, and it does not count as seen. */
int verifier_commit(struct verifier *v, int64_t now, struct error *err);

/* At the start, for each step that a keeper holds: it counts as seen. */
void verifier_taken(struct verifier *v, const struct s_kept *kept, int64_t now);
/* After the last of them: what was accepted before, and of which no keeper knows, may be asked for
 * again. */
int verifier_settle(struct verifier *v, int64_t now, struct error *err);
/* A keeper has begun this step. Before its entry is removed from the keepers' files, this must be
 * written (verifier_commit). */
void verifier_begun(struct verifier *v, const struct s_kept *kept, int64_t now);
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
