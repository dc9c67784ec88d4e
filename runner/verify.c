/* verify.c - see verify.h: the checks, and what the verifier keeps. */
#include "runner/inquiry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/mem.h"
#include "proto/kept.h"
#include "proto/outcome.h"
#include "proto/packagejob.h"
#include "runner/bind.h"
#include "runner/context.h"
#include "runner/installed.h"
#include "runner/intact.h"
#include "runner/proxies.h"
#include "runner/secretuse.h"

bool inquiry_is_package(struct span job)
{
    size_t n = strlen(PACKAGEJOB_PREFIX);
    return job.n > n && memcmp(job.p, PACKAGEJOB_PREFIX, n) == 0;
}

/* ---- The checks */

/* Is it run by hand? Then the kernel has said who asks, and nobody has signed the call; what it may
 * do, its proxy says. */
static bool is_by_hand(const struct inquiry *q)
{
    return q->v->paths->principal != NULL;
}

struct span inquiry_server(const struct inquiry *q)
{
    const struct verifier *v = q->v;
    return span_str(v->paths->undeployed ? v->host : policy_self(v->policy)->name);
}

static int check_origin(struct inquiry *q, struct error *err)
{
    q->code = REFUSAL_DENIED;
    if (q->request->local && !is_by_hand(q))
        return error_set(err, -EPERM, "no caller has signed this step");
    if (!q->request->local && is_by_hand(q))
        return error_set(err, -EPERM, "this runner takes only what is run by hand");
    return 0;
}

static int check_server(struct inquiry *q, struct error *err)
{
    return q->v->paths->undeployed ? 0 : policy_refresh(q->v->policy, q->now, &q->code, err);
}

static int check_certificate(struct inquiry *q, struct error *err)
{
    int rc = 0;
    if (is_by_hand(q))
        q->principal = span_str(q->v->paths->principal);
    else if ((rc = policy_asker(q->v->policy, q->request->certificate, q->now, &q->caller, &q->code,
                                err)) == 0)
        q->principal = span_str(q->caller->name);
    return rc;
}

/* Decoded but not yet trusted, only to learn which call this may be: the table of accepted steps
 * knows since when it runs. */
static int check_form(struct inquiry *q, struct error *err)
{
    struct d_signed s;
    struct d_call c;
    struct error ignored;
    q->code = REFUSAL_MALFORMED;
    if (d_signed_decode(q->request->call, &s, err) < 0 || d_call_decode(s.body, &c, err) < 0 ||
        steps_job_read(q->request->job, &q->job, err) < 0)
        return -EPROTO;
    q->seen = (struct seen_step){.run = q->request->run,
                                 .attempt = q->request->attempt,
                                 .step = q->request->step,
                                 .try_no = q->request->try_no,
                                 .may_repeat = true,
                                 .issued_at = c.issued_at,
                                 .expires = c.expires,
                                 .caller = seen_caller(c.caller)};
    seen_identity(c.caller, c.key, &q->seen.identity);
    q->answer = replay_ask(q->v->replay, &q->seen, q->now, &q->begun, &ignored);
    return 0;
}

/* Signature (for batches, verified roots are remembered), cluster, caller's name and role, form,
 * expiry, grant `call JOB@ADDRESS`. A call must start before it expires; later steps of its attempt
 * are judged as of that start. */
static int check_call(struct inquiry *q, struct error *err)
{
    struct d_signed s;
    struct d_call c;
    if (is_by_hand(q)) {
        q->code = REFUSAL_MALFORMED;
        int rc = d_signed_decode(q->request->call, &s, err);
        return rc < 0 ? rc : d_call_decode(s.body, &q->call, err);
    }
    const struct certificate *self = policy_self(q->v->policy);
    bool by_name = false;
    if (d_signed_decode(q->request->call, &s, NULL) == 0 && d_call_decode(s.body, &c, NULL) == 0)
        by_name = span_eq_str(c.address, self->name);
    struct call_scope scope = {.cluster = self->cluster,
                               .now = q->begun ? q->begun : q->now,
                               .pools = by_name ? (const char *const *)self->pools : NULL,
                               .n_pools = by_name ? self->n_pools : 0,
                               .roots = &q->v->roots};
    return call_verify(q->request->call, q->caller, &scope, &q->call, NULL, &q->code, err);
}

