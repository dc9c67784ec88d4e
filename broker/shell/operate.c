/* operate.c - see operate.h. */
#include "broker/shell/operate.h"

#include <errno.h>
#include <string.h>

#include "broker/shell/known.h"
#include "broker/shell/offload.h"
#include "broker/shell/turn.h"
#include "common/log.h"

enum operate_how {
    OPERATE_CORE, /* the core does it */
    OPERATE_INVITE,
    OPERATE_BACKUP,
    OPERATE_CHECK,
    /* its own message (REVOKE, PUBLISH) has done it, but has no field for the reason, so this only
     * records the reason */
    OPERATE_NOTE
};
/* clang-format off */
static const struct operate_verb {
    const char *name;
    enum operate_how how;
} VERBS[] = {
    {"drain",   OPERATE_CORE},
    {"undrain", OPERATE_CORE},
    {"forget",  OPERATE_CORE},
    {"release", OPERATE_CORE},
    {"invite",  OPERATE_INVITE},
    {"revoke",  OPERATE_NOTE},
    {"renew",   OPERATE_NOTE},
    {"backup",  OPERATE_BACKUP},
    {"check",   OPERATE_CHECK},
};
/* clang-format on */

static const struct operate_verb *verb_of(struct span name)
{
    for (unsigned i = 0; i < sizeof VERBS / sizeof *VERBS; i++)
        if (span_eq_str(name, VERBS[i].name))
            return &VERBS[i];
    return NULL;
}

bool operate_is_record(struct span verb, const char **ret)
{
    const struct operate_verb *v = verb_of(verb);
    *ret = v ? v->name : NULL;
    return v && v->how == OPERATE_CORE;
}

/* ---- backup and check read the whole store, so they run on the other thread */
struct store_verb {
    struct offload_job job;
    struct shell *shell;
    uint64_t peer, req;
    char *path, *to; /* to NULL: check */
    int rc;
    struct error err;
    struct buf text;
};

static void store_work(struct offload_job *job)
{
    struct store_verb *v = (struct store_verb *)job;
    v->rc = v->to ? store_backup(v->path, v->to, &v->err) : store_check(v->path, &v->text, &v->err);
    if (v->rc == 0 && v->to)
        buf_printf(&v->text, "backup written to %s", v->to);
}

static void store_done(struct offload_job *job, bool cancelled)
{
    struct store_verb *v = (struct store_verb *)job;
    if (!cancelled && v->rc == 0)
        shell_done(v->shell, v->peer, v->req, "%s", buf_str(&v->text));
    else if (!cancelled)
        shell_error(v->shell, v->peer, v->req,
                    v->rc == -ENOSPC   ? REFUSAL_NO_SPACE
                    : v->rc == -EEXIST ? REFUSAL_EXISTS
                                       : REFUSAL_INTERNAL,
                    "%s", v->err.text);
    mem_free(&v->path);
    mem_free(&v->to);
    buf_free(&v->text);
    mem_free(&v);
}

static void start_store_verb(struct shell *sh, const struct shell_peer *p,
                             const struct m_operate *m, bool backup)
{
    struct store_verb *v = mem_zalloc(1, sizeof *v);
    v->job = (struct offload_job){.work = store_work, .done = store_done};
    v->shell = sh;
    v->peer = p->handle;
    v->req = m->req;
    v->path = mem_strdup(sh->store_path);
    if (backup)
        v->to = span_dup_str(m->target);
    offload_push(sh->offload, &v->job);
}

static void note(struct shell *sh, const struct shell_peer *p, const struct m_operate *m)
{
    char verb[LIMIT_NAME + 1], target[LIMIT_SHORT + 1];
    char *reason = span_dup_str(m->reason);
    span_copy_str(m->verb, verb, sizeof verb);
    span_copy_str(m->target, target, sizeof target);
    shell_note(sh, p->who.name, verb, target, reason);
    mem_free(&reason);
}

/* ---- invite: noted under the name that the invitation is for, and only if it was taken */
static bool is_for_another(struct span invitation, struct span target)
{
    struct d_signed s;
    struct d_invitation i;
    return d_signed_decode(invitation, &s, NULL) == 0 &&
           d_invitation_decode(s.body, &i, NULL) == 0 && !span_eq(i.name, target);
}

static void invite(struct shell *sh, const struct shell_peer *p, const struct m_operate *m)
{
    struct value v;
    struct error err = {0};
    enum refusal code = REFUSAL_BAD_ARGUMENT;
    if (!wire_map_get(&m->arguments, "invitation", &v) || v.type != VALUE_BIN)
        shell_error(sh, p->handle, m->req, code,
                    "invite needs the argument `invitation`: the signed invitation as bytes");
    else if (is_for_another(v.bytes, m->target))
        shell_error(sh, p->handle, m->req, code, "the invitation is not for '" SPAN_FMT "'",
                    SPAN_ARG(m->target));
    else if (known_invite(sh->known, sh->invitations, v.bytes, loop_now_wall(sh->loop), &code,
                          &err) < 0)
        shell_error(sh, p->handle, m->req, code, "%s", err.text);
    else {
        note(sh, p, m);
        shell_done(sh, p->handle, m->req, "%s", "");
    }
}

/* The verbs that are done here; what takes time is noted before it. */
static void operate_here(struct shell *sh, const struct shell_peer *p, const struct m_operate *m,
                         enum operate_how how)
{
    if (how == OPERATE_INVITE) {
        invite(sh, p, m);
        return;
    }
    note(sh, p, m);
    if (how == OPERATE_NOTE)
        shell_done(sh, p->handle, m->req, "%s", "");
    else if (how == OPERATE_BACKUP && (!m->target.n || m->target.p[0] != '/'))
        shell_error(sh, p->handle, m->req, REFUSAL_BAD_ARGUMENT,
                    "backup needs an absolute path on the broker's machine as its target");
    else
        start_store_verb(sh, p, m, how == OPERATE_BACKUP);
}

void operate_take(struct shell *sh, struct shell_peer *p, struct span message)
{
    struct m_operate m;
    shell_read(&m_operate_schema, message, &m);
    const struct operate_verb *verb = verb_of(m.verb);
    if (!verb)
        shell_error(sh, p->handle, m.req, REFUSAL_BAD_ARGUMENT,
                    "unknown verb '" SPAN_FMT
                    "' (drain, undrain, forget, release, invite, revoke, renew, backup, check)",
                    SPAN_ARG(m.verb));
    else if (verb->how == OPERATE_CORE)
        turn_step_message(sh, p, message);
    else
        operate_here(sh, p, &m, verb->how);
}
