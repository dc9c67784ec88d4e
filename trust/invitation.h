/* invitation.h - joining a cluster: an administrator prints a token, the newcomer makes its keys
 * and signs them with it.
 *
 * The token holds the broker's addresses and key, the administrators' keys, and a one-time key with
 * an invitation signed by an administrator. Anyone who has that key can become this principal until
 * the invitation expires. Text: "longboat-join:" and the base64url of a d_token. The token is a
 * secret until it is used. Signatures as in envelope.h. */
#ifndef LB_TRUST_INVITATION_H
#define LB_TRUST_INVITATION_H

#include "trust/certificate.h"

#define TOKEN_PREFIX "longboat-join:"

/* What an invitation offers. The caller keeps ownership of the texts. */
struct invitation_order {
    const char *cluster, *name;
    enum role role;
    uint64_t serial; /* that the certificate will have */
    const char *const *pools;
    size_t n_pools;
    const char *const *grants;
    size_t n_grants;
    int64_t expires;               /* of the invitation, wall ms */
    int64_t certificate_not_after; /* of the certificate made from it, wall ms */
    /* for the token */
    const char *const *addresses; /* of the broker */
    size_t n_addresses;
    struct hash broker_key; /* its transport key */
    const struct hash *administrators;
    size_t n_administrators;
};

/* Makes a one-time key, the invitation and its token. The caller wipes and frees *ret_text.
 * -EINVAL: the order is invalid; *err says why. */
int invitation_make(const struct invitation_order *order, const struct key *administrator,
                    char **ret_text, struct error *err);

/* A token, read. token_free wipes the one-time seed. */
struct token {
    char **addresses;
    size_t n_addresses;
    struct hash broker_key;
    struct trust_anchors anchors; /* cluster and administrators */
    uint8_t one_time_seed[KEY_SEED];
    struct buf invitation; /* d_signed */
    /* of the invitation, verified by the anchors that came with it */
    char name[LIMIT_NAME + 1];
    enum role role;
    int64_t expires;
};
/* Reads a token; white space around it is ignored. Release *ret with token_free. -EINVAL: not a
 * token, or an incomplete one; -EBADMSG: its invitation is not signed by an administrator that it
 * names, or is for another one-time key. */
int token_parse(const char *text, struct token *ret, struct error *err);
void token_free(struct token *t);

/* Makes the newcomer's certificate with all that the invitation offers, signed by the one-time
 * key; appends a d_signed. `seal_key`: zero unless a server joins. -ETIME: the invitation has
 * expired. */
int token_make_certificate(const struct token *t, const struct hash *sign_key,
                           const struct hash *seal_key, int64_t now, struct buf *out,
                           struct error *err);

/* Verifies a d_signed invitation against the anchors; *ret points into `bytes`. */
int invitation_open(struct span bytes, const struct trust_anchors *anchors,
                    struct d_invitation *ret, struct error *err);

#endif
