/* rights.c - the table, and where in a message the thing stands that a grant must cover. */
#include "broker/rights.h"

#include <errno.h>
#include <string.h>

enum target {
    NOTHING, /* the role is enough */
    /* some grant of the verb, whatever it covers: the exact thing is judged where it is named */
    SOMEWHERE,
    EVERYTHING,
    CALL,    /* job@address of the signed call, whose caller must be the sender */
    RESOLVE, /* job@address */
    /* the caller of the signed parent must be the sender; each of its calls is judged by itself */
    BEGIN,
    RUN,     /* one's own run, or job@address of it */
    PARENT,  /* one's own parent, or the verb everywhere */
    OPERATE, /* by verb: a server, a run, or the cluster */
    DEPLOY   /* package@address */
};

enum { /* bits of roles */
       ADM = 1 << ROLE_ADMINISTRATOR,
       SRV = 1 << ROLE_SERVER,
       CLL = 1 << ROLE_CALLER,
       MON = 1 << ROLE_MONITOR,
       ONE = 1 << ROLE_COUNT, /* a one-time key */
       PEOPLE = ADM | CLL | MON,
       PEERS = PEOPLE | SRV,
       ALL = PEERS | ONE
};

/* message, roles, verb, target. Several rows for one message: the first with the role counts. */
/* clang-format off */
#define RIGHTS(X) \
    X(HELLO, ALL, CALL, NOTHING) \
    X(PING, ALL, CALL, NOTHING) \
    X(BYE, ALL, CALL, NOTHING) \
    X(RESOLVE, ADM | CLL, CALL, RESOLVE) \
    X(CALL, ADM | CLL, CALL, CALL) \
    X(FOLLOW, PEOPLE, WATCH, RUN) \
    X(CANCEL, ADM | CLL, OPERATE, RUN) \
    X(PARENT_BEGIN, ADM | CLL, CALL, BEGIN) \
    X(PARENT_PLAN, ADM | CLL, CALL, SOMEWHERE) \
    X(PARENT_END, ADM | CLL, OPERATE, PARENT) \
    X(PARENT_DRIVE, ADM | CLL, OPERATE, PARENT) \
    X(ATTEST, SRV, CALL, NOTHING) \
    X(HAVE, SRV, CALL, NOTHING) \
    X(HAVE_END, SRV, CALL, NOTHING) \
    X(STARTED, SRV, CALL, NOTHING) \
    X(PROGRESS, SRV, CALL, NOTHING) \
    X(RESULT, SRV, CALL, NOTHING) \
    X(RETURNED, SRV, CALL, NOTHING) \
    X(LOG_DATA, SRV, CALL, NOTHING) \
    X(QUERY, PEOPLE, WATCH, NOTHING) /* each row is judged */ \
    X(OPERATE, PEOPLE, OPERATE, OPERATE) \
    X(SUBSCRIBE, PEOPLE, WATCH, NOTHING) /* each event is judged */ \
    X(CREDIT, PEOPLE, WATCH, NOTHING) \
    X(UNSUBSCRIBE, PEOPLE, WATCH, NOTHING) \
    X(LOGS, PEOPLE, WATCH, RUN) \
    X(PUT, ADM | CLL, DEPLOY, SOMEWHERE) \
    X(PUT_END, ADM | CLL, DEPLOY, SOMEWHERE) \
    X(DEPLOY, ADM | CLL, DEPLOY, DEPLOY) \
    X(GET, SRV, CALL, NOTHING) \
    X(GET, ADM | CLL, CALL, SOMEWHERE) \
    X(ENROL, ONE, CALL, NOTHING) \
    X(CERTIFICATE, PEERS, CALL, NOTHING) \
    X(PUBLISH, ADM | CLL, ADMIN, EVERYTHING) \
    X(REVOKE, ADM | CLL, ADMIN, EVERYTHING)
/* clang-format on */

static const struct right {
    uint64_t kind;
    unsigned roles;
    enum verb verb;
    enum target target;
} RIGHT[] = {
#define X(k, r, v, t) {KIND_M_##k, r, VERB_##v, t},
    RIGHTS(X)
#undef X
};

