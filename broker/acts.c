/* acts.c - see acts.h. */
#include "broker/acts.h"

#include <stdio.h>
#include <string.h>

#include "broker/shell/known.h"
#include "broker/shell/operate.h"
#include "proto/state.h"
#include "trust/keys.h"

struct acts_reading {
    const struct shell *sh;
    const struct shell_peer *p;
    uint64_t kind;
    struct span message;
    struct acts *a;
};

#define object(r, ...) snprintf((r)->a->object, sizeof(r)->a->object, __VA_ARGS__)

/* ---- Texts of what is changed */
static void add_list(struct buf *out, const char *what, const struct wire_list *l)
{
    struct wire_iter it = wire_iter(l);
    struct span item;
    for (bool first = true; wire_next(&it, &item); first = false)
        buf_printf(out, "%s" SPAN_FMT, first ? what : ", ", SPAN_ARG(item));
}

static bool open_body(struct span bytes, struct d_signed *ret)
{
    return d_signed_decode(bytes, ret, NULL) == 0;
}

static bool add_certificate(struct buf *out, struct span bytes, char name[LIMIT_NAME + 1])
{
    struct d_signed s;
    struct d_certificate c;
    char key[KEY_SHORT_TEXT];
    if (!open_body(bytes, &s) || d_certificate_decode(s.body, &c, NULL) < 0)
        return false;
    if (name)
        span_copy_str(c.name, name, LIMIT_NAME + 1);
    buf_printf(out, SPAN_FMT ", serial %llu, key %s", SPAN_ARG(c.role),
               (unsigned long long)c.serial, key_short(&c.sign_key, key));
    add_list(out, "; grants: ", &c.grants);
    add_list(out, "; pools: ", &c.pools);
    return true;
}

static void add_revocations(struct buf *out, struct span bytes, uint64_t *ret_number)
{
    struct d_signed s;
    struct d_revocations l;
    *ret_number = 0;
    if (!open_body(bytes, &s) || d_revocations_decode(s.body, &l, NULL) < 0)
        return;
    *ret_number = l.number;
    buf_printf(out, "list %llu, %zu serials; the greatest:", (unsigned long long)l.number,
               l.serials.n / 8);
    for (size_t i = l.serials.n / 8, n = 0; i > 0 && n < 8; i--, n++) {
        uint64_t serial = 0;
        for (unsigned k = 0; k < 8; k++)
            serial = serial << 8 | l.serials.p[(i - 1) * 8 + k];
        buf_printf(out, " %llu", (unsigned long long)serial);
    }
}

/* ---- Runs and parents */
static void of_run(struct acts_reading *r, const struct id *run)
{
    struct view_run v;
    struct view_parent p;
    char text[ID_TEXT];
    const char *owner = NULL;
    object(r, "%s", id_format(*run, text));
    if (view_run(r->sh->core, run, &v)) {
        owner = v.principal;
        buf_printf(&r->a->before, "%s, of '%s'", run_state_text(v.state), owner);
    } else if (view_parent(r->sh->core, run, &p)) {
        owner = p.principal;
        buf_printf(&r->a->before, "parent of '%s'%s%s", owner, *p.driver ? ", driven by " : "",
                   p.driver);
    }
    r->a->privileged = owner && strcmp(owner, r->p->who.name) != 0;
}

static void of_cancel(struct acts_reading *r)
{
    struct m_cancel m;
    if (m_cancel_decode(r->message, &m, NULL) < 0)
        return;
    of_run(r, &m.run);
    buf_add(&r->a->reason, m.reason.p, m.reason.n);
    buf_add_str(&r->a->after, m.force ? "to be cancelled at once" : "to be cancelled");
}

static void of_parent(struct acts_reading *r)
{
    struct m_parent_drive drive;
    struct m_parent_end end;
    if (r->kind == KIND_M_PARENT_DRIVE && m_parent_drive_decode(r->message, &drive, NULL) == 0)
        of_run(r, &drive.parent);
    if (r->kind == KIND_M_PARENT_END && m_parent_end_decode(r->message, &end, NULL) == 0)
        of_run(r, &end.parent);
}

static void of_reader(struct acts_reading *r)
{
    struct m_follow follow;
    struct m_logs logs;
    if (r->kind == KIND_M_FOLLOW && m_follow_decode(r->message, &follow, NULL) == 0)
        of_run(r, &follow.run);
    if (r->kind == KIND_M_LOGS && m_logs_decode(r->message, &logs, NULL) == 0)
        of_run(r, &logs.run);
    r->a->privileged = false;
}

static void of_call(struct acts_reading *r)
{
    struct m_call m;
    struct d_signed s;
    struct d_call c;
    if (m_call_decode(r->message, &m, NULL) == 0 && open_body(m.call, &s) &&
        d_call_decode(s.body, &c, NULL) == 0)
        object(r, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(c.job), SPAN_ARG(c.address));
}

