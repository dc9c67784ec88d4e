/* enrol.c - see enrol.h. */
#include "broker/depot/enrol.h"

#include "broker/depot/claim.h"
#include "broker/shell/known.h"
#include "broker/shell/turn.h"
#include "common/clock.h"
#include "common/log.h"
#include "trust/invitation.h"
#include "trust/envelope.h"
#include "trust/revocation.h"
#include "trust/secretdoc.h"

void enrol_take(struct shell *sh, struct shell_peer *p, struct span message)
{
    struct m_enrol m;
    struct error err = {0};
    shell_read(&m_enrol_schema, message, &m);
    enum refusal code = claim_enrol(sh, p, &m, &err);
    if (code != REFUSAL_NONE)
        shell_error(sh, p->handle, m.req, code, "%s", err.text);
    else
        /* its record makes the certificate known: take_enrolled */
        turn_step_message(sh, p, message);
}

void enrol_publish(struct shell *sh, struct shell_peer *p, struct span message)
{
    struct m_publish m;
    struct error err = {0};
    shell_read(&m_publish_schema, message, &m);
    enum refusal code = claim_publish(sh, m.certificate, &err);
    if (code != REFUSAL_NONE)
        shell_error(sh, p->handle, m.req, code, "%s", err.text);
    else
        turn_step_message(sh, p, message);
}

/* ---- Revocations */

/* Open invitations for names whose newest certificate is valid, before a list is taken. */
struct enrol_open {
    const struct shell *shell;
    struct hash *keys;
    size_t n;
    bool revoked; /* the names that are wanted */
};

static void gather_open(void *self, const struct hash *transport, const struct d_invitation *i)
{
    struct enrol_open *o = self;
    char name[LIMIT_NAME + 1];
    span_copy_str(i->name, name, sizeof name);
    const struct certificate *c = known_by_name(o->shell->known, name);
    if (!c || view_revoked(o->shell->core, c->serial) != o->revoked)
        return;
    o->keys = mem_realloc(o->keys, o->n + 1, sizeof *o->keys);
    o->keys[o->n++] = *transport;
}

/* Who is revoked does not come back with an invitation that was made before. */
static void withdraw_invitations(struct shell *sh, const struct enrol_open *before)
{
    struct enrol_open after = {.shell = sh, .revoked = true};
    known_each_invitation(sh->known, gather_open, &after);
    for (size_t i = 0; i < after.n; i++)
        for (size_t k = 0; k < before->n; k++)
            if (hash_eq(&after.keys[i], &before->keys[k]))
                known_uninvite(sh->known, sh->invitations, &after.keys[i]);
    mem_free(&after.keys);
}

void enrol_revoke(struct shell *sh, struct shell_peer *p, struct span message)
{
    struct m_revoke m;
    struct revocations list = {0};
    struct error err = {0};
    enum refusal code = REFUSAL_MALFORMED;
    struct enrol_open before = {.shell = sh};
    shell_read(&m_revoke_schema, message, &m);
    if (revocations_take(&list, m.list, sh->anchors, &code, &err) < 0) {
        shell_error(sh, p->handle, m.req, code, "%s", err.text);
    } else {
        known_each_invitation(sh->known, gather_open, &before);
        turn_step_message(sh, p, message);
        withdraw_invitations(sh, &before);
    }
    mem_free(&before.keys);
    revocations_free(&list);
}

void enrol_deploy(struct depot *depot, struct shell_peer *p, struct span message)
{
    struct shell *sh = depot_shell(depot);
    struct m_deploy m;
    struct d_signed s;
    struct d_deployment d;
    struct error err = {0};
    uint64_t size = 0;
    shell_read(&m_deploy_schema, message, &m);
    if (certificate_open(p->certificate, ENVELOPE_DEPLOYMENT, m.deployment, NULL, &s, &err) < 0)
        shell_error(sh, p->handle, m.req, REFUSAL_BAD_SIGNATURE, "%s", err.text);
    else if (d_deployment_decode(s.body, &d, &err) < 0)
        shell_error(sh, p->handle, m.req, REFUSAL_MALFORMED, "%s", err.text);
    else if (!span_eq_str(d.cluster, sh->cluster))
        shell_error(sh, p->handle, m.req, REFUSAL_DENIED,
                    "the deployment is for cluster '" SPAN_FMT "', this is '%s'",
                    SPAN_ARG(d.cluster), sh->cluster);
    else if (!d.remove && !depot_has(depot, &d.package, &size))
        shell_error(
            sh, p->handle, m.req, REFUSAL_BAD_PACKAGE,
            "the depot has no package of this hash; put it there first (lbpkg deploy does)");
    else {
        struct bcore_event ev = {.kind = BCORE_MESSAGE,
                                 .peer = p->handle,
                                 .who = &p->who,
                                 .message = message,
                                 .size = size,
                                 .window_open = net_server_window_open(sh->net, p->handle)};
        turn_step(sh, &ev);
    }
}

