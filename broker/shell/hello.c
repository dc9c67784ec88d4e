/* hello.c - see hello.h. */
#include "broker/shell/hello.h"

#include <errno.h>
#include <string.h>

#include "broker/shell/known.h"
#include "broker/shell/turn.h"
#include "common/log.h"

/* Judges the certificate that HELLO brings before it is kept. Keeping it (known_add) admits its
 * key, and only ENROL and an administrator's PUBLISH may admit a new key. So a certificate is kept
 * only if its key and its name are known as one and its serial is higher than ours, which happens
 * after a restored backup. The holder of a one-time key can make any number of others with our
 * serial; they add nothing. */
static enum refusal judge_brought(const struct hash *key, const struct certificate *c,
                                  const struct certificate *have, struct error *why)
{
    if (have && hash_eq(&c->transport_key, key) && strcmp(c->name, have->name) == 0)
        return REFUSAL_NONE;
    error_set(why, -EACCES,
              have ? "the certificate of '%s' is for another key or name than this session's"
                   : "the certificate of '%s' has not been enrolled: join first "
                     "(lbworker join, lbsubmit join)",
              c->name);
    return REFUSAL_UNKNOWN_PRINCIPAL;
}

/* Newer than ours, an administrator's word, and its key is not revoked: what an invitation allows
 * comes with ENROL, and no certificate brings a revoked key back. */
static bool is_renewal(const struct shell *sh, const struct certificate *c,
                       const struct certificate *have)
{
    return c->serial > have->serial && !c->invited_until && c->role == have->role &&
           !view_revoked(sh->core, have->serial);
}

/* Its holder was away when it was renewed, and gets the new one with WELCOME. */
static bool was_renewed(struct span expired, const struct certificate *have)
{
    struct certificate old = {0};
    const bool was = have && certificate_read(expired, &old, NULL) == 0 &&
                     hash_eq(&old.sign_key, &have->sign_key) && strcmp(old.name, have->name) == 0 &&
                     old.serial < have->serial;
    certificate_free(&old);
    return was;
}

static enum refusal take_brought(struct shell *sh, const struct hash *key, struct span bytes,
                                 const struct certificate *have, const struct certificate **ret,
                                 struct error *why)
{
    struct certificate c = {0};
    enum refusal code = REFUSAL_NONE;
    const int64_t now = loop_now_wall(sh->loop);
    *ret = have;
    /* a known one has already been verified */
    const struct certificate *brought = known_by_bytes(sh->known, bytes);
    if (!brought && certificate_verify(bytes, sh->anchors, now, &c, &code, why) < 0)
        return code == REFUSAL_EXPIRED_CERTIFICATE && was_renewed(bytes, have) ? REFUSAL_NONE
                                                                               : code;
    code = judge_brought(key, brought ? brought : &c, have, why);
    if (code == REFUSAL_NONE && !brought && is_renewal(sh, &c, have))
        known_add(sh->known, bytes, now, ret, &code, why);
    certificate_free(&c);
    return code;
}

/* The certificate of this key: the newest known, or the one in HELLO if that is newer. */
static enum refusal find_certificate(struct shell *sh, const struct hash *key,
                                     const struct m_hello *m, const struct certificate **ret,
                                     struct error *why)
{
    const struct certificate *have = known_by_key(sh->known, key);
    if (m->certificate.n)
        return take_brought(sh, key, m->certificate, have, ret, why);
    if ((*ret = have))
        return REFUSAL_NONE;
    error_set(why, -EACCES,
              "this key has no certificate here and HELLO brings none: join first "
              "(lbworker join, lbsubmit join)");
    return REFUSAL_UNKNOWN_PRINCIPAL;
}

