/* invitation.c - see invitation.h. */
#include "trust/invitation.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#include "common/id.h"
#include "common/mem.h"
#include "trust/envelope.h"
#include "trust/identity.h"

enum { TOKEN_ADDRESSES = 16, TOKEN_ADMINISTRATORS = 16, TOKEN_TEXT_MAX = 4 * LIMIT_CERTIFICATE };

/* A buffer that has held the one-time seed. */
static void wipe(struct buf *b)
{
    if (b->p)
        sodium_memzero(b->p, b->cap);
    buf_free(b);
}

static void wipe_text(char **text)
{
    if (*text)
        sodium_memzero(*text, strlen(*text));
    mem_free(text);
}

int invitation_open(struct span bytes, const struct trust_anchors *anchors,
                    struct d_invitation *ret, struct error *err)
{
    struct d_signed s;
    struct d_invitation i;
    enum role role;
    int rc = identity_open(ENVELOPE_INVITATION, bytes, anchors, &s, NULL, err);
    if (rc < 0 || (rc = d_invitation_decode(s.body, &i, err)) < 0)
        return rc;
    struct identity id = {
        ENVELOPE_INVITATION, i.cluster, i.name, i.role, i.serial, i.pools, i.grants};
    if ((rc = identity_check(&id, anchors->cluster, &role, NULL, err)) < 0)
        return rc;
    *ret = i;
    return 0;
}

static int encode_invitation(const struct invitation_order *o, const struct hash *one_time,
                             struct buf *out, struct error *err)
{
    struct d_invitation i = {.cluster = span_str(o->cluster),
                             .one_time_key = *one_time,
                             .name = span_str(o->name),
                             .role = span_str(role_word(o->role)),
                             .serial = o->serial,
                             .expires = o->expires,
                             .certificate_not_after = o->certificate_not_after};
    struct buf pools = {0}, grants = {0};
    int rc = 0;
    if (strlen(o->cluster) > LIMIT_NAME || strlen(o->name) > LIMIT_NAME)
        rc = error_set(err, -EINVAL, "the cluster's name or '%.70s' is longer than %d bytes",
                       o->name, LIMIT_NAME);
    if (rc == 0 && (o->expires <= 0 || o->certificate_not_after <= o->expires))
        rc = error_set(err, -EINVAL,
                       "an invitation must expire, and its certificate must expire later");
    if (rc == 0)
        rc = identity_list("pool", o->pools, o->n_pools, LIMIT_POOLS, LIMIT_NAME, &pools, &i.pools,
                           err);
    if (rc == 0)
        rc = identity_list("grant", o->grants, o->n_grants, LIMIT_GRANTS, LIMIT_SHORT, &grants,
                           &i.grants, err);
    if (rc == 0)
        d_invitation_encode(&i, out);
    buf_free(&pools);
    buf_free(&grants);
    return rc;
}

static int encode_token(const struct invitation_order *o, const struct key *one_time,
                        struct span invitation, struct buf *out, struct error *err)
{
    struct buf addresses = {0}, administrators = {0};
    struct d_token t = {
        .cluster = span_str(o->cluster), .broker_key = o->broker_key, .invitation = invitation};
    memcpy(t.one_time_seed.b, one_time->seed, KEY_SEED);
    int rc = identity_list("address", o->addresses, o->n_addresses, TOKEN_ADDRESSES, LIMIT_SHORT,
                           &addresses, &t.addresses, err);
    if (rc == 0 && (o->n_addresses == 0 || o->n_administrators == 0 ||
                    o->n_administrators > TOKEN_ADMINISTRATORS))
        rc = error_set(err, -EINVAL,
                       "a token needs an address of the broker and 1 to %d administrators' keys",
                       TOKEN_ADMINISTRATORS);
    if (rc == 0 && invitation.n > LIMIT_CERTIFICATE / 2)
        rc = error_set(err, -EINVAL,
                       "an invitation of %zu bytes is too large: use fewer or shorter grants",
                       invitation.n);
    if (rc == 0) {
        for (size_t i = 0; i < o->n_administrators; i++)
            wire_add_bin(&administrators,
                         span_of(o->administrators[i].b, sizeof o->administrators[i].b));
        t.administrators = wire_list_from(&administrators, (uint32_t)o->n_administrators);
        buf_grow(out, TOKEN_TEXT_MAX); /* at once: no copy of the seed stays in freed memory */
        d_token_encode(&t, out);
    }
    sodium_memzero(&t.one_time_seed, sizeof t.one_time_seed);
    buf_free(&addresses);
    buf_free(&administrators);
    return rc;
}

int invitation_make(const struct invitation_order *order, const struct key *administrator,
                    char **ret_text, struct error *err)
{
    struct buf body = {0}, signed_bytes = {0}, token = {0};
    struct token judged = {0};
    struct key one_time;
    char *text = NULL;
    key_make(&one_time);
    int rc = encode_invitation(order, &one_time.sign, &body, err);
    if (rc == 0)
        rc = envelope_sign(ENVELOPE_INVITATION, administrator, "", 0, buf_span(&body),
                           &signed_bytes, err);
    if (rc == 0)
        rc = encode_token(order, &one_time, buf_span(&signed_bytes), &token, err);
    if (rc == 0) {
        char *encoded = b64_format(buf_span(&token));
        text = mem_printf(TOKEN_PREFIX "%s", encoded);
        wipe_text(&encoded);
        if (token_parse(text, &judged, err) < 0) { /* we must accept what we print */
            rc = -EINVAL;
            wipe_text(&text);
        }
    }
    if (rc == 0)
        *ret_text = text;
    else if (err)
        err->code = rc;
    key_forget(&one_time);
    token_free(&judged);
    buf_free(&body);
    buf_free(&signed_bytes);
    wipe(&token);
    return rc;
}

