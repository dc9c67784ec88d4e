/* rights.c - see rights.h. */
#include "broker/shell/rights.h"

#include <errno.h>
#include <string.h>

struct rights_judging {
    const struct bcore *core;
    const struct certificate *who;
    enum verb verb;
    enum refusal code; /* of a denial */
    struct error *err;
};

static const char *const *pools_of(const struct bcore *core, const char *address, unsigned *ret_n)
{
    struct view_server s;
    *ret_n = 0;
    if (!view_server(core, address, &s))
        return NULL;
    *ret_n = s.n_pools;
    return s.pools;
}

bool rights_cover(const struct bcore *core, const struct certificate *who, enum verb verb,
                  const char *job, const char *address)
{
    unsigned n;
    const char *const *pools = pools_of(core, address, &n);
    return grant_covers(who, verb, job, address, pools, n);
}

bool rights_may_see(const struct bcore *core, const struct certificate *who, const char *owner,
                    const char *job, const char *address, const char *server)
{
    return (owner && *owner && strcmp(owner, who->name) == 0) ||
           (address && *address && rights_cover(core, who, VERB_WATCH, job, address)) ||
           (server && *server && rights_cover(core, who, VERB_WATCH, job, server));
}

bool rights_may_see_about(const struct bcore *core, const struct certificate *who,
                          const struct about *about)
{
    char owner[LIMIT_NAME + 1], job[LIMIT_JOB + 1], address[LIMIT_ADDRESS + 1];
    span_copy_str(about->principal, owner, sizeof owner);
    span_copy_str(about->is_parent ? SPAN_NONE : about->call.job, job, sizeof job);
    span_copy_str(about->is_parent ? span_str("all") : about->call.address, address,
                  sizeof address);
    return about->known && rights_may_see(core, who, owner, job, address, NULL);
}

static enum rights_verdict denied(struct rights_judging *j, enum refusal code)
{
    j->code = code;
    return RIGHTS_DENIED;
}

static enum rights_verdict grant(struct rights_judging *j, const char *job, const char *address)
{
    unsigned n;
    const char *const *pools = pools_of(j->core, address, &n);
    if (grant_check(j->who, j->verb, job, address, pools, n, j->err) < 0)
        return denied(j, REFUSAL_DENIED);
    return RIGHTS_ALLOWED;
}

static enum rights_verdict grant_spans(struct rights_judging *j, struct span job,
                                       struct span address)
{
    char job_text[LIMIT_JOB + 1], address_text[LIMIT_ADDRESS + 1];
    span_copy_str(job, job_text, sizeof job_text);
    span_copy_str(address, address_text, sizeof address_text);
    return grant(j, job_text, address_text);
}

static enum rights_verdict somewhere(struct rights_judging *j)
{
    if (j->who->role == ROLE_ADMINISTRATOR)
        return RIGHTS_ALLOWED;
    for (size_t i = 0; i < j->who->n_grants; i++)
        if (j->who->grants[i].verb == j->verb)
            return RIGHTS_ALLOWED;
    error_set(j->err, -EACCES, "principal '%s' has no grant to %s anything", j->who->name,
              verb_word(j->verb));
    return denied(j, REFUSAL_DENIED);
}

static enum rights_verdict malformed(struct rights_judging *j)
{
    return denied(j, j->err->code == -EMSGSIZE ? REFUSAL_TOO_LARGE : REFUSAL_MALFORMED);
}

static enum rights_verdict only_ones_own(struct rights_judging *j, struct span caller)
{
    if (span_eq_str(caller, j->who->name))
        return RIGHTS_ALLOWED;
    error_set(j->err, -EACCES, "signed by '" SPAN_FMT "' but sent by '%s'", SPAN_ARG(caller),
              j->who->name);
    return denied(j, REFUSAL_DENIED);
}

static enum rights_verdict judge_call(struct rights_judging *j, struct span message)
{
    struct m_call m;
    struct d_signed s;
    struct d_call call;
    if (m_call_decode(message, &m, j->err) < 0 || d_signed_decode(m.call, &s, j->err) < 0 ||
        d_call_decode(s.body, &call, j->err) < 0)
        return malformed(j);
    enum rights_verdict v = only_ones_own(j, call.caller);
    return v == RIGHTS_ALLOWED ? grant_spans(j, call.job, call.address) : v;
}

static enum rights_verdict judge_begin(struct rights_judging *j, struct span message)
{
    struct m_parent_begin m;
    struct d_signed s;
    struct d_parent p;
    if (m_parent_begin_decode(message, &m, j->err) < 0 ||
        d_signed_decode(m.parent, &s, j->err) < 0 || d_parent_decode(s.body, &p, j->err) < 0)
        return malformed(j);
    enum rights_verdict v = only_ones_own(j, p.caller);
    return v == RIGHTS_ALLOWED ? somewhere(j) : v;
}