void enrol_secret(struct shell *sh, struct shell_peer *p, struct span message)
{
    struct m_secret_put m;
    struct d_secret d;
    struct view_server server = {.n_pools = 0};
    struct error err = {0};
    struct d_signed s;
    char address[LIMIT_ADDRESS + 1] = "";
    enum refusal code;
    shell_read(&m_secret_put_schema, message, &m);
    if (secretdoc_read(m.secret, &s, &d, NULL) == 0)
        span_copy_str(d.address, address, sizeof address);
    view_server(sh->core, address, &server);
    if (secretdoc_verify(m.secret, p->certificate, sh->cluster, server.pools, server.n_pools, &d,
                         &code, &err) < 0)
        shell_error(sh, p->handle, m.req, code, "%s", err.text);
    else
        turn_step_message(sh, p, message);
}

void enrol_certificates(struct shell *sh, struct shell_peer *p, struct span message)
{
    struct m_certificate m;
    struct buf items = {0};
    struct view_certificate v;
    char name[LIMIT_NAME + 1];
    uint32_t n = 0;
    shell_read(&m_certificate_schema, message, &m);
    span_copy_str(m.name, name, sizeof name);
    const struct certificate *c =
        m.serial ? known_by_serial(sh->known, name, m.serial) : known_by_name(sh->known, name);
    if (view_certificate(sh->core, name, m.serial, &v)) {
        wire_add_bin(&items, v.certificate);
        n++;
    } else if (c) {
        wire_add_bin(&items, buf_span(&c->signed_bytes));
        n++;
    }
    shell_send(sh, p->handle, &m_certificates_schema,
               &(struct m_certificates){.req = m.req, .certificates = wire_list_from(&items, n)});
    buf_free(&items);
}

/* ---- What the core has recorded */

/* An invitation is used up when its certificate arrives: its key is no longer admitted. */
static void use_invitation(struct shell *sh, const struct d_certificate *d, uint64_t lsn)
{
    struct d_invitation i;
    struct hash transport;
    if (d->invitation.n && invitation_open(d->invitation, sh->anchors, &i, NULL) == 0 &&
        key_transport_of(&i.one_time_key, &transport, NULL) == 0)
        known_use(sh->known, &transport, lsn);
}

/* Makes the certificate known. False: the record is of something else. */
static bool take_enrolled(struct shell *sh, struct span record, struct r_enrolled *m,
                          struct d_certificate *d)
{
    struct d_signed s;
    struct error err = {0};
    uint64_t kind;
    size_t size;
    if (wire_peek(record, &kind, &size, NULL) < 0 || kind != KIND_R_ENROLLED ||
        r_enrolled_decode(record, m, NULL) < 0 || d_signed_decode(m->certificate, &s, NULL) < 0 ||
        d_certificate_decode(s.body, d, NULL) < 0)
        return false;
    if (known_add(sh->known, m->certificate, clock_wall_ms(), NULL, NULL, &err) < 0) {
        log_info("a certificate of the registry is not used: %s", err.text);
        known_remember(sh->known, d);
    }
    return true;
}

void enrol_replay(struct shell *sh, struct span record)
{
    struct r_enrolled m;
    struct d_certificate d;
    take_enrolled(sh, record, &m, &d);
}

/* Invitations are noted by shell/operate.c; what comes of them, and all that an administrator
 * publishes or revokes, here: who, what, whom. */
static void note_enrolled(struct shell *sh, const struct r_enrolled *m,
                          const struct d_certificate *d)
{
    char by[LIMIT_NAME + 1], name[LIMIT_NAME + 1], key[KEY_TEXT];
    span_copy_str(m->by, by, sizeof by);
    span_copy_str(d->name, name, sizeof name);
    char *text = mem_printf(SPAN_FMT ", serial %llu, key %s", SPAN_ARG(d->role),
                            (unsigned long long)d->serial, key_format(&d->sign_key, key));
    shell_note(sh, by, d->invitation.n ? "enrol" : "publish", name, text);
    mem_free(&text);
}

static void note_revoked(struct shell *sh, struct span record)
{
    struct r_revoked m;
    struct d_signed s;
    struct d_revocations d;
    char by[LIMIT_NAME + 1];
    if (r_revoked_decode(record, &m, NULL) < 0 || d_signed_decode(m.list, &s, NULL) < 0 ||
        d_revocations_decode(s.body, &d, NULL) < 0)
        return;
    span_copy_str(m.by, by, sizeof by);
    char *target = mem_printf("list %llu", (unsigned long long)d.number),
         *text = mem_printf("%zu serials", d.serials.n / 8);
    shell_note(sh, by, "revocations", target, text);
    mem_free(&target);
    mem_free(&text);
}

static void on_record(void *shell, uint64_t lsn, struct span record)
{
    struct shell *sh = shell;
    struct r_enrolled m;
    struct d_certificate d;
    uint64_t kind;
    size_t size;
    if (take_enrolled(sh, record, &m, &d)) {
        use_invitation(sh, &d, lsn);
        note_enrolled(sh, &m, &d);
    } else if (wire_peek(record, &kind, &size, NULL) == 0 && kind == KIND_R_REVOKED) {
        note_revoked(sh, record);
    }
}

static void on_committed(void *shell, uint64_t lsn)
{
    struct shell *sh = shell;
    known_committed(sh->known, sh->invitations, lsn);
}

void enrol_listen(struct shell *sh)
{
    shell_listen(
        sh, &(struct shell_listener){.self = sh, .record = on_record, .committed = on_committed});
}
