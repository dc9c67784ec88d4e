/* claim.c - see claim.h. */
#include "broker/depot/claim.h"

#include <errno.h>
#include <string.h>

#include "broker/shell/known.h"
#include "trust/possession.h"

/* ---- Both */

static enum refusal judge_reserved(const struct shell *sh, const struct certificate *c,
                                   struct error *err)
{
    if (strcmp(c->name, sh->certificate->name) == 0 || strcmp(c->name, sh->name) == 0) {
        error_set(err, -EEXIST, "'%s' is the name of the broker; choose another name", c->name);
        return REFUSAL_NAME_TAKEN;
    }
    if (c->role == ROLE_BROKER) {
        error_set(err, -EACCES,
                  "a broker's certificate is not enrolled: it lies in the broker's own folder "
                  "(trust/broker)");
        return REFUSAL_DENIED;
    }
    return REFUSAL_NONE;
}

/* A name keeps its role for ever: whoever trusts a server of this name must not meet a caller. */
static enum refusal judge_role(const struct shell *sh, const struct certificate *c,
                               struct error *err)
{
    struct view_certificate v;
    const struct certificate *now = known_by_name(sh->known, c->name);
    const char *role = now                                          ? role_word(now->role)
                       : view_certificate(sh->core, c->name, 0, &v) ? v.role
                                                                    : NULL;
    if (!role || strcmp(role, role_word(c->role)) == 0)
        return REFUSAL_NONE;
    error_set(err, -EEXIST, "the name '%s' belongs to a principal of the role %s; choose another",
              c->name, role);
    return REFUSAL_NAME_TAKEN;
}

static bool is_revoked(const struct shell *sh, const struct hash *key)
{
    const struct owners_name *owner = known_owner(sh->known, key);
    return owner && view_revoked(sh->core, owner->serial);
}

static enum refusal judge_revoked(const struct shell *sh, const struct certificate *c,
                                  struct error *err)
{
    if (!is_revoked(sh, &c->sign_key) && !is_revoked(sh, &c->seal_key))
        return REFUSAL_NONE;
    error_set(err, -EACCES,
              "a key of this certificate of '%s' was revoked and stays so; make a new key and join "
              "with: lbctl invite",
              c->name);
    return REFUSAL_REVOKED;
}

/* ---- ENROL */

static enum refusal judge_possession(const struct certificate *c, const struct m_enrol *m,
                                     struct error *err)
{
    switch (possession_check(&c->sign_key, m->certificate, m->possession, err)) {
    case 0:
        return REFUSAL_NONE;
    case -ENODATA:
        return REFUSAL_VERSION;
    default:
        return REFUSAL_BAD_SIGNATURE;
    }
}

/* The invitation inside must be the one whose one-time key this session has. */
static enum refusal judge_invited(const struct shell *sh, const struct shell_peer *p,
                                  const struct certificate *c, struct error *err)
{
    struct d_invitation i;
    struct d_signed s;
    struct hash signer;
    if (known_invited(sh->known, &p->key, loop_now_wall(sh->loop), &i) &&
        span_eq_str(i.name, c->name) && i.serial == c->serial &&
        d_signed_decode(buf_span(&c->signed_bytes), &s, NULL) == 0 &&
        key_transport_of(&s.key, &signer, NULL) == 0 && hash_eq(&signer, &p->key))
        return REFUSAL_NONE;
    error_set(err, -EACCES, "this key was not invited to become '%s'", c->name);
    return REFUSAL_DENIED;
}

/* A name belongs to its key until that certificate is revoked or expires. */
static enum refusal judge_name(const struct shell *sh, const struct certificate *c,
                               struct error *err)
{
    const struct certificate *now = known_by_name(sh->known, c->name);
    enum refusal code = judge_reserved(sh, c, err);
    if (code == REFUSAL_NONE)
        code = judge_role(sh, c, err);
    if (code != REFUSAL_NONE)
        return code;
    if (!now || view_revoked(sh->core, now->serial) || now->not_after <= loop_now_wall(sh->loop))
        return REFUSAL_NONE;
    error_set(err, -EEXIST,
              "the name '%s' belongs to another key; an administrator can free it with: lbctl "
              "certificates revoke %s",
              c->name, c->name);
    return REFUSAL_NAME_TAKEN;
}

/* Whoever joins makes new keys: not even a key of the same name is taken again. */
static enum refusal judge_new_keys(const struct shell *sh, const struct certificate *c,
                                   struct error *err)
{
    enum refusal code = judge_revoked(sh, c, err);
    if (code == REFUSAL_NONE)
        code = known_judge_keys(sh->known, c, err);
    if (code != REFUSAL_NONE ||
        (!known_owner(sh->known, &c->sign_key) && !known_owner(sh->known, &c->seal_key)))
        return code;
    error_set(err, -EEXIST,
              "a key of this certificate has been '%s' before: whoever joins makes a new key",
              c->name);
    return REFUSAL_KEY_TAKEN;
}

static enum refusal judge_enrol(const struct shell *sh, const struct shell_peer *p,
                                const struct certificate *c, const struct m_enrol *m,
                                struct error *err)
{
    enum refusal code = judge_possession(c, m, err);
    /* the answer to the same request was lost: it is told again that it was done */
    if (code == REFUSAL_NONE && known_by_bytes(sh->known, m->certificate))
        return REFUSAL_NONE;
    if (code == REFUSAL_NONE)
        code = judge_invited(sh, p, c, err);
    if (code == REFUSAL_NONE)
        code = judge_new_keys(sh, c, err);
    if (code == REFUSAL_NONE)
        code = judge_name(sh, c, err);
    return code;
}

enum refusal claim_enrol(const struct shell *sh, const struct shell_peer *p,
                         const struct m_enrol *m, struct error *err)
{
    struct certificate c = {0};
    enum refusal code = REFUSAL_NONE;
    if (certificate_verify(m->certificate, sh->anchors, loop_now_wall(sh->loop), &c, &code, err) ==
        0)
        code = judge_enrol(sh, p, &c, m, err);
    certificate_free(&c);
    return code;
}

/* ---- PUBLISH */

static enum refusal judge_published(const struct shell *sh, const struct certificate *c,
                                    struct error *err)
{
    const struct certificate *now = known_by_name(sh->known, c->name);
    enum refusal code;
    if (c->invited_until) {
        error_set(err, -EACCES,
                  "the certificate of '%s' was made with an invitation: its holder hands it in "
                  "with ENROL, signed by its key",
                  c->name);
        return REFUSAL_DENIED;
    }
    if ((code = judge_reserved(sh, c, err)) != REFUSAL_NONE ||
        (code = judge_role(sh, c, err)) != REFUSAL_NONE ||
        (code = judge_revoked(sh, c, err)) != REFUSAL_NONE ||
        (code = known_judge_keys(sh->known, c, err)) != REFUSAL_NONE)
        return code;
    if (!now || now->serial <= c->serial)
        return REFUSAL_NONE;
    error_set(err, -EINVAL,
              "'%s' has a newer certificate, serial %llu: sign one with a greater serial", c->name,
              (unsigned long long)now->serial);
    return REFUSAL_STATE;
}

enum refusal claim_publish(const struct shell *sh, struct span certificate, struct error *err)
{
    struct certificate c = {0};
    enum refusal code = REFUSAL_NONE;
    if (certificate_verify(certificate, sh->anchors, loop_now_wall(sh->loop), &c, &code, err) == 0)
        code = judge_published(sh, &c, err);
    certificate_free(&c);
    return code;
}