static enum rights_verdict judge_resolve(struct rights_judging *j, struct span message)
{
    struct m_resolve m;
    if (m_resolve_decode(message, &m, j->err) < 0)
        return malformed(j);
    return grant_spans(j, m.job, m.address);
}

static enum rights_verdict judge_run_id(struct rights_judging *j, const struct id *run)
{
    struct view_owner o;
    if (!view_owner(j->core, run, &o))
        return RIGHTS_LATER;
    return strcmp(o.principal, j->who->name) == 0 ? RIGHTS_ALLOWED : grant(j, o.job, o.address);
}

static enum rights_verdict judge_run(struct rights_judging *j, uint64_t kind, struct span message)
{
    struct m_follow follow;
    struct m_cancel cancel;
    struct m_logs logs;
    struct view_parent p;
    struct id run = ID_ZERO;
    int rc = kind == KIND_M_FOLLOW   ? m_follow_decode(message, &follow, j->err)
             : kind == KIND_M_CANCEL ? m_cancel_decode(message, &cancel, j->err)
                                     : m_logs_decode(message, &logs, j->err);
    if (rc < 0)
        return malformed(j);
    run = kind == KIND_M_FOLLOW ? follow.run : kind == KIND_M_CANCEL ? cancel.run : logs.run;
    if (view_parent(j->core, &run, &p))
        return strcmp(p.principal, j->who->name) == 0 ? RIGHTS_ALLOWED : grant(j, "", "all");
    return judge_run_id(j, &run);
}

static enum rights_verdict judge_parent(struct rights_judging *j, uint64_t kind,
                                        struct span message)
{
    struct m_parent_end end;
    struct m_parent_drive drive;
    struct view_parent p;
    int rc = kind == KIND_M_PARENT_END ? m_parent_end_decode(message, &end, j->err)
                                       : m_parent_drive_decode(message, &drive, j->err);
    if (rc < 0)
        return malformed(j);
    if (!view_parent(j->core, kind == KIND_M_PARENT_END ? &end.parent : &drive.parent, &p))
        return RIGHTS_LATER; /* the core answers: ended, or unknown */
    return strcmp(p.principal, j->who->name) == 0 ? RIGHTS_ALLOWED : grant(j, "", "all");
}

enum refusal rights_judge_about(const struct bcore *core, const struct certificate *who,
                                enum verb verb, const struct about *about, struct error *err)
{
    struct rights_judging j = {.core = core, .who = who, .verb = verb, .err = err};
    if (span_eq_str(about->principal, who->name))
        return REFUSAL_NONE;
    const enum rights_verdict v = about->is_parent
                                      ? grant(&j, "", "all")
                                      : grant_spans(&j, about->call.job, about->call.address);
    return v == RIGHTS_ALLOWED ? REFUSAL_NONE : j.code;
}

static enum rights_verdict judge_operate(struct rights_judging *j, struct span message)
{
    struct m_operate m;
    struct id run;
    if (m_operate_decode(message, &m, j->err) < 0)
        return malformed(j);
    if (span_eq_str(m.verb, "drain") || span_eq_str(m.verb, "undrain") ||
        span_eq_str(m.verb, "forget"))
        return grant_spans(j, SPAN_NONE, m.target);
    if (span_eq_str(m.verb, "release"))
        return id_parse_span(m.target, &run, j->err) < 0 ? denied(j, REFUSAL_BAD_ARGUMENT)
                                                         : judge_run_id(j, &run);
    j->verb = VERB_ADMIN; /* invite, backup, check, and any unknown verb */
    return grant(j, "", "all");
}

static enum rights_verdict judge_deploy(struct rights_judging *j, struct span message)
{
    struct m_deploy m;
    struct d_signed s;
    struct d_deployment d;
    if (m_deploy_decode(message, &m, j->err) < 0 || d_signed_decode(m.deployment, &s, j->err) < 0 ||
        d_deployment_decode(s.body, &d, j->err) < 0)
        return malformed(j);
    return grant_spans(j, d.name, d.address);
}

/* To whom a secret is to be sealed may be asked by who may put it. */
static enum rights_verdict judge_secret(struct rights_judging *j, uint64_t kind,
                                        struct span message)
{
    struct m_secret_put put;
    struct m_secret_for to;
    struct d_signed s;
    struct d_secret d;
    if (kind == KIND_M_SECRET_FOR)
        return m_secret_for_decode(message, &to, j->err) < 0 ? malformed(j)
                                                             : grant_spans(j, to.name, to.address);
    if (m_secret_put_decode(message, &put, j->err) < 0 ||
        d_signed_decode(put.secret, &s, j->err) < 0 || d_secret_decode(s.body, &d, j->err) < 0)
        return malformed(j);
    enum rights_verdict v = only_ones_own(j, d.by);
    return v == RIGHTS_ALLOWED ? grant_spans(j, d.name, d.address) : v;
}

/* ---- Whose certificate may be read */