struct judging {
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

static enum rights_verdict denied(struct judging *j, enum refusal code)
{
    j->code = code;
    return RIGHTS_DENIED;
}

static enum rights_verdict grant(struct judging *j, const char *job, const char *address)
{
    unsigned n;
    const char *const *pools = pools_of(j->core, address, &n);
    if (grant_check(j->who, j->verb, job, address, pools, n, j->err) < 0)
        return denied(j, REFUSAL_DENIED);
    return RIGHTS_ALLOWED;
}

static enum rights_verdict grant_spans(struct judging *j, struct span job, struct span address)
{
    char job_text[LIMIT_JOB + 1], address_text[LIMIT_ADDRESS + 1];
    span_copy_str(job, job_text, sizeof job_text);
    span_copy_str(address, address_text, sizeof address_text);
    return grant(j, job_text, address_text);
}

static enum rights_verdict somewhere(struct judging *j)
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

static enum rights_verdict malformed(struct judging *j)
{
    return denied(j, j->err->code == -EMSGSIZE ? REFUSAL_TOO_LARGE : REFUSAL_MALFORMED);
}

static enum rights_verdict only_ones_own(struct judging *j, struct span caller)
{
    if (span_eq_str(caller, j->who->name))
        return RIGHTS_ALLOWED;
    error_set(j->err, -EACCES, "it was signed by '" SPAN_FMT "' and sent by '%s'", SPAN_ARG(caller),
              j->who->name);
    return denied(j, REFUSAL_DENIED);
}

static enum rights_verdict judge_call(struct judging *j, struct span message)
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

static enum rights_verdict judge_begin(struct judging *j, struct span message)
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

static enum rights_verdict judge_resolve(struct judging *j, struct span message)
{
    struct m_resolve m;
    if (m_resolve_decode(message, &m, j->err) < 0)
        return malformed(j);
    return grant_spans(j, m.job, m.address);
}

static enum rights_verdict judge_run_id(struct judging *j, const struct id *run)
{
    struct view_owner o;
    if (!view_owner(j->core, run, &o))
        return RIGHTS_LATER;
    return strcmp(o.principal, j->who->name) == 0 ? RIGHTS_ALLOWED : grant(j, o.job, o.address);
}

static enum rights_verdict judge_run(struct judging *j, uint64_t kind, struct span message)
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

static enum rights_verdict judge_parent(struct judging *j, uint64_t kind, struct span message)
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

static enum rights_verdict judge_operate(struct judging *j, struct span message)
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
    j->verb = VERB_ADMIN; /* invite, backup, check, and whatever comes */
    return grant(j, "", "all");
}

static enum rights_verdict judge_deploy(struct judging *j, struct span message)
{
    struct m_deploy m;
    struct d_signed s;
    struct d_deployment d;
    if (m_deploy_decode(message, &m, j->err) < 0 || d_signed_decode(m.deployment, &s, j->err) < 0 ||
        d_deployment_decode(s.body, &d, j->err) < 0)
        return malformed(j);
    return grant_spans(j, d.name, d.address);
}

static enum rights_verdict judge_target(struct judging *j, enum target t, uint64_t kind,
                                        struct span message)
{
    if (t == NOTHING)
        return RIGHTS_ALLOWED;
    if (!j->who) /* a one-time key has no grants */
        return denied(j, REFUSAL_WRONG_ROLE);
    switch (t) {
    case NOTHING:
        break;
    case SOMEWHERE:
        return somewhere(j);
    case EVERYTHING:
        return grant(j, "", "all");
    case CALL:
        return judge_call(j, message);
    case RESOLVE:
        return judge_resolve(j, message);
    case BEGIN:
        return judge_begin(j, message);
    case RUN:
        return judge_run(j, kind, message);
    case PARENT:
        return judge_parent(j, kind, message);
    case OPERATE:
        return judge_operate(j, message);
    case DEPLOY:
        return judge_deploy(j, message);
    }
    return denied(j, REFUSAL_DENIED);
}

enum rights_verdict rights_judge(const struct bcore *core, const struct asker *who, uint64_t kind,
                                 struct span message, enum refusal *ret_code, struct error *err)
{
    struct error mine = {0};
    unsigned role = who->certificate ? 1u << who->certificate->role : ONE;
    const struct wire_schema *schema = messages_schema_of_kind(kind, NULL);
    struct judging j = {.core = core,
                        .who = who->certificate,
                        .err = err ? err : &mine,
                        .code = REFUSAL_WRONG_ROLE};
    for (unsigned i = 0; i < sizeof RIGHT / sizeof *RIGHT; i++) {
        if (RIGHT[i].kind != kind || !(RIGHT[i].roles & role))
            continue;
        j.verb = RIGHT[i].verb;
        enum rights_verdict v = judge_target(&j, RIGHT[i].target, kind, message);
        if (v == RIGHTS_DENIED && ret_code)
            *ret_code = j.code;
        return v;
    }
    error_set(j.err, -EACCES, "%s may not send %s",
              who->certificate ? role_word(who->certificate->role) : "a one-time key",
              schema ? schema->name : "this");
    if (ret_code)
        *ret_code = j.code;
    return RIGHTS_DENIED;
}