static int check_address(struct inquiry *q, struct error *err)
{
    q->code = REFUSAL_UNKNOWN_ADDRESS;
    if (!is_by_hand(q) && !policy_is_addressed(q->v->policy, q->call.address))
        return error_set(err, -EPERM,
                         "the call is addressed to '" SPAN_FMT
                         "', which does not include this server, '%s'",
                         SPAN_ARG(q->call.address), policy_self(q->v->policy)->name);
    return 0;
}

static int check_job_hash(struct inquiry *q, struct error *err)
{
    q->code = REFUSAL_WRONG_JOB;
    envelope_hash(q->request->job, &q->turn.job_hash);
    if (!span_eq(q->job.head.name, q->call.job))
        return error_set(err, -EPERM, "job '" SPAN_FMT "' was called, not '" SPAN_FMT "'",
                         SPAN_ARG(q->call.job), SPAN_ARG(q->job.head.name));
    if (!q->call.pin_latest && !hash_eq(&q->turn.job_hash, &q->call.job_hash))
        return error_set(err, -EPERM,
                         "job '" SPAN_FMT "' is not the version that was called; submit it again",
                         SPAN_ARG(q->call.job));
    return 0;
}

static int check_step(struct inquiry *q, struct error *err)
{
    int at = steps_find(&q->job, q->request->step);
    q->code = REFUSAL_WRONG_JOB;
    if (at < 0)
        return error_set(err, -EPERM, "job '" SPAN_FMT "' has no step '" SPAN_FMT "'",
                         SPAN_ARG(q->job.head.name), SPAN_ARG(q->request->step));
    q->turn.step = (unsigned)at;
    q->step = q->job.steps[at];
    return 0;
}

/* May exactly this try come now? The worker is not asked: our keepers have said how the earlier
 * ones ended. From here on a refusal ends the try, for what is asked for is what the caller has
 * signed. */
static int check_turn(struct inquiry *q, struct error *err)
{
    const struct s_step *r = q->request;
    q->code = REFUSAL_REPLAYED;
    if (q->answer == SEEN_SAME)
        return error_set(err, -EALREADY, "this try was accepted before");
    q->turn.identity = q->seen.identity;
    q->turn.run = r->run;
    q->turn.attempt = r->attempt;
    q->turn.begun = q->begun != 0;
    q->turn.job = &q->job;
    q->turn.try_no = r->try_no;
    if (q->v->plan)
        return 0;
    if (steps_is_single(&q->job)) {
        if (r->try_no == 1)
            return 0;
        return error_set(err, -EPERM, "step '" SPAN_FMT "' may be tried once; this is try %llu",
                         SPAN_ARG(q->step.name), (unsigned long long)r->try_no);
    }
    enum attempts_answer answer = attempts_ask(q->v->attempts, &q->turn, q->now, err);
    q->has_turn = answer == ATTEMPTS_NOW;
    q->early = answer == ATTEMPTS_BUSY;
    return q->has_turn ? 0 : -EPERM;
}

static int check_proxy(struct inquiry *q, struct error *err)
{
    const struct proxy_question asked = {.principal = q->principal, .subsystem = q->step.subsystem};
    q->code = REFUSAL_NO_PROXY;
    return proxies_judge(q->v->proxies, q->step.proxy, &asked, q->now, &q->proxy, err);
}

/* Of all builders whom the server trusts, the proxy may take some. */
static int check_signer(struct inquiry *q, struct error *err)
{
    const struct d_runnable *r = &q->package.runnable;
    const struct builder *signer;
    int rc = policy_judge_signer(q->v->policy, &r->signer_key, r->name, q->now, &signer, err);
    if (rc < 0 || !signer)
        return rc;
    q->code = REFUSAL_NO_PROXY;
    rc = proxy_judge_signer(&q->proxy.proxy, q->proxy.file, signer, err);
    if (rc == 0)
        q->code = REFUSAL_BAD_PACKAGE;
    return rc;
}

