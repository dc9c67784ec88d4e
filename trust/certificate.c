/* certificate.c - see certificate.h: verifies certificates; certificate_make.c makes them. */
#include "trust/certificate.h"

#include <errno.h>
#include <string.h>

#include "common/mem.h"
#include "trust/batch.h"
#include "trust/envelope.h"
#include "trust/identity.h"
#include "trust/refuse.h"

static const char *const roles[] = {
#define X(n, w) [ROLE_##n] = w,
    ROLES(X)
#undef X
};

const char *role_word(enum role r)
{
    return r != ROLE_NONE && (unsigned)r < ROLE_COUNT ? roles[r] : "?";
}

int role_parse(struct span word, enum role *ret, struct error *err)
{
    for (unsigned r = ROLE_NONE + 1; r < ROLE_COUNT; r++)
        if (span_eq_str(word, roles[r])) {
            *ret = (enum role)r;
            return 0;
        }
    if (word.n > LIMIT_NAME)
        word.n = LIMIT_NAME;
    return error_set(
        err, -EINVAL,
        "'" SPAN_FMT
        "' is not a role; roles are administrator, server, caller, monitor, builder and broker",
        SPAN_ARG(word));
}

void certificate_free(struct certificate *c)
{
    for (size_t i = 0; i < c->n_pools; i++)
        mem_free(&c->pools[i]);
    mem_free(&c->pools);
    mem_free(&c->grants);
    buf_free(&c->signed_bytes);
    *c = (struct certificate){0};
}

static struct identity identity_of(const struct d_certificate *d)
{
    return (struct identity){.what = ENVELOPE_CERTIFICATE,
                             .cluster = d->cluster,
                             .name = d->name,
                             .role = d->role,
                             .serial = d->serial,
                             .pools = d->pools,
                             .grants = d->grants};
}

/* The first item of `all` that `allowed` lacks. */
static bool find_missing(const struct wire_list *all, const struct wire_list *allowed,
                         struct span *ret)
{
    struct wire_iter outer = wire_iter(all);
    struct span item, other;
    while (wire_next(&outer, &item)) {
        struct wire_iter inner = wire_iter(allowed);
        bool found = false;
        while (!found && wire_next(&inner, &other))
            found = span_eq(item, other);
        if (!found) {
            *ret = item;
            return true;
        }
    }
    return false;
}

static int check_within_invitation(const struct d_certificate *d, const struct d_invitation *i,
                                   enum refusal *ret_code, struct error *err)
{
    struct span item;
    if (!span_eq(d->name, i->name) || !span_eq(d->role, i->role) || d->serial != i->serial)
        return refuse(ret_code, REFUSAL_DENIED, err,
                      "certificate of " SPAN_FMT " '" SPAN_FMT
                      "' (serial %llu) is based on an invitation for " SPAN_FMT " '" SPAN_FMT
                      "' (serial %llu)",
                      SPAN_ARG(d->role), SPAN_ARG(d->name), (unsigned long long)d->serial,
                      SPAN_ARG(i->role), SPAN_ARG(i->name), (unsigned long long)i->serial);
    if (find_missing(&d->pools, &i->pools, &item))
        return refuse(ret_code, REFUSAL_DENIED, err,
                      "certificate of '" SPAN_FMT "' claims pool '" SPAN_FMT
                      "', which its invitation does not offer",
                      SPAN_ARG(d->name), SPAN_ARG(item));
    if (find_missing(&d->grants, &i->grants, &item))
        return refuse(ret_code, REFUSAL_DENIED, err,
                      "certificate of '" SPAN_FMT "' claims grant '" SPAN_FMT
                      "', which its invitation does not offer",
                      SPAN_ARG(d->name), SPAN_ARG(item));
    if (d->not_after > i->certificate_not_after)
        return refuse(ret_code, REFUSAL_DENIED, err,
                      "certificate of '" SPAN_FMT "' would last longer than its invitation allows",
                      SPAN_ARG(d->name));
    if (d->not_before > i->expires)
        return refuse(ret_code, REFUSAL_EXPIRED_CERTIFICATE, err,
                      "certificate of '" SPAN_FMT
                      "' was made after its invitation expired; ask for a new one: lbctl "
                      "invite",
                      SPAN_ARG(d->name));
    return 0;
}