static void of_resolve(struct acts_reading *r)
{
    struct m_resolve m;
    if (m_resolve_decode(r->message, &m, NULL) == 0)
        object(r, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(m.job), SPAN_ARG(m.address));
}

static void of_query(struct acts_reading *r)
{
    struct m_query m;
    if (m_query_decode(r->message, &m, NULL) == 0)
        object(r, SPAN_FMT, SPAN_ARG(m.what));
}

/* ---- Packages */
static void of_put_end(struct acts_reading *r)
{
    struct m_put_end m;
    char hex[KEY_TEXT];
    if (m_put_end_decode(r->message, &m, NULL) < 0)
        return;
    object(r, "blake2b:%s", key_format(&m.package, hex));
    r->a->privileged = r->a->entry_first = true;
}

static void add_deployment(struct buf *out, const struct d_deployment *d)
{
    char hex[KEY_TEXT];
    if (d->remove)
        buf_add_str(out, "removed");
    else
        buf_printf(out, SPAN_FMT ", blake2b:%s", SPAN_ARG(d->version),
                   key_format(&d->package, hex));
}

/* What is deployed under this name at this address now. */
static void add_deployed(struct acts_reading *r, const struct d_deployment *d)
{
    struct view_deployment v = {.address = "", .name = ""};
    struct d_signed s;
    struct d_deployment now;
    while (view_deployment_after(r->sh->core, v.address, v.name, &v))
        if (span_eq_str(d->address, v.address) && span_eq_str(d->name, v.name)) {
            if (open_body(v.deployment, &s) && d_deployment_decode(s.body, &now, NULL) == 0)
                add_deployment(&r->a->before, &now);
            return;
        }
}

static void of_deploy(struct acts_reading *r)
{
    struct m_deploy m;
    struct d_signed s;
    struct d_deployment d;
    r->a->privileged = true;
    if (m_deploy_decode(r->message, &m, NULL) < 0 || !open_body(m.deployment, &s) ||
        d_deployment_decode(s.body, &d, NULL) < 0)
        return;
    object(r, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(d.name), SPAN_ARG(d.address));
    add_deployed(r, &d);
    add_deployment(&r->a->after, &d);
}

/* ---- Secrets: never what they hold */
static void add_secret(struct buf *out, const struct d_secret *d)
{
    buf_printf(out, "%sversion %llu", d->remove ? "dropped, " : "", (unsigned long long)d->version);
    if (!d->remove)
        buf_printf(out, ", sealed to %u servers", d->sealed.count);
}

static void of_secret(struct acts_reading *r)
{
    struct m_secret_put m;
    struct view_secret v = {.name = "", .address = ""};
    struct d_signed s;
    struct d_secret d, now;
    r->a->privileged = true;
    if (m_secret_put_decode(r->message, &m, NULL) < 0 || !open_body(m.secret, &s) ||
        d_secret_decode(s.body, &d, NULL) < 0)
        return;
    object(r, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(d.name), SPAN_ARG(d.address));
    while (view_secret_after(r->sh->core, v.name, v.address, &v))
        if (span_eq_str(d.name, v.name) && span_eq_str(d.address, v.address) &&
            open_body(v.secret, &s) && d_secret_decode(s.body, &now, NULL) == 0)
            add_secret(&r->a->before, &now);
    add_secret(&r->a->after, &d);
}

static void of_secret_for(struct acts_reading *r)
{
    struct m_secret_for m;
    if (m_secret_for_decode(r->message, &m, NULL) == 0)
        object(r, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(m.name), SPAN_ARG(m.address));
}

/* ---- Certificates */
static void of_certificate(struct acts_reading *r)
{
    struct m_enrol enrol;
    struct m_publish publish;
    struct span bytes = SPAN_NONE;
    char name[LIMIT_NAME + 1] = "";
    r->a->privileged = true;
    if (r->kind == KIND_M_ENROL && m_enrol_decode(r->message, &enrol, NULL) == 0)
        bytes = enrol.certificate;
    if (r->kind == KIND_M_PUBLISH && m_publish_decode(r->message, &publish, NULL) == 0)
        bytes = publish.certificate;
    if (!add_certificate(&r->a->after, bytes, name))
        return;
    object(r, "%s", name);
    const struct certificate *now = known_by_name(r->sh->known, name);
    if (now)
        add_certificate(&r->a->before, buf_span(&now->signed_bytes), NULL);
}

static void of_revoke(struct acts_reading *r)
{
    struct m_revoke m;
    uint64_t number;
    r->a->privileged = true;
    if (m_revoke_decode(r->message, &m, NULL) < 0)
        return;
    add_revocations(&r->a->before, view_revocations(r->sh->core, &number), &number);
    add_revocations(&r->a->after, m.list, &number);
    object(r, "list %llu", (unsigned long long)number);
}