static int check_package(struct inquiry *q, struct error *err)
{
    q->code = REFUSAL_BAD_PACKAGE;
    if (hash_is_zero(&q->step.package)) {
        q->code = REFUSAL_WRONG_JOB;
        if (!q->step.run.n || !q->proxy.subsystem.text_argv.count)
            return error_set(err, -EPERM,
                             "step '" SPAN_FMT "' has neither a package nor a text that subsystem "
                             "'" SPAN_FMT "' takes",
                             SPAN_ARG(q->step.name), SPAN_ARG(q->step.subsystem));
        return 0;
    }
    int rc = installed_load(q->v->paths, &q->step.package, &q->package, err);
    if (rc == -ENOENT)
        return error_set(err, -ENOENT,
                         "package '" SPAN_FMT
                         "' is not installed here in the version that the job names",
                         SPAN_ARG(q->step.package_name));
    if (rc < 0)
        return rc;
    q->has_package = true;
    const struct d_runnable *r = &q->package.runnable;
    if (!span_eq(r->name, q->step.package_name) || !span_eq(r->subsystem, q->step.subsystem))
        return error_set(err, -EPERM,
                         "the installed package is '" SPAN_FMT "' of subsystem " SPAN_FMT
                         ", which is not what the job says",
                         SPAN_ARG(r->name), SPAN_ARG(r->subsystem));
    if ((rc = check_signer(q, err)) < 0)
        return rc;
    char *entry = NULL;
    rc = installed_entry(q->v->paths, &q->package, span_eq_str(r->subsystem, "exec"), &entry, err);
    if (rc == 0)
        rc = intact_ask(q->v->intact, q->v->paths->packages, &q->package, &q->fingerprint, err);
    mem_free(&entry);
    return rc;
}

/* May this job run here? A package's own job is made again from the package and compared. Any
 * other needs a file of this server that is named by the hash of the job. */
static int check_job_allowed(struct inquiry *q, struct error *err)
{
    q->code = REFUSAL_WRONG_JOB;
    if (inquiry_is_package(q->job.head.name)) {
        struct buf made = {0};
        int rc = -EPERM;
        if (!q->has_package)
            error_set(err, rc, "job '" SPAN_FMT "' has no package", SPAN_ARG(q->job.head.name));
        else if ((rc = packagejob_compile(&q->package.runnable, &made, err)) == 0 &&
                 !span_eq(buf_span(&made), q->request->job))
            rc = error_set(err, -EPERM, "job '" SPAN_FMT "' is not the job that this package makes",
                           SPAN_ARG(q->job.head.name));
        buf_free(&made);
        return rc;
    }
    const uid_t owner = q->v->paths->separated ? 0 : q->v->paths->worker.uid;
    char *path = runner_paths_of_hash(q->v->paths->jobs, &q->turn.job_hash);
    int rc = installed_trust_path(q->v->paths->jobs, S_IFDIR, owner, err);
    if (rc == 0)
        rc = installed_trust_path(path, S_IFREG, owner, err);
    if (rc == -ENOENT)
        error_set(err, rc, "this version of job '" SPAN_FMT "' is not accepted by this server",
                  SPAN_ARG(q->job.head.name));
    mem_free(&path);
    return rc;
}

static bool binds_outputs(const struct d_step *s)
{
    struct wire_iter it = wire_iter(&s->bindings);
    struct span item;
    struct d_binding b;
    while (wire_next(&it, &item))
        if (d_binding_decode(item, &b, NULL) == 0 && b.from == BINDING_OUTPUT)
            return true;
    return false;
}

static int check_parameters(struct inquiry *q, struct error *err)
{
    struct buf items = {0};
    struct bound call = {0};
    uint32_t count = 0;
    if (q->has_turn && binds_outputs(&q->step))
        attempts_outputs(q->v->attempts, &q->turn, &items, &count);
    const struct wire_list outputs = wire_list_from(&items, count);
    struct bind_scope scope = {.call = &q->call,
                               .server = inquiry_server(q),
                               .outputs = q->v->plan ? NULL : &outputs,
                               .given = &q->call.parameters};
    q->code = REFUSAL_BAD_PARAMETERS;
    int rc = bind_call(&q->job.head, &scope, &call, err);
    const struct wire_list given = wire_list_from(&call.items, call.count),
                           sensitive = wire_list_from(&call.sensitive, call.n_sensitive);
    if (q->job.head.parameters.n) {
        scope.given = &given;
        scope.sensitive = &sensitive;
    }
    if (rc == 0)
        rc = bind_step(&q->step, q->has_package ? &q->package.runnable : NULL, &scope, &q->bound,
                       err);
    bound_free(&call);
    buf_free(&items);
    return rc;
}

/* Each that the step names is sealed to this server by somebody with the right, and the caller may
 * name those that the call names. */
static int check_secrets(struct inquiry *q, struct error *err)
{
    return secretuse_make(q->v->secrets, &q->bound, q->caller, q->call.address, q->now, &q->secrets,
                          &q->code, err);
}