static int check_times(const struct d_certificate *d, int64_t now, enum refusal *ret_code,
                       struct error *err)
{
    if (d->not_before <= 0 || d->not_after <= d->not_before)
        return refuse(ret_code, REFUSAL_MALFORMED, err,
                      "certificate of '" SPAN_FMT "' ends before it begins", SPAN_ARG(d->name));
    if (now >= d->not_after)
        return refuse(ret_code, REFUSAL_EXPIRED_CERTIFICATE, err,
                      "certificate of '" SPAN_FMT
                      "' expired %lld minutes ago. An administrator can run: lbctl certificates "
                      "renew " SPAN_FMT,
                      SPAN_ARG(d->name), (long long)((now - d->not_after) / 60000),
                      SPAN_ARG(d->name));
    if (d->not_before > now + CLOCK_SKEW_MS)
        return refuse(ret_code, REFUSAL_EXPIRED_CERTIFICATE, err,
                      "certificate of '" SPAN_FMT
                      "' is not valid for another %lld minutes; compare the clocks",
                      SPAN_ARG(d->name), (long long)((d->not_before - now) / 60000));
    return 0;
}

static int check_keys(const struct d_certificate *d, enum role role, enum refusal *ret_code,
                      struct error *err)
{
    struct hash transport;
    struct error why = {0};
    if (key_transport_of(&d->sign_key, &transport, &why) < 0)
        return refuse(ret_code, REFUSAL_MALFORMED, err, "certificate of '" SPAN_FMT "': %s",
                      SPAN_ARG(d->name), why.text);
    if (!hash_eq(&transport, &d->transport_key))
        return refuse(ret_code, REFUSAL_MALFORMED, err,
                      "certificate of '" SPAN_FMT
                      "': its transport key does not belong to its signing key",
                      SPAN_ARG(d->name));
    if ((role == ROLE_SERVER) == hash_is_zero(&d->seal_key))
        return refuse(ret_code, REFUSAL_MALFORMED, err, "certificate of %s '" SPAN_FMT "' %s",
                      role_word(role), SPAN_ARG(d->name),
                      role == ROLE_SERVER ? "has no seal key"
                                          : "has a seal key, which only servers have");
    return 0;
}

/* Who may have signed: an administrator, or the one-time key of an invitation inside. */
static int check_signature(struct span bytes, const struct d_signed *envelope,
                           const struct d_certificate *d, const struct trust_anchors *anchors,
                           struct d_invitation *ret_invitation, enum refusal *ret_code,
                           struct error *err)
{
    struct d_signed s;
    if (d->invitation.n == 0)
        return identity_open(ENVELOPE_CERTIFICATE, bytes, anchors, &s, ret_code, err);
    enum role role;
    struct d_invitation i;
    int rc = identity_open(ENVELOPE_INVITATION, d->invitation, anchors, &s, ret_code, err);
    if (rc < 0)
        return rc;
    if ((rc = d_invitation_decode(s.body, &i, err)) < 0)
        return refuse_as(ret_code, rc);
    if ((rc = envelope_open(ENVELOPE_CERTIFICATE, bytes, &i.one_time_key, &s, err)) < 0 ||
        (rc = identity_check_nameless(ENVELOPE_CERTIFICATE, envelope, err)) < 0)
        return refuse_as(ret_code, rc);
    struct identity id = {
        ENVELOPE_INVITATION, i.cluster, i.name, i.role, i.serial, i.pools, i.grants};
    if ((rc = identity_check(&id, anchors->cluster, &role, ret_code, err)) < 0)
        return rc;
    *ret_invitation = i;
    return 0;
}

