/* minisign_key.c - minisign's key files: see minisign.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "trust/minisign.h"
#include "trust/minisign_text.h"

enum {
    SCRYPT_MEMORY_MAX = 1 << 30, /* what minisign asks for; a file must not make us take more */
    SECRET_FILE = 4096,
    SECRET_TEXT = 4 * ((158 + 2) / 3) + 1 /* the longest base64 of these files, and its NUL */
};

struct public_line {
    uint8_t algorithm[2];
    uint8_t number[MINISIGN_NUMBER];
    uint8_t key[32];
};
_Static_assert(sizeof(struct public_line) == 42, "minisign's format has no gaps");

/* The last three fields are XORed with scrypt's output in an encrypted key. */
struct secret_hidden {
    uint8_t number[MINISIGN_NUMBER];
    uint8_t secret[64];
    uint8_t check[32]; /* BLAKE2b-256 of algorithm, number, secret; zero when not encrypted */
};
struct secret_line {
    uint8_t algorithm[2], kdf[2], check_algorithm[2];
    uint8_t salt[32], operations[8], memory[8]; /* little endian */
    struct secret_hidden hidden;
};
_Static_assert(sizeof(struct secret_line) == 158, "minisign's format has no gaps");

bool minisign_line(struct span *text, struct span *ret_line)
{
    if (text->n == 0)
        return false;
    const uint8_t *end = memchr(text->p, '\n', text->n);
    size_t n = end ? (size_t)(end - text->p) : text->n;
    *ret_line = span_of(text->p, n);
    if (n && text->p[n - 1] == '\r')
        ret_line->n--;
    n += end != NULL;
    *text = span_of(text->p + n, text->n - n);
    return true;
}

bool minisign_starts(struct span *line, const char *prefix)
{
    size_t n = strlen(prefix);
    if (line->n < n || memcmp(line->p, prefix, n) != 0)
        return false;
    *line = span_of(line->p + n, line->n - n);
    return true;
}

void minisign_base64_add(struct buf *out, const void *p, size_t n)
{
    size_t size = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL);
    sodium_bin2base64((char *)buf_grow(out, size), size, p, n, sodium_base64_VARIANT_ORIGINAL);
    out->n += size - 1;
}

bool minisign_base64_get(struct span text, void *out, size_t n)
{
    char again[SECRET_TEXT];
    size_t got = 0, size = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL);
    if (text.n != size - 1 || size > sizeof again ||
        sodium_base642bin(out, n, (const char *)text.p, text.n, NULL, &got, NULL,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        got != n)
        return false;
    /* libsodium 1.0.18 reads bytes above 127 as the characters below: accept only one spelling */
    sodium_bin2base64(again, size, out, n, sodium_base64_VARIANT_ORIGINAL);
    bool same = sodium_memcmp(again, text.p, text.n) == 0;
    sodium_memzero(again, sizeof again);
    return same;
}

void minisign_make(struct minisign_public *ret_public, struct minisign_secret *ret_secret)
{
    randombytes_buf(ret_secret->number, sizeof ret_secret->number);
    crypto_sign_keypair(ret_public->key.b, ret_secret->secret);
    memcpy(ret_public->number, ret_secret->number, sizeof ret_public->number);
}

void minisign_forget(struct minisign_secret *s)
{
    sodium_memzero(s, sizeof *s);
}

void minisign_public_of(const struct minisign_secret *s, struct minisign_public *ret)
{
    memcpy(ret->number, s->number, sizeof ret->number);
    crypto_sign_ed25519_sk_to_pk(ret->key.b, s->secret);
}

static uint64_t little_endian(const uint8_t p[8])
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

char *minisign_number(const uint8_t number[MINISIGN_NUMBER], char out[MINISIGN_NUMBER_TEXT])
{
    snprintf(out, MINISIGN_NUMBER_TEXT, "%" PRIX64,
             little_endian(number)); /* no leading zeros, as minisign has none */
    return out;
}

bool minisign_public_eq(const struct minisign_public *a, const struct minisign_public *b)
{
    return memcmp(a->number, b->number, sizeof a->number) == 0 && hash_eq(&a->key, &b->key);
}

void minisign_public_line(const struct minisign_public *p, struct buf *out)
{
    struct public_line line = {.algorithm = {'E', 'd'}};
    memcpy(line.number, p->number, sizeof line.number);
    memcpy(line.key, p->key.b, sizeof line.key);
    minisign_base64_add(out, &line, sizeof line);
}

void minisign_public_format(const struct minisign_public *p, struct buf *out)
{
    char number[MINISIGN_NUMBER_TEXT];
    buf_printf(out, MINISIGN_UNTRUSTED "minisign public key %s\n",
               minisign_number(p->number, number));
    minisign_public_line(p, out);
    buf_add_str(out, "\n");
}

int minisign_public_parse(struct span text, struct minisign_public *ret, struct error *err)
{
    struct public_line decoded;
    struct span line, comment;
    bool got = minisign_line(&text, &line);
    comment = line;
    if (got && minisign_starts(&comment, MINISIGN_UNTRUSTED))
        got = minisign_line(&text, &line);
    if (!got || text.n || !minisign_base64_get(line, &decoded, sizeof decoded) ||
        decoded.algorithm[0] != 'E' || decoded.algorithm[1] != 'd')
        return error_set(
            err, -EINVAL,
            "this is not a minisign public key: a line of 56 characters that begins with RW, with "
            "or without its comment above");
    memcpy(ret->number, decoded.number, sizeof ret->number);
    memcpy(ret->key.b, decoded.key, sizeof ret->key.b);
    return 0;
}

