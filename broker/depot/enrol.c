/* enrol.c - certificates that come in, deployments, revocations: what they say is verified here,
 * then the core decides. */
#include <errno.h>
#include <string.h>

#include "broker/broker.h"
#include "broker/depot/depot.h"
#include "common/log.h"
#include "common/clock.h"
#include "trust/invitation.h"
#include "trust/envelope.h"
#include "trust/revocation.h"

static void malformed(struct broker *b, struct peer *p, const struct error *err)
{
    broker_drop(b, p, err->code == -EMSGSIZE ? REFUSAL_TOO_LARGE : REFUSAL_MALFORMED, err->text);
}

/* A name belongs to the key that has it, until that certificate is revoked or has ended. */
static bool name_is_taken(const struct broker *b, const struct certificate *c)
{
    const struct certificate *now = known_by_name(b->known, c->name);
    return now && !hash_eq(&now->sign_key, &c->sign_key) && !view_revoked(b->core, now->serial) &&
           now->not_after > loop_now_wall(b->loop);
}

static enum refusal judge_enrolment(const struct broker *b, const struct peer *p, struct span bytes,
                                    struct error *err)
{
    struct certificate c = {0};
    struct d_invitation invitation;
    enum refusal code = REFUSAL_NONE;
    if (certificate_verify(bytes, &b->anchors, loop_now_wall(b->loop), &c, &code, err) < 0)
        return code;
    if (!known_invited(b->known, &p->key, loop_now_wall(b->loop), &invitation) ||
        !span_eq_str(invitation.name, c.name) || invitation.serial != c.serial) {
        error_set(err, -EACCES,
                  "the certificate of '%s' is not what this key was invited to become", c.name);
        code = REFUSAL_DENIED;
    } else if (name_is_taken(b, &c)) {
        error_set(
            err, -EEXIST,
            "the name '%s' belongs to another key; an administrator can take it back with: lbctl certificates "
            "revoke %s",
            c.name, c.name);
        code = REFUSAL_NAME_TAKEN;
    }
    certificate_free(&c);
    return code;
}

void enrol_take(struct broker *b, struct peer *p, struct span message)
{
    struct m_enrol m;
    struct error err = {0};
    if (m_enrol_decode(message, &m, &err) < 0) {
        malformed(b, p, &err);
        return;
    }
    enum refusal code = judge_enrolment(b, p, m.certificate, &err);
    if (code != REFUSAL_NONE)
        broker_error(b, p->handle, m.req, code, "%s", err.text);
    else
        /* its record makes the certificate known: enrol_record */
        broker_step_message(b, p, message);
}

void enrol_publish(struct broker *b, struct peer *p, struct span message)
{
    struct m_publish m;
    struct certificate c = {0};
    struct error err = {0};
    enum refusal code = REFUSAL_MALFORMED;
    if (m_publish_decode(message, &m, &err) < 0) {
        malformed(b, p, &err);
        return;
    }
    if (certificate_verify(m.certificate, &b->anchors, loop_now_wall(b->loop), &c, &code, &err) < 0)
        broker_error(b, p->handle, m.req, code, "%s", err.text);
    else
        broker_step_message(b, p, message);
    certificate_free(&c);
}

void enrol_revoke(struct broker *b, struct peer *p, struct span message)
{
    struct m_revoke m;
    struct revocations list = {0};
    struct error err = {0};
    enum refusal code = REFUSAL_MALFORMED;
    if (m_revoke_decode(message, &m, &err) < 0) {
        malformed(b, p, &err);
        return;
    }
    if (revocations_take(&list, m.list, &b->anchors, &code, &err) < 0)
        broker_error(b, p->handle, m.req, code, "%s", err.text);
    else
        broker_step_message(b, p, message);
    revocations_free(&list);
}

void enrol_deploy(struct broker *b, struct peer *p, struct span message)
{
    struct m_deploy m;
    struct d_signed s;
    struct d_deployment d;
    struct error err = {0};
    uint64_t size = 0;
    if (m_deploy_decode(message, &m, &err) < 0) {
        malformed(b, p, &err);
        return;
    }
    if (certificate_open(p->certificate, ENVELOPE_DEPLOYMENT, m.deployment, NULL, &s, &err) < 0)
        broker_error(b, p->handle, m.req, REFUSAL_BAD_SIGNATURE, "%s", err.text);
    else if (d_deployment_decode(s.body, &d, &err) < 0)
        broker_error(b, p->handle, m.req, REFUSAL_MALFORMED, "%s", err.text);
    else if (!span_eq_str(d.cluster, b->options.cluster))
        broker_error(b, p->handle, m.req, REFUSAL_DENIED,
                     "the deployment is for cluster '" SPAN_FMT "', this is '%s'",
                     SPAN_ARG(d.cluster), b->options.cluster);
    else if (!d.remove && !depot_has(b->depot, &d.package, &size))
        broker_error(
            b, p->handle, m.req, REFUSAL_BAD_PACKAGE,
            "the depot has no package of this hash; put it there first (lbpkg deploy does)");
    else {
        struct bcore_event ev = {.kind = BCORE_MESSAGE,
                                 .peer = p->handle,
                                 .who = &p->who,
                                 .message = message,
                                 .size = size,
                                 .window_open = net_server_window_open(b->net, p->handle)};
        broker_step(b, &ev);
    }
}

void enrol_certificates(struct broker *b, struct peer *p, struct span message)
{
    struct m_certificate m;
    struct error err = {0};
    struct buf items = {0};
    struct view_certificate v;
    char name[LIMIT_NAME + 1];
    uint32_t n = 0;
    if (m_certificate_decode(message, &m, &err) < 0) {
        malformed(b, p, &err);
        return;
    }
    span_copy_str(m.name, name, sizeof name);
    const struct certificate *c =
        m.serial ? known_by_serial(b->known, name, m.serial) : known_by_name(b->known, name);
    if (view_certificate(b->core, name, m.serial, &v)) {
        wire_add_bin(&items, v.certificate);
        n++;
    } else if (c) {
        wire_add_bin(&items, buf_span(&c->signed_bytes));
        n++;
    }
    broker_send(b, p->handle, &m_certificates_schema,
                &(struct m_certificates){.req = m.req, .certificates = wire_list_from(&items, n)});
    buf_free(&items);
}

/* An invitation whose certificate has come is used: its key is welcome no more. */
static void use_invitation(struct broker *b, struct span certificate)
{
    struct d_signed s;
    struct d_certificate d;
    struct d_invitation i;
    struct hash transport;
    if (d_signed_decode(certificate, &s, NULL) < 0 || d_certificate_decode(s.body, &d, NULL) < 0 ||
        !d.invitation.n)
        return;
    if (invitation_open(d.invitation, &b->anchors, &i, NULL) == 0 &&
        key_transport_of(&i.one_time_key, &transport, NULL) == 0)
        known_uninvite(b->known, b->invitations, &transport);
}

void enrol_record(struct broker *b, uint64_t kind, struct span record)
{
    struct r_enrolled m;
    struct error err = {0};
    if (kind != KIND_R_ENROLLED || r_enrolled_decode(record, &m, NULL) < 0)
        return;
    if (known_add(b->known, m.certificate, clock_wall_ms(), NULL, NULL, &err) < 0)
        log_info("a certificate of the registry is no longer good: %s", err.text);
    use_invitation(b, m.certificate);
}