/* Made here and not with the rest of the launch, since it may turn out to be too large. */
static int check_context(struct inquiry *q, struct error *err)
{
    const struct d_runnable *r = &q->package.runnable;
    struct proxies_step step = {.principal = q->principal, .is_text = !q->has_package};
    if (q->has_package) {
        if (!q->v->paths->undeployed)
            step.signer = r->signer_key;
        step.memory = r->memory;
        step.processes = r->processes;
    }
    q->code = REFUSAL_NO_PROXY;
    return proxies_context(&q->proxy, &step, q->v->paths->separated, &q->context, err);
}

static int check_new(struct inquiry *q, struct error *err)
{
    uint64_t on_lost = q->call.on_lost;
    bool idempotent = q->has_package && q->package.runnable.idempotent;
    q->code = REFUSAL_REPLAYED;
    q->seen.may_repeat = on_lost == ON_LOST_RERUN || on_lost == ON_LOST_HOLD ||
                         (on_lost == ON_LOST_DEFAULT && idempotent);
    q->answer = replay_ask(q->v->replay, &q->seen, q->now, &q->begun, err);
    if (q->answer == SEEN_FULL)
        q->code = REFUSAL_BUSY;
    return q->answer == SEEN_NEW ? 0 : -EALREADY;
}

static const struct verify_check {
    const char *name;
    int (*judge)(struct inquiry *q, struct error *err); /* sets q->code before it can fail */
} checks[] = {
    {"origin", check_origin},           /* a caller signed it */
    {"server", check_server},           /* we have a valid identity and know whom to trust */
    {"certificate", check_certificate}, /* the caller's: signed, not expired or revoked, its role */
    {"form", check_form},               /* call and job are well-formed */
    {"call", check_call},               /* signature, cluster, expiry, grant */
    {"address", check_address},         /* it is for this server */
    {"job hash", check_job_hash},       /* it is the job that was signed */
    {"step", check_step},               /* the step is in the job */
    {"turn", check_turn},               /* the steps before it have ended so that it comes now */
    {"proxy", check_proxy},             /* there now, and it allows principal and subsystem */
    {"package", check_package},         /* installed, unaltered, its signer trusted */
    {"job", check_job_allowed},         /* this server accepts the job */
    {"parameters", check_parameters},   /* complete, known, typed */
    {"secrets", check_secrets},         /* put to this server, and the call may name them */
    {"context", check_context},         /* what it runs as and within can be said */
    {"new", check_new},                 /* it has not run before */
};

const char *verify_check_name(unsigned i)
{
    return i < sizeof checks / sizeof *checks ? checks[i].name : NULL;
}

/* The refusal of a try whose turn it was ends it. */
static void refuse(const struct inquiry *q)
{
    if (q->has_turn && attempts_refuse(q->v->attempts, &q->turn, q->code, q->now))
        q->v->ends = q->turn.job_hash;
}

static void accept_step(const struct inquiry *q, struct buf *out)
{
    inquiry_launch(q, out);
    replay_accept(q->v->replay, &q->seen, q->now);
    if (q->has_turn)
        attempts_take(q->v->attempts, &q->turn);
}

enum verify_verdict verify_step(struct verifier *v, const struct s_step *request, int64_t now,
                                struct buf *out, enum refusal *ret_code, const char **ret_check,
                                struct error *err)
{
    struct inquiry q = {.v = v, .request = request, .now = now, .answer = SEEN_NEW};
    enum verify_verdict verdict = VERDICT_RUN;
    v->ends = (struct hash){{0}};
    for (size_t i = 0; verdict == VERDICT_RUN && i < sizeof checks / sizeof *checks; i++) {
        q.code = REFUSAL_INTERNAL;
        if (checks[i].judge(&q, err) == 0)
            continue;
        bool reached = checks[i].judge == check_turn || checks[i].judge == check_new;
        verdict = q.early                            ? VERDICT_EARLY
                  : reached && q.answer == SEEN_SAME ? VERDICT_SAME
                                                     : VERDICT_REFUSED;
        *ret_code = q.code;
        *ret_check = checks[i].name;
    }
    if (verdict == VERDICT_RUN)
        accept_step(&q, out);
    else if (verdict == VERDICT_REFUSED)
        refuse(&q);
    else if (verdict == VERDICT_SAME && !steps_is_single(&q.job))
        v->ends = q.turn.job_hash;
    installed_free(&q.package);
    bound_free(&q.bound);
    steps_job_free(&q.job);
    buf_free(&q.context);
    buf_free(&q.secrets);
    return verdict;
}

