/* enrol.c - see enrol.h. */
#include "broker/depot/enrol.h"

#include <errno.h>
#include <string.h>

#include "broker/shell/known.h"
#include "broker/shell/turn.h"
#include "common/clock.h"
#include "common/log.h"
#include "trust/invitation.h"
#include "trust/envelope.h"
#include "trust/revocation.h"

static void malformed(struct shell *sh, struct shell_peer *p, const struct error *err)
{
    shell_drop(sh, p, err->code == -EMSGSIZE ? REFUSAL_TOO_LARGE : REFUSAL_MALFORMED, err->text);
}

/* A name belongs to its key until that certificate is revoked or expires. */
static bool name_is_taken(const struct shell *sh, const struct certificate *c)
{
    const struct certificate *now = known_by_name(sh->known, c->name);
    return now && !hash_eq(&now->sign_key, &c->sign_key) && !view_revoked(sh->core, now->serial) &&
           now->not_after > loop_now_wall(sh->loop);
}

static enum refusal judge_enrolment(const struct shell *sh, const struct shell_peer *p,
                                    struct span bytes, struct error *err)
{
    struct certificate c = {0};
    struct d_invitation invitation;
    enum refusal code = REFUSAL_NONE;
    if (certificate_verify(bytes, sh->anchors, loop_now_wall(sh->loop), &c, &code, err) < 0)
        return code;
    if (!known_invited(sh->known, &p->key, loop_now_wall(sh->loop), &invitation) ||
        !span_eq_str(invitation.name, c.name) || invitation.serial != c.serial) {
        error_set(err, -EACCES, "this key was not invited to become '%s'", c.name);
        code = REFUSAL_DENIED;
    } else if (name_is_taken(sh, &c)) {
        error_set(err, -EEXIST,
                  "the name '%s' belongs to another key; an administrator can free it with: "
                  "lbctl certificates revoke %s",
                  c.name, c.name);
        code = REFUSAL_NAME_TAKEN;
    }
    certificate_free(&c);
    return code;
}

void enrol_take(struct shell *sh, struct shell_peer *p, struct span message)
{
    struct m_enrol m;
    struct error err = {0};
    if (m_enrol_decode(message, &m, &err) < 0) {
        malformed(sh, p, &err);
        return;
    }
    enum refusal code = judge_enrolment(sh, p, m.certificate, &err);
    if (code != REFUSAL_NONE)
        shell_error(sh, p->handle, m.req, code, "%s", err.text);
    else
        /* its record makes the certificate known: enrol_record */
        turn_step_message(sh, p, message);
}

void enrol_publish(struct shell *sh, struct shell_peer *p, struct span message)
{
    struct m_publish m;
    struct certificate c = {0};
    struct error err = {0};
    enum refusal code = REFUSAL_MALFORMED;
    if (m_publish_decode(message, &m, &err) < 0) {
        malformed(sh, p, &err);
        return;
    }
    if (certificate_verify(m.certificate, sh->anchors, loop_now_wall(sh->loop), &c, &code, &err) <
        0)
        shell_error(sh, p->handle, m.req, code, "%s", err.text);
    else
        turn_step_message(sh, p, message);
    certificate_free(&c);
}

void enrol_revoke(struct shell *sh, struct shell_peer *p, struct span message)
{
    struct m_revoke m;
    struct revocations list = {0};
    struct error err = {0};
    enum refusal code = REFUSAL_MALFORMED;
    if (m_revoke_decode(message, &m, &err) < 0) {
        malformed(sh, p, &err);
        return;
    }
    if (revocations_take(&list, m.list, sh->anchors, &code, &err) < 0)
        shell_error(sh, p->handle, m.req, code, "%s", err.text);
    else
        turn_step_message(sh, p, message);
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
    if (m_deploy_decode(message, &m, &err) < 0) {
        malformed(sh, p, &err);
        return;
    }
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

void enrol_certificates(struct shell *sh, struct shell_peer *p, struct span message)
{
    struct m_certificate m;
    struct error err = {0};
    struct buf items = {0};
    struct view_certificate v;
    char name[LIMIT_NAME + 1];
    uint32_t n = 0;
    if (m_certificate_decode(message, &m, &err) < 0) {
        malformed(sh, p, &err);
        return;
    }
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

/* An invitation is used up when its certificate arrives: its key is no longer admitted. */
static void use_invitation(struct shell *sh, struct span certificate)
{
    struct d_signed s;
    struct d_certificate d;
    struct d_invitation i;
    struct hash transport;
    if (d_signed_decode(certificate, &s, NULL) < 0 || d_certificate_decode(s.body, &d, NULL) < 0 ||
        !d.invitation.n)
        return;
    if (invitation_open(d.invitation, sh->anchors, &i, NULL) == 0 &&
        key_transport_of(&i.one_time_key, &transport, NULL) == 0)
        known_uninvite(sh->known, sh->invitations, &transport);
}

void enrol_record(void *shell, uint64_t lsn, struct span record)
{
    struct shell *sh = shell;
    struct r_enrolled m;
    struct error err = {0};
    uint64_t kind;
    size_t size;
    (void)lsn;
    if (wire_peek(record, &kind, &size, NULL) < 0 || kind != KIND_R_ENROLLED ||
        r_enrolled_decode(record, &m, NULL) < 0)
        return;
    if (known_add(sh->known, m.certificate, clock_wall_ms(), NULL, NULL, &err) < 0)
        log_info("a certificate of the registry is no longer valid: %s", err.text);
    use_invitation(sh, m.certificate);
}

void enrol_listen(struct shell *sh)
{
    shell_listen(sh, &(struct shell_listener){.self = sh, .record = enrol_record});
}
