/* seal.c - see seal.h. */
#include "trust/seal.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

static const uint8_t tag[16] = "longboat/seal/1"; /* with its NUL */
enum { CONTEXT_HASH = 32, HEAD = sizeof tag + CONTEXT_HASH };
_Static_assert(SEAL_OVERHEAD == crypto_box_SEALBYTES + HEAD,
               "seal.h says how much longer a sealed value is");

static void hash_number(crypto_generichash_state *state, uint64_t v)
{
    uint8_t p[8];
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
    crypto_generichash_update(state, p, sizeof p);
}

static void hash_text(crypto_generichash_state *state, const char *text)
{
    hash_number(state, strlen(text)); /* the length first: "a" + "bc" is not "ab" + "c" */
    crypto_generichash_update(state, (const uint8_t *)text, strlen(text));
}

static void head_of(const struct seal_context *c, uint8_t ret[HEAD])
{
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, CONTEXT_HASH);
    hash_text(&state, c->kind);
    hash_text(&state, c->key);
    crypto_generichash_update(&state, c->package.b, sizeof c->package.b);
    hash_text(&state, c->parameter);
    hash_number(&state, (uint64_t)c->expires);
    memcpy(ret, tag, sizeof tag);
    crypto_generichash_final(&state, ret + sizeof tag, CONTEXT_HASH);
}

int seal_value(const struct seal_context *context, const struct hash *seal_key, struct span value,
               struct buf *out, struct error *err)
{
    size_t n = HEAD + value.n;
    struct buf plain = {0};
    uint8_t *p = buf_grow(&plain, n), *to = buf_grow(out, n + crypto_box_SEALBYTES);
    head_of(context, p);
    if (value.n)
        memcpy(p + HEAD, value.p, value.n);
    int rc = crypto_box_seal(to, p, n, seal_key->b);
    sodium_memzero(p, n);
    buf_free(&plain);
    char text[KEY_SHORT_TEXT];
    if (rc != 0)
        return error_set(err, -EINVAL, "parameter '%s' cannot be sealed: %s is not a seal key",
                         context->parameter, key_short(seal_key, text));
    out->n += n + crypto_box_SEALBYTES;
    return 0;
}

int seal_open(const struct seal_context *context, const struct seal_key *key, struct span sealed,
              struct buf *out, struct error *err)
{
    struct buf plain = {0};
    uint8_t head[HEAD];
    int rc = 0;
    if (sealed.n < SEAL_OVERHEAD)
        return error_set(err, -EBADMSG, "parameter '%s': a sealed value of %zu bytes is truncated",
                         context->parameter, sealed.n);
    size_t n = sealed.n - crypto_box_SEALBYTES;
    uint8_t *p = buf_grow(&plain, n);
    head_of(context, head);
    if (crypto_box_seal_open(p, sealed.p, sealed.n, key->public_key.b, key->secret) != 0)
        rc = error_set(err, -EBADMSG,
                       "parameter '%s' is not sealed to this server's key, or was altered",
                       context->parameter);
    else if (sodium_memcmp(p, head, HEAD) != 0)
        rc = error_set(err, -EBADMSG,
                       "parameter '%s' was sealed for another call, package, parameter or end",
                       context->parameter);
    else
        buf_add(out, p + HEAD, n - HEAD);
    sodium_memzero(p, n);
    buf_free(&plain);
    return rc;
}