static bool is_held(void *self, struct id run)
{
    struct verifier *v = self;
    return v->holds && v->holds(v->holds_self, run);
}

int verifier_new(const struct runner_paths *paths, struct verifier **ret, struct error *err)
{
    struct verifier *v = mem_zalloc(1, sizeof *v);
    struct replay_options o = {.folder = paths->own, .most = SEEN_CALLS_MAX};
    v->paths = paths;
    v->policy = policy_new(paths);
    v->proxies = proxies_new(paths);
    v->intact = intact_new();
    v->secrets = secretuse_new(paths, v->policy);
    v->attempts = attempts_new(paths->spool, is_held, v);
    if (gethostname(v->host, sizeof v->host - 1) < 0)
        snprintf(v->host, sizeof v->host, "here");
    int rc = clock_boot_id(&o.boot, err);
    if (rc == 0)
        rc = replay_open(&v->replay, &o, clock_wall_ms(), err);
    if (rc == 0)
        rc = replay_load(v->replay, paths->spool, &v->doubt, err);
    if (rc < 0)
        verifier_free(&v);
    else
        *ret = v;
    return rc;
}

void verifier_free(struct verifier **v)
{
    if (!*v)
        return;
    secretuse_free(&(*v)->secrets);
    policy_free(&(*v)->policy);
    proxies_free(&(*v)->proxies);
    replay_close(&(*v)->replay);
    intact_free(&(*v)->intact);
    attempts_free(&(*v)->attempts);
    mem_free(v);
}

int verifier_again(struct verifier *v, struct buf *launch, int64_t now, enum refusal *ret_code,
                   struct error *err)
{
    int rc = v->paths->undeployed ? 0 : policy_refresh(v->policy, now, ret_code, err);
    if (rc < 0)
        return rc;
    *ret_code = REFUSAL_NO_PROXY;
    if ((rc = proxies_again(v->proxies, v->policy, launch, now, err)) < 0)
        return rc;
    return secretuse_again(v->secrets, launch, now, ret_code, err);
}

void verifier_ask_of_slots(struct verifier *v, attempts_holds_fn *holds, void *self)
{
    v->holds = holds;
    v->holds_self = self;
}

void verifier_form(struct verifier *v, bool first)
{
    v->first_form = first;
}

void verifier_plan(struct verifier *v)
{
    v->plan = true;
}

struct policy *verifier_policy(struct verifier *v)
{
    return v->policy;
}

struct proxies *verifier_proxies(struct verifier *v)
{
    return v->proxies;
}

void verifier_installed(struct verifier *v, const struct hash *package)
{
    intact_forget(v->intact, package);
}

static void step_of_kept(const struct s_kept *k, struct seen_step *ret)
{
    *ret = (struct seen_step){.identity = k->identity,
                              .run = k->run,
                              .attempt = k->attempt,
                              .step = k->step,
                              .try_no = k->try_no,
                              .expires = k->expires};
}

void verifier_taken(struct verifier *v, const struct s_kept *kept, int64_t now)
{
    struct seen_step step;
    step_of_kept(kept, &step);
    if (!hash_is_zero(&kept->identity))
        replay_taken(v->replay, &step, kept->state == KEPT_RUNS, now);
}

int verifier_settle(struct verifier *v, int64_t now, struct error *err)
{
    return replay_settle(v->replay, v->doubt, now, err);
}

void verifier_begun(struct verifier *v, const struct s_kept *kept, int64_t now)
{
    struct seen_step step;
    step_of_kept(kept, &step);
    if (!hash_is_zero(&kept->identity))
        replay_begun(v->replay, &step, now);
}

int verifier_commit(struct verifier *v, int64_t now, struct error *err)
{
    return replay_commit(v->replay, now, err);
}

void verifier_lost(struct verifier *v, const struct s_kept *kept, bool launched, int64_t now)
{
    struct seen_step step;
    step_of_kept(kept, &step);
    if (!launched)
        replay_forget(v->replay, &step, now);
    attempts_lose(v->attempts, kept, launched, now);
}

struct span verifier_ends(const struct verifier *v)
{
    return hash_is_zero(&v->ends) ? SPAN_NONE : inquiry_hash(&v->ends);
}

void verifier_ended(struct verifier *v, const struct s_ended *e, bool launched)
{
    attempts_end(v->attempts, e, launched);
}

void verifier_halted(struct verifier *v, const struct s_halt *h)
{
    attempts_halt(v->attempts, h);
}
