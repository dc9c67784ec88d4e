/* certificate_make.c - makes certificates; certificate_verify checks each one before it is handed
 * out. */
#include <errno.h>
#include <string.h>

#include "trust/certificate.h"
#include "trust/envelope.h"
#include "trust/identity.h"

static int check_word(const char *what, const char *text, struct error *err)
{
    if (strlen(text) <= LIMIT_NAME)
        return 0;
    return error_set(err, -EINVAL, "the %s '%.70s...' is longer than %d bytes", what, text,
                     LIMIT_NAME);
}

static int encode(const struct certificate_order *o, struct span invitation, struct buf *out,
                  struct error *err)
{
    struct d_certificate d = {.cluster = span_str(o->cluster),
                              .name = span_str(o->name),
                              .role = span_str(role_word(o->role)),
                              .serial = o->serial,
                              .sign_key = o->sign_key,
                              .seal_key = o->seal_key,
                              .not_before = o->not_before,
                              .not_after = o->not_after,
                              .invitation = invitation};
    struct buf pools = {0}, grants = {0};
    int rc = check_word("cluster's name", o->cluster, err);
    if (rc == 0)
        rc = check_word("name", o->name, err);
    if (rc == 0)
        rc = key_transport_of(&o->sign_key, &d.transport_key, err);
    if (rc == 0)
        rc = identity_list("pool", o->pools, o->n_pools, LIMIT_POOLS, LIMIT_NAME, &pools, &d.pools,
                           err);
    if (rc == 0)
        rc = identity_list("grant", o->grants, o->n_grants, LIMIT_GRANTS, LIMIT_SHORT, &grants,
                           &d.grants, err);
    if (rc == 0)
        d_certificate_encode(&d, out);
    buf_free(&pools);
    buf_free(&grants);
    return rc;
}

static int make(const struct certificate_order *o, const struct key *key, struct span invitation,
                const struct hash *root, struct buf *out, struct error *err)
{
    struct buf body = {0}, made = {0};
    struct certificate judged = {0};
    struct trust_anchors anchors = {0};
    int rc = encode(o, invitation, &body, err);
    if (rc == 0)
        rc = envelope_sign(ENVELOPE_CERTIFICATE, key, "", 0, buf_span(&body), &made, err);
    if (rc == 0) {
        anchors_from(o->cluster, root, 1, &anchors);
        rc = certificate_verify(buf_span(&made), &anchors, o->not_before, &judged, NULL, err);
    }
    if (rc == 0)
        buf_add(out, made.p, made.n);
    else if (err)
        err->code = -EINVAL;
    certificate_free(&judged);
    anchors_free(&anchors);
    buf_free(&body);
    buf_free(&made);
    return rc < 0 ? -EINVAL : 0;
}

int certificate_make(const struct certificate_order *order, const struct key *administrator,
                     struct buf *out, struct error *err)
{
    return make(order, administrator, SPAN_NONE, &administrator->sign, out, err);
}

int certificate_make_by_invitation(const struct certificate_order *order,
                                   const struct key *one_time, struct span invitation,
                                   struct buf *out, struct error *err)
{
    struct d_signed s;
    if (invitation.n > LIMIT_CERTIFICATE)
        return error_set(err, -EINVAL, "an invitation has %zu bytes; the limit is %d", invitation.n,
                         LIMIT_CERTIFICATE);
    if (d_signed_decode(invitation, &s, err) < 0) {
        error_prefix(err, ENVELOPE_INVITATION);
        if (err)
            err->code = -EINVAL;
        return -EINVAL;
    }
    const struct hash root = s.key;
    return make(order, one_time, invitation, &root, out, err);
}