static void of_invite(struct acts_reading *r, const struct m_operate *m)
{
    struct value v;
    struct d_signed s;
    struct d_invitation i;
    if (!wire_map_get(&m->arguments, "invitation", &v) || v.type != VALUE_BIN ||
        !open_body(v.bytes, &s) || d_invitation_decode(s.body, &i, NULL) < 0)
        return;
    object(r, SPAN_FMT, SPAN_ARG(i.name));
    buf_printf(&r->a->after, SPAN_FMT ", serial %llu", SPAN_ARG(i.role),
               (unsigned long long)i.serial);
    add_list(&r->a->after, "; grants: ", &i.grants);
    add_list(&r->a->after, "; pools: ", &i.pools);
}

static void of_operate(struct acts_reading *r)
{
    struct m_operate m;
    struct view_server server;
    struct id run;
    const char *verb;
    r->a->privileged = true;
    if (m_operate_decode(r->message, &m, NULL) < 0)
        return;
    r->a->entry_first = !operate_is_record(m.verb, &verb);
    snprintf(r->a->verb, sizeof r->a->verb, "%s", verb ? verb : "operate");
    char target[LIMIT_SHORT + 1];
    span_copy_str(m.target, target, sizeof target);
    if (verb && strcmp(verb, "release") == 0 && id_parse_span(m.target, &run, NULL) == 0)
        of_run(r, &run);
    else if (view_server(r->sh->core, target, &server))
        buf_printf(&r->a->before, "%s%s", server.state, server.draining ? ", draining" : "");
    object(r, SPAN_FMT, SPAN_ARG(m.target));
    if (verb && strcmp(verb, "invite") == 0)
        of_invite(r, &m);
    buf_add(&r->a->reason, m.reason.p, m.reason.n);
    r->a->privileged = true;
}

/* Reads of what has no line here say no more than the verb. */
static const struct acts_row {
    uint64_t kind;
    bool act; /* it may be a privileged act */
    void (*read)(struct acts_reading *r);
} ROWS[] = {
    {KIND_M_CALL, false, of_call},          {KIND_M_RESOLVE, false, of_resolve},
    {KIND_M_FOLLOW, false, of_reader},      {KIND_M_LOGS, false, of_reader},
    {KIND_M_QUERY, false, of_query},        {KIND_M_CANCEL, true, of_cancel}, /* of others' runs */
    {KIND_M_PARENT_DRIVE, true, of_parent}, {KIND_M_PARENT_END, true, of_parent},
    {KIND_M_OPERATE, true, of_operate},     {KIND_M_PUT_END, true, of_put_end},
    {KIND_M_DEPLOY, true, of_deploy},       {KIND_M_ENROL, true, of_certificate},
    {KIND_M_PUBLISH, true, of_certificate}, {KIND_M_REVOKE, true, of_revoke},
    {KIND_M_SECRET_PUT, true, of_secret},   {KIND_M_SECRET_FOR, false, of_secret_for},
};

static const struct acts_row *row_of(uint64_t kind)
{
    for (unsigned i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        if (ROWS[i].kind == kind)
            return &ROWS[i];
    return NULL;
}

bool acts_may_be(uint64_t kind)
{
    const struct acts_row *row = row_of(kind);
    return row && row->act;
}

bool acts_is_denial(enum refusal code)
{
    switch (code) {
    case REFUSAL_DENIED:
    case REFUSAL_WRONG_ROLE:
    case REFUSAL_UNKNOWN_PRINCIPAL:
    case REFUSAL_REVOKED:
    case REFUSAL_EXPIRED_CERTIFICATE:
    case REFUSAL_BAD_SIGNATURE:
    case REFUSAL_REPLAYED:
    case REFUSAL_NAME_TAKEN:
        return true;
    default:
        return false;
    }
}

/* "PUT_END" -> "put-end" */
static void name_it(uint64_t kind, char verb[LIMIT_NAME + 1])
{
    const struct wire_schema *s = messages_schema_of_kind(kind, NULL);
    const char *name = s ? s->name : "unknown";
    size_t i = 0;
    for (; name[i] && i < LIMIT_NAME; i++)
        verb[i] = name[i] == '_' ? '-' : (char)(name[i] | 0x20);
    verb[i] = 0;
}

void acts_read(const struct shell *sh, const struct shell_peer *p, uint64_t kind,
               struct span message, struct acts *ret)
{
    struct acts_reading r = {sh, p, kind, message, ret};
    const struct acts_row *row = row_of(kind);
    *ret = (struct acts){0};
    name_it(kind, ret->verb);
    if (row)
        row->read(&r);
}

void acts_free(struct acts *a)
{
    buf_free(&a->reason);
    buf_free(&a->before);
    buf_free(&a->after);
    *a = (struct acts){0};
}