void token_free(struct token *t)
{
    for (size_t i = 0; i < t->n_addresses; i++)
        mem_free(&t->addresses[i]);
    mem_free(&t->addresses);
    anchors_free(&t->anchors);
    buf_free(&t->invitation);
    sodium_memzero(t, sizeof *t);
}

static int fill_anchors(const struct d_token *d, struct token *t, struct error *err)
{
    struct wire_iter it = wire_iter(&d->administrators);
    struct hash keys[TOKEN_ADMINISTRATORS];
    struct span item;
    char cluster[LIMIT_NAME + 1];
    size_t n = 0;
    while (n < TOKEN_ADMINISTRATORS && wire_next(&it, &item)) {
        if (item.n != sizeof keys[0].b)
            return error_set(err, -EINVAL, "the token has an administrator's key of %zu bytes",
                             item.n);
        memcpy(keys[n++].b, item.p, item.n);
    }
    if (n == 0 || d->addresses.count == 0)
        return error_set(err, -EINVAL,
                         "the token has no administrators' keys or no broker address");
    span_copy_str(d->cluster, cluster, sizeof cluster);
    anchors_from(cluster, keys, n, &t->anchors);
    return 0;
}

static int fill(const struct d_token *d, struct token *t, struct error *err)
{
    struct d_invitation i;
    struct key one_time;
    int rc = fill_anchors(d, t, err);
    if (rc < 0)
        return rc;
    if ((rc = invitation_open(d->invitation, &t->anchors, &i, err)) < 0)
        return rc;
    key_from_seed(d->one_time_seed.b, &one_time);
    if (!hash_eq(&one_time.sign, &i.one_time_key))
        rc = error_set(err, -EBADMSG,
                       "the token's one-time key is not the one that the invitation names");
    key_forget(&one_time);
    if (rc < 0)
        return rc;
    struct wire_iter it = wire_iter(&d->addresses);
    struct span item;
    t->addresses = mem_zalloc(d->addresses.count, sizeof *t->addresses);
    while (wire_next(&it, &item))
        t->addresses[t->n_addresses++] = span_dup_str(item);
    t->broker_key = d->broker_key;
    memcpy(t->one_time_seed, d->one_time_seed.b, KEY_SEED);
    t->invitation = buf_dup(d->invitation);
    span_copy_str(i.name, t->name, sizeof t->name);
    t->expires = i.expires;
    return role_parse(i.role, &t->role, err);
}

int token_parse(const char *text, struct token *ret, struct error *err)
{
    static const char space[] = " \t\r\n";
    const size_t prefix = strlen(TOKEN_PREFIX);
    text += strspn(text, space);
    size_t n = strcspn(text, space);
    if (strncmp(text, TOKEN_PREFIX, prefix) != 0 || n > TOKEN_TEXT_MAX ||
        text[n + strspn(text + n, space)])
        return error_set(err, -EINVAL,
                         "this is not a token of `lbctl invite`: a token is one word that begins "
                         "with " TOKEN_PREFIX);
    char *encoded = mem_dup(text + prefix, n - prefix + 1);
    encoded[n - prefix] = 0;
    struct buf bytes = {0};
    struct token t = {0};
    struct d_token d;
    int rc;
    if (b64_parse(encoded, &bytes, err) < 0 || d_token_decode(buf_span(&bytes), &d, err) < 0) {
        error_prefix(err, "the token is incomplete or was altered when it was copied");
        if (err)
            err->code = -EINVAL;
        rc = -EINVAL;
    } else {
        rc = fill(&d, &t, err);
        sodium_memzero(&d, sizeof d);
    }
    wipe_text(&encoded);
    wipe(&bytes);
    if (rc < 0) {
        token_free(&t);
        return rc;
    }
    *ret = t;
    return 0;
}

static char **texts_of(const struct wire_list *list)
{
    char **texts = mem_zalloc(list->count, sizeof *texts);
    struct wire_iter it = wire_iter(list);
    struct span item;
    for (size_t n = 0; wire_next(&it, &item); n++)
        texts[n] = span_dup_str(item);
    return texts;
}

static void texts_free(char ***texts, size_t n)
{
    for (size_t i = 0; *texts && i < n; i++)
        mem_free(&(*texts)[i]);
    mem_free(texts);
}

int token_make_certificate(const struct token *t, const struct hash *sign_key,
                           const struct hash *seal_key, int64_t now, struct buf *out,
                           struct error *err)
{
    struct d_invitation i;
    struct key one_time;
    int rc = invitation_open(buf_span(&t->invitation), &t->anchors, &i, err);
    if (rc < 0)
        return rc;
    if (now > i.expires)
        return error_set(
            err, -ETIME,
            "the invitation of '%s' expired %lld minutes ago; an administrator can make a new "
            "one: lbctl invite",
            t->name, (long long)((now - i.expires) / 60000));
    char **pools = texts_of(&i.pools), **grants = texts_of(&i.grants);
    struct certificate_order order = {.cluster = t->anchors.cluster,
                                      .name = t->name,
                                      .role = t->role,
                                      .serial = i.serial,
                                      .sign_key = *sign_key,
                                      .seal_key = *seal_key,
                                      .pools = (const char *const *)pools,
                                      .n_pools = i.pools.count,
                                      .grants = (const char *const *)grants,
                                      .n_grants = i.grants.count,
                                      .not_before = now,
                                      .not_after = i.certificate_not_after};
    key_from_seed(t->one_time_seed, &one_time);
    rc = certificate_make_by_invitation(&order, &one_time, buf_span(&t->invitation), out, err);
    key_forget(&one_time);
    texts_free(&pools, order.n_pools);
    texts_free(&grants, order.n_grants);
    return rc;
}