void minisign_secret_format(const struct minisign_secret *s, struct buf *out)
{
    struct secret_line line = {.algorithm = {'E', 'd'}, .check_algorithm = {'B', '2'}};
    memcpy(line.hidden.number, s->number, sizeof line.hidden.number);
    memcpy(line.hidden.secret, s->secret, sizeof line.hidden.secret);
    buf_grow(out, SECRET_FILE); /* at once: no copy of the secret stays in freed memory */
    buf_add_str(out, MINISIGN_UNTRUSTED "minisign unencrypted secret key\n");
    minisign_base64_add(out, &line, sizeof line);
    buf_add_str(out, "\n");
    sodium_memzero(&line, sizeof line);
}

static int decode_secret(struct span text, struct secret_line *ret, struct error *err)
{
    struct span line;
    if (!minisign_line(&text, &line) || !minisign_starts(&line, MINISIGN_UNTRUSTED) ||
        !minisign_line(&text, &line) || text.n || !minisign_base64_get(line, ret, sizeof *ret) ||
        memcmp(ret->algorithm, "Ed", 2) != 0 || memcmp(ret->check_algorithm, "B2", 2) != 0)
        return error_set(err, -EINVAL, "this is not a minisign secret key");
    return 0;
}

bool minisign_secret_is_encrypted(struct span text)
{
    struct secret_line line;
    bool encrypted = decode_secret(text, &line, NULL) == 0 && memcmp(line.kdf, "Sc", 2) == 0;
    sodium_memzero(&line, sizeof line);
    return encrypted;
}

static int decrypt(struct secret_line *line, const char *password, struct error *err)
{
    if (!password)
        return error_set(err, -EACCES,
                         "the minisign secret key is encrypted: its password is needed");
    uint64_t memory = little_endian(line->memory), operations = little_endian(line->operations);
    if (memory > SCRYPT_MEMORY_MAX ||
        operations > crypto_pwhash_scryptsalsa208sha256_OPSLIMIT_SENSITIVE)
        return error_set(
            err, -EINVAL,
            "the minisign secret key asks for more memory or time than minisign ever does");
    uint8_t stream[sizeof line->hidden], check[sizeof line->hidden.check],
        *hidden = (uint8_t *)&line->hidden;
    if (crypto_pwhash_scryptsalsa208sha256(stream, sizeof stream, password, strlen(password),
                                           line->salt, operations, memory) != 0)
        return error_set(err, -ENOMEM,
                         "decrypting the minisign secret key needs %llu MiB of memory",
                         (unsigned long long)(memory >> 20));
    for (size_t i = 0; i < sizeof stream; i++)
        hidden[i] ^= stream[i];
    sodium_memzero(stream, sizeof stream);
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof check);
    crypto_generichash_update(&state, line->algorithm, sizeof line->algorithm);
    crypto_generichash_update(&state, line->hidden.number, sizeof line->hidden.number);
    crypto_generichash_update(&state, line->hidden.secret, sizeof line->hidden.secret);
    crypto_generichash_final(&state, check, sizeof check);
    int same = sodium_memcmp(check, line->hidden.check, sizeof check);
    sodium_memzero(&state, sizeof state);
    sodium_memzero(check, sizeof check);
    if (same != 0)
        return error_set(err, -EBADMSG, "the password of the minisign secret key is wrong");
    return 0;
}

/* A pair is stored whole; a public half that does not belong to the seed would leak the key with
   its signatures. */
static int check_pair(const uint8_t secret[64], struct error *err)
{
    uint8_t public_key[32], made[64];
    crypto_sign_seed_keypair(public_key, made, secret);
    int same = sodium_memcmp(made, secret, sizeof made);
    sodium_memzero(made, sizeof made);
    if (same != 0)
        return error_set(
            err, -EBADMSG,
            "the minisign secret key is damaged: its public half does not belong to it");
    return 0;
}

int minisign_secret_parse(struct span text, const char *password, struct minisign_secret *ret,
                          struct error *err)
{
    struct secret_line line;
    int rc = decode_secret(text, &line, err);
    if (rc == 0 && memcmp(line.kdf, "Sc", 2) == 0)
        rc = decrypt(&line, password, err);
    else if (rc == 0 && memcmp(line.kdf, "\0\0", 2) != 0)
        rc = error_set(err, -EINVAL, "the minisign secret key is encrypted in an unknown way");
    if (rc == 0)
        rc = check_pair(line.hidden.secret, err);
    if (rc == 0) {
        memcpy(ret->number, line.hidden.number, sizeof ret->number);
        memcpy(ret->secret, line.hidden.secret, sizeof ret->secret);
    }
    sodium_memzero(&line, sizeof line);
    return rc;
}

int minisign_secret_create(const char *path, const struct minisign_secret *s, struct error *err)
{
    struct buf text = {0};
    minisign_secret_format(s, &text);
    int rc = key_write_once(path, buf_span(&text), err);
    sodium_memzero(text.p, text.cap);
    buf_free(&text);
    return rc;
}

int minisign_secret_load(const char *path, const char *password, struct minisign_secret *ret,
                         struct error *err)
{
    struct buf text = {0};
    buf_grow(&text, 2 * SECRET_FILE);
    int rc = file_read_private(path, SECRET_FILE, &text, err);
    if (rc == 0 && (rc = minisign_secret_parse(buf_span(&text), password, ret, err)) < 0)
        error_prefix(err, "%s", path);
    sodium_memzero(text.p, text.cap);
    buf_free(&text);
    return rc;
}
