/* lockedkey.c - see lockedkey.h. */
#include "trust/lockedkey.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/id.h"
#include "common/mem.h"
#include "trust/secret.h"

#define MAGIC "longboat-locked-key "

enum {
    NONCE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    SALT = crypto_pwhash_SALTBYTES,
    BOX = KEY_SEED + crypto_aead_xchacha20poly1305_ietf_ABYTES,
    CHECK = 8,
};

const struct lockedkey_cost lockedkey_usual = {crypto_pwhash_OPSLIMIT_MODERATE,
                                               crypto_pwhash_MEMLIMIT_MODERATE};

struct locked {
    struct hash public_key;
    struct lockedkey_cost cost;
    uint8_t salt[SALT], nonce[NONCE], box[BOX];
    struct span authenticated; /* the lines above the box */
};

bool lockedkey_is(struct span text)
{
    return text.n >= strlen(MAGIC) && memcmp(text.p, MAGIC, strlen(MAGIC)) == 0;
}

static void check_of(struct span text, char ret[2 * CHECK + 1])
{
    uint8_t digest[32];
    crypto_generichash(digest, sizeof digest, text.p, text.n, NULL, 0);
    hex_format(digest, CHECK, ret);
}

/* The key that opens the box, in memory for secrets. NULL: no memory for it. */
static uint8_t *derive(const char *passphrase, const struct locked *l)
{
    uint8_t *key = secret_alloc();
    if (crypto_pwhash(key, crypto_aead_xchacha20poly1305_ietf_KEYBYTES, passphrase,
                      strlen(passphrase), l->salt, l->cost.operations, l->cost.memory,
                      crypto_pwhash_ALG_ARGON2ID13) == 0)
        return key;
    secret_free(key);
    return NULL;
}

static int no_memory(const struct locked *l, struct error *err)
{
    return error_set(err, -ENOMEM,
                     "a passphrase takes %zu MiB of memory for a moment, and there is less",
                     l->cost.memory >> 20);
}

int lockedkey_seal(const struct key *key, const char *passphrase, const struct lockedkey_cost *cost,
                   struct buf *out, struct error *err)
{
    struct locked l = {.public_key = key->sign, .cost = *cost};
    char text[KEY_TEXT], salt[2 * SALT + 1], nonce[2 * NONCE + 1], box[2 * BOX + 1],
        check[2 * CHECK + 1];
    randombytes_buf(l.salt, sizeof l.salt);
    randombytes_buf(l.nonce, sizeof l.nonce);
    uint8_t *secret = derive(passphrase, &l);
    if (!secret)
        return no_memory(&l, err);
    struct buf lines = {0};
    buf_printf(&lines, MAGIC "1\npublic %s\nargon2id %llu %zu %s\n", key_format(&key->sign, text),
               cost->operations, cost->memory, hex_format(l.salt, SALT, salt));
    crypto_aead_xchacha20poly1305_ietf_encrypt(l.box, NULL, key->seed, KEY_SEED, lines.p, lines.n,
                                               NULL, l.nonce, secret);
    secret_free(secret);
    buf_printf(&lines, "xchacha20poly1305 %s %s\n", hex_format(l.nonce, NONCE, nonce),
               hex_format(l.box, BOX, box));
    check_of(buf_span(&lines), check);
    buf_printf(&lines, "check %s\n", check);
    buf_add(out, lines.p, lines.n);
    buf_free(&lines);
    return 0;
}

static int damaged(struct error *err)
{
    return error_set(err, -EINVAL, "the encrypted key is damaged; restore it from a backup");
}

/* A line "NAME REST\n" of *text, which is moved on; false: it is another. */
static bool take_line(struct span *text, const char *name, struct span *ret)
{
    size_t n = strlen(name);
    const uint8_t *end = text->n ? memchr(text->p, '\n', text->n) : NULL;
    if (!end || (size_t)(end - text->p) < n || memcmp(text->p, name, n) != 0)
        return false;
    *ret = span_of(text->p + n, (size_t)(end - text->p) - n);
    text->n -= (size_t)(end + 1 - text->p);
    text->p = end + 1;
    return true;
}

static bool take_hex(struct span digits, uint8_t *ret, size_t n)
{
    char text[2 * BOX + 1];
    if (digits.n != 2 * n || digits.n >= sizeof text)
        return false;
    memcpy(text, digits.p, digits.n);
    text[digits.n] = 0;
    return hex_parse(text, ret, n) == 0;
}

static bool take_cost(struct span line, struct locked *l)
{
    char text[96];
    int at = 0;
    if (line.n >= sizeof text)
        return false;
    memcpy(text, line.p, line.n);
    text[line.n] = 0;
    return sscanf(text, "%4llu %12zu %n", &l->cost.operations, &l->cost.memory, &at) == 2 &&
           take_hex(span_of(text + at, strlen(text + at)), l->salt, SALT) &&
           l->cost.operations >= crypto_pwhash_OPSLIMIT_MIN &&
           l->cost.operations <= crypto_pwhash_OPSLIMIT_SENSITIVE &&
           l->cost.memory >= crypto_pwhash_MEMLIMIT_MIN &&
           l->cost.memory <= crypto_pwhash_MEMLIMIT_SENSITIVE;
}

static bool take_box(struct span line, struct locked *l)
{
    return line.n == 2 * NONCE + 1 + 2 * BOX && line.p[2 * NONCE] == ' ' &&
           take_hex(span_of(line.p, 2 * NONCE), l->nonce, NONCE) &&
           take_hex(span_of(line.p + 2 * NONCE + 1, 2 * BOX), l->box, BOX);
}

static int parse(struct span text, struct locked *l, struct error *err)
{
    struct span rest = text, line;
    char check[2 * CHECK + 1];
    if (!lockedkey_is(text) || !take_line(&rest, MAGIC, &line))
        return damaged(err);
    if (!span_eq_str(line, "1"))
        return error_set(err, -EPROTONOSUPPORT,
                         "the encrypted key is of version '%.*s'; this program knows version 1: "
                         "use the Longboat that wrote it, or a newer one",
                         line.n > 8 ? 8 : (int)line.n, (const char *)line.p);
    if (!take_line(&rest, "public ", &line) ||
        !take_hex(line, l->public_key.b, sizeof l->public_key.b) ||
        !take_line(&rest, "argon2id ", &line) || !take_cost(line, l))
        return damaged(err);
    l->authenticated = span_of(text.p, (size_t)(rest.p - text.p));
    if (!take_line(&rest, "xchacha20poly1305 ", &line) || !take_box(line, l))
        return damaged(err);
    check_of(span_of(text.p, (size_t)(rest.p - text.p)), check);
    return take_line(&rest, "check ", &line) && span_eq_str(line, check) && rest.n == 0
               ? 0
               : damaged(err);
}

int lockedkey_public(struct span text, struct hash *ret, struct error *err)
{
    struct locked l;
    int rc = parse(text, &l, err);
    if (rc == 0)
        *ret = l.public_key;
    return rc;
}

int lockedkey_open(struct span text, const char *passphrase, uint8_t ret_seed[KEY_SEED],
                   struct error *err)
{
    struct locked l;
    int rc = parse(text, &l, err);
    if (rc < 0)
        return rc;
    uint8_t *secret = derive(passphrase, &l);
    if (!secret)
        return no_memory(&l, err);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(ret_seed, NULL, NULL, l.box, BOX,
                                                   l.authenticated.p, l.authenticated.n, l.nonce,
                                                   secret) != 0)
        rc = error_set(err, -EBADMSG, "the passphrase is wrong");
    secret_free(secret);
    return rc;
}