static enum refusal judge(const struct shell *sh, const struct certificate *c, struct error *why)
{
    if (view_revoked(sh->core, c->serial)) {
        error_set(why, -EACCES, "the certificate of '%s' (serial %llu) has been revoked", c->name,
                  (unsigned long long)c->serial);
        return REFUSAL_REVOKED;
    }
    if (c->not_after && c->not_after <= loop_now_wall(sh->loop)) {
        error_set(why, -EACCES,
                  "the certificate of '%s' has expired; an administrator can run: "
                  "lbctl certificates renew %s",
                  c->name, c->name);
        return REFUSAL_EXPIRED_CERTIFICATE;
    }
    if (c->role == ROLE_BUILDER || c->role == ROLE_BROKER) {
        error_set(why, -EACCES, "'%s' is a %s: that role has no session", c->name,
                  role_word(c->role));
        return REFUSAL_WRONG_ROLE;
    }
    return REFUSAL_NONE;
}

enum refusal hello_still_good(const struct shell *sh, const struct shell_peer *p,
                              const char **ret_text)
{
    const struct certificate *c = p->certificate;
    if (c && view_revoked(sh->core, c->serial)) {
        *ret_text = "the certificate has been revoked";
        return REFUSAL_REVOKED;
    }
    if (c && c->not_after && c->not_after <= loop_now_wall(sh->loop)) {
        *ret_text =
            "the certificate has expired; an administrator can renew it: lbctl certificates renew";
        return REFUSAL_EXPIRED_CERTIFICATE;
    }
    return REFUSAL_NONE;
}

static struct shell_peer *add_peer(struct shell *sh, uint64_t handle, const struct hash *key,
                                   const char *address, const struct certificate *c)
{
    struct shell_peer *p = mem_zalloc(1, sizeof *p);
    p->handle = handle;
    p->key = *key;
    p->certificate = c;
    span_copy_str(span_str(address), p->address, sizeof p->address);
    p->who.name = c ? c->name : "";
    p->who.role = c ? role_word(c->role) : "";
    p->who.address = p->address;
    if (c) {
        p->who.certificate = buf_span(&c->signed_bytes);
        p->who.pools = (const char *const *)c->pools;
        p->who.n_pools = (unsigned)c->n_pools;
    }
    HASH_ADD(hh, sh->peers, handle, sizeof p->handle, p);
    return p;
}

enum refusal hello_take(void *shell, uint64_t handle, const struct hash *key, const char *address,
                        struct span hello, struct error *why)
{
    struct shell *sh = shell;
    struct m_hello m;
    struct d_invitation invitation;
    const struct certificate *c = NULL;
    hello = messages_fit(KIND_M_HELLO, PROTO_MINOR, hello, &sh->trimmed);
    if (m_hello_decode(hello, &m, why) < 0)
        return REFUSAL_MALFORMED;
    if (m.major != PROTO_MAJOR) {
        error_set(
            why, -EPROTO,
            "the peer speaks protocol %llu, this broker %d; install the same version of Longboat",
            (unsigned long long)m.major, PROTO_MAJOR);
        return REFUSAL_VERSION;
    }
    bool invited =
        !m.certificate.n && known_invited(sh->known, key, loop_now_wall(sh->loop), &invitation);
    enum refusal code = invited ? REFUSAL_NONE : find_certificate(sh, key, &m, &c, why);
    if (code == REFUSAL_NONE && c)
        code = judge(sh, c, why);
    if (code != REFUSAL_NONE) {
        log_info("session from %s refused: %s", address, why->text);
        return code;
    }
    struct shell_peer *p = add_peer(sh, handle, key, address, c);
    p->minor = m.minor;
    if (invited) { /* it may only send ENROL, and has the name that it asks for */
        span_copy_str(invitation.name, p->invited, sizeof p->invited);
        p->who.name = p->invited;
    }
    struct bcore_event ev = {.kind = BCORE_PEER_UP,
                             .peer = handle,
                             .who = &p->who,
                             .message = hello,
                             .window_open = true};
    turn_step(sh, &ev);
    return REFUSAL_NONE;
}

void hello_forget(struct shell *sh, struct shell_peer *p)
{
    for (unsigned i = 0; i < sh->n_listeners; i++)
        if (sh->listeners[i].peer_gone)
            sh->listeners[i].peer_gone(sh->listeners[i].self, p->handle);
    HASH_DEL(sh->peers, p);
    mem_free(&p);
}