/* May its holder release runs of others? They sign that, and callers verify it. */
static bool may_release(const struct certificate *of)
{
    for (size_t i = 0; i < of->n_grants; i++)
        if (of->grants[i].verb == VERB_OPERATE)
            return true;
    return of->role == ROLE_ADMINISTRATOR;
}

/* Of a server: by those who may have to do with it. Of an operator: by those who call. */
static bool may_read(const struct certificate *who, const struct certificate *of)
{
    for (size_t i = 0; may_release(of) && i < who->n_grants; i++)
        if (who->grants[i].verb == VERB_CALL)
            return true;
    static const enum verb reasons[] = {VERB_CALL, VERB_WATCH, VERB_OPERATE, VERB_DEPLOY};
    const char *const *pools = (const char *const *)of->pools;
    for (size_t i = 0; of->role == ROLE_SERVER && i < sizeof reasons / sizeof *reasons; i++)
        if (grant_reaches(who, reasons[i], of->name, pools, of->n_pools))
            return true;
    return false;
}

/* A server verifies whose packages it installs. The callers' certificates come with EXECUTE. */
static bool server_may_read(const struct certificate *who, const struct certificate *of)
{
    return grant_reaches(of, VERB_DEPLOY, who->name, (const char *const *)who->pools, who->n_pools);
}

static enum rights_verdict judge_certificate(struct rights_judging *j, struct span message)
{
    struct m_certificate m;
    struct view_certificate v;
    struct certificate of = {0};
    char name[LIMIT_NAME + 1];
    if (m_certificate_decode(message, &m, j->err) < 0)
        return malformed(j);
    span_copy_str(m.name, name, sizeof name);
    bool may = strcmp(name, j->who->name) == 0 || j->who->role == ROLE_ADMINISTRATOR ||
               (j->who->role != ROLE_SERVER &&
                grant_covers(j->who, VERB_WATCH, "", "all", NULL, 0)); /* it may see all runs */
    if (!may && view_certificate(j->core, name, m.serial, &v) &&
        certificate_read(v.certificate, &of, NULL) == 0)
        may = j->who->role == ROLE_SERVER ? server_may_read(j->who, &of) : may_read(j->who, &of);
    certificate_free(&of);
    if (may)
        return RIGHTS_ALLOWED;
    error_set(j->err, -EACCES,
              "%s '%s' may not read the certificate of '%s': it takes a grant that covers this "
              "server, 'call' for an operator's, or 'watch *@all'",
              role_word(j->who->role), j->who->name, name);
    return denied(j, REFUSAL_DENIED);
}

static enum rights_verdict judge_target(struct rights_judging *j, enum rights_target t,
                                        uint64_t kind, struct span message)
{
    if (t == RIGHTS_NOTHING)
        return RIGHTS_ALLOWED;
    if (!j->who) /* a one-time key has no grants */
        return denied(j, REFUSAL_WRONG_ROLE);
    switch (t) {
    case RIGHTS_NOTHING:
        break;
    case RIGHTS_SOMEWHERE:
        return somewhere(j);
    case RIGHTS_EVERYTHING:
        return grant(j, "", "all");
    case RIGHTS_CALL:
        return judge_call(j, message);
    case RIGHTS_RESOLVE:
        return judge_resolve(j, message);
    case RIGHTS_BEGIN:
        return judge_begin(j, message);
    case RIGHTS_RUN:
        return judge_run(j, kind, message);
    case RIGHTS_PARENT:
        return judge_parent(j, kind, message);
    case RIGHTS_OPERATE:
        return judge_operate(j, message);
    case RIGHTS_DEPLOY:
        return judge_deploy(j, message);
    case RIGHTS_SECRET:
        return judge_secret(j, kind, message);
    case RIGHTS_CERTIFICATE:
        return judge_certificate(j, message);
    }
    return denied(j, REFUSAL_DENIED);
}

unsigned rights_role(const struct certificate *who)
{
    return who ? 1u << who->role : RIGHTS_ONE;
}

enum rights_verdict rights_judge(const struct bcore *core, const struct certificate *who,
                                 const struct rights_rule *rule, uint64_t kind, struct span message,
                                 enum refusal *ret_code, struct error *err)
{
    struct error mine = {0};
    const struct wire_schema *schema = messages_schema_of_kind(kind, NULL);
    struct rights_judging j = {
        .core = core, .who = who, .err = err ? err : &mine, .code = REFUSAL_WRONG_ROLE};
    enum rights_verdict v = RIGHTS_DENIED;
    if (rule) {
        j.verb = rule->verb;
        v = judge_target(&j, rule->target, kind, message);
    } else {
        error_set(j.err, -EACCES, "%s may not send %s",
                  who ? role_word(who->role) : "a one-time key", schema ? schema->name : "this");
    }
    if (v == RIGHTS_DENIED && ret_code)
        *ret_code = j.code;
    return v;
}