static void fill(const struct d_certificate *d, enum role role, const struct d_invitation *i,
                 struct span bytes, struct certificate *ret)
{
    *ret = (struct certificate){.role = role,
                                .serial = d->serial,
                                .sign_key = d->sign_key,
                                .transport_key = d->transport_key,
                                .seal_key = d->seal_key,
                                .not_before = d->not_before,
                                .not_after = d->not_after,
                                .invited_until = d->invitation.n ? i->expires : 0,
                                .signed_bytes = buf_dup(bytes)};
    span_copy_str(d->cluster, ret->cluster, sizeof ret->cluster);
    span_copy_str(d->name, ret->name, sizeof ret->name);
    ret->pools = mem_zalloc(d->pools.count, sizeof *ret->pools);
    ret->grants = mem_zalloc(d->grants.count, sizeof *ret->grants);
    struct wire_iter it = wire_iter(&d->pools);
    struct span item;
    while (wire_next(&it, &item))
        ret->pools[ret->n_pools++] = span_dup_str(item);
    it = wire_iter(&d->grants);
    while (wire_next(&it, &item))
        /* identity_check has checked them all */
        if (grant_parse(item, &ret->grants[ret->n_grants], NULL) == 0)
            ret->n_grants++;
}

int certificate_verify(struct span bytes, const struct trust_anchors *anchors, int64_t now,
                       struct certificate *ret, enum refusal *ret_code, struct error *err)
{
    struct d_signed s;
    struct d_certificate d;
    struct d_invitation i = {0};
    enum role role;
    if (bytes.n > LIMIT_CERTIFICATE)
        return refuse(ret_code, REFUSAL_TOO_LARGE, err,
                      "a certificate has %zu bytes; the limit is %d", bytes.n, LIMIT_CERTIFICATE);
    int rc = d_signed_decode(bytes, &s, err);
    if (rc == 0)
        rc = d_certificate_decode(s.body, &d, err);
    if (rc < 0) {
        error_prefix(err, ENVELOPE_CERTIFICATE);
        return refuse_as(ret_code, rc);
    }
    struct identity id = identity_of(&d);
    if ((rc = check_signature(bytes, &s, &d, anchors, &i, ret_code, err)) < 0 ||
        (rc = identity_check(&id, anchors->cluster, &role, ret_code, err)) < 0 ||
        (rc = check_keys(&d, role, ret_code, err)) < 0 ||
        (rc = check_times(&d, now, ret_code, err)) < 0)
        return rc;
    if (d.invitation.n && (rc = check_within_invitation(&d, &i, ret_code, err)) < 0)
        return rc;
    fill(&d, role, &i, bytes, ret);
    return 0;
}

int certificate_read(struct span bytes, struct certificate *ret, struct error *err)
{
    struct d_signed s;
    struct d_certificate d;
    struct d_invitation i = {0};
    enum role role;
    int rc;
    if ((rc = d_signed_decode(bytes, &s, err)) < 0 ||
        (rc = d_certificate_decode(s.body, &d, err)) < 0 ||
        (rc = role_parse(d.role, &role, err)) < 0)
        return rc == -EINVAL ? -EPROTO : rc;
    if (d.invitation.n) {
        struct d_signed inner;
        if ((rc = d_signed_decode(d.invitation, &inner, err)) < 0 ||
            (rc = d_invitation_decode(inner.body, &i, err)) < 0)
            return rc;
    }
    fill(&d, role, &i, bytes, ret);
    return 0;
}

int certificate_open(const struct certificate *who, const char *kind, struct span bytes,
                     struct verified_roots *roots, struct d_signed *ret, struct error *err)
{
    struct d_signed s;
    int rc = batch_is_kind(kind)
                 ? batch_open_kind(kind, bytes, NULL, &who->sign_key, roots, &s, err)
                 : envelope_open(kind, bytes, &who->sign_key, &s, err);
    if (rc == 0)
        rc = certificate_check_signer(who, kind, &s, err);
    if (rc < 0)
        return rc;
    *ret = s;
    return 0;
}

int certificate_check_signer(const struct certificate *who, const char *kind,
                             const struct d_signed *s, struct error *err)
{
    if (span_eq_str(s->signer, who->name) && s->serial == who->serial)
        return 0;
    return error_set(err, -EBADMSG,
                     "this %s names '" SPAN_FMT
                     "' (serial %llu) as its signer, but the key belongs to '%s' (serial %llu)",
                     kind, SPAN_ARG(s->signer), (unsigned long long)s->serial, who->name,
                     (unsigned long long)who->serial);
}
