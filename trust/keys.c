/* keys.c - see keys.h. */
#include "trust/keys.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/id.h"
#include "common/mem.h"
#include "trust/lockedkey.h"
#include "trust/passphrase.h"
#include "trust/secret.h"

enum { SIGN_SECRET = 64, TRANSPORT_SECRET = 32 };

int trust_init(struct error *err)
{
    if (sodium_init() < 0)
        return error_set(err, -EIO,
                         "libsodium cannot start: the system provides no random numbers");
    return 0;
}

void key_seed_make(uint8_t ret_seed[KEY_SEED])
{
    randombytes_buf(ret_seed, KEY_SEED);
}

void key_from_seed(const uint8_t seed[KEY_SEED], struct key *ret)
{
    struct key k = {.seed = secret_alloc()}; /* all three: a secret for each key */
    static_assert(KEY_SEED + SIGN_SECRET + TRANSPORT_SECRET <= SECRET_MAX, "a key is one secret");
    k.sign_secret = k.seed + KEY_SEED;
    k.transport_secret = k.sign_secret + SIGN_SECRET;
    memcpy(k.seed, seed, KEY_SEED);
    crypto_sign_seed_keypair(k.sign.b, k.sign_secret, seed);
    int rc = crypto_sign_ed25519_sk_to_curve25519(k.transport_secret, k.sign_secret);
    rc |= crypto_sign_ed25519_pk_to_curve25519(k.transport.b, k.sign.b);
    assert(rc == 0); /* only fails for public keys that crypto_sign_seed_keypair never makes */
    (void)rc;
    *ret = k;
}

void key_make(struct key *ret)
{
    uint8_t *seed = secret_alloc();
    key_seed_make(seed);
    key_from_seed(seed, ret);
    secret_free(seed);
}

void key_forget(struct key *k)
{
    secret_free(k->seed);
    *k = (struct key){0};
}

int key_transport_of(const struct hash *sign, struct hash *ret_transport, struct error *err)
{
    struct hash transport;
    char text[KEY_TEXT];
    if (crypto_sign_ed25519_pk_to_curve25519(transport.b, sign->b) != 0)
        return error_set(err, -EINVAL, "%s is not an Ed25519 public key", key_format(sign, text));
    *ret_transport = transport;
    return 0;
}

void seal_key_from_seed(const uint8_t seed[KEY_SEED], struct seal_key *ret)
{
    ret->secret = secret_alloc();
    crypto_box_seed_keypair(ret->public_key.b, ret->secret, seed);
}

void seal_key_forget(struct seal_key *k)
{
    secret_free(k->secret);
    *k = (struct seal_key){0};
}

static int sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = !slash          ? mem_strdup(".")
                   : slash == path ? mem_strdup("/")
                                   : mem_dup(path, (size_t)(slash - path) + 1);
    if (slash && slash != path)
        folder[slash - path] = 0;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mem_free(&folder);
    if (fd < 0)
        return -errno;
    int rc = fsync(fd) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

/* link() does not replace: if two processes make the same key file, one fails, and a crash leaves
 * no half-written file. */
int key_write_once(const char *path, struct span text, struct error *err)
{
    char *temporary = mem_printf("%s.XXXXXX", path);
    int rc = 0, fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        rc = error_errno(err, errno, "cannot create the key file '%s'", path);
        goto out;
    }
    if (fchmod(fd, 0400) < 0)
        rc = -errno;
    if (rc == 0)
        rc = file_write_all(fd, text.p, text.n);
    if (rc == 0 && fsync(fd) < 0)
        rc = -errno;
    close(fd);
    if (rc == 0 && link(temporary, path) < 0)
        rc = -errno;
    unlink(temporary);
    if (rc == 0)
        rc = sync_folder_of(path);
    if (rc == -EEXIST)
        error_set(err, rc, "key file '%s' already exists; move it away first to replace it", path);
    else if (rc < 0)
        error_errno(err, -rc, "cannot write the key file '%s'", path);
out:
    mem_free(&temporary);
    return rc;
}

/* Appends the text of a key file; wipe it. One allocation: no copy stays in freed memory. */
static int format_file(const uint8_t seed[KEY_SEED], const struct key *k, const char *passphrase,
                       struct buf *out, struct error *err)
{
    char *digits = (char *)buf_grow(out, LOCKEDKEY_MAX);
    if (passphrase)
        return lockedkey_seal(k, passphrase, &lockedkey_usual, out, err);
    sodium_bin2hex(digits, LOCKEDKEY_MAX, seed, KEY_SEED);
    out->n += 2 * KEY_SEED;
    buf_add_str(out, "\n");
    return 0;
}

static void wipe(struct buf *text)
{
    if (text->p)
        sodium_memzero(text->p, text->cap);
    buf_free(text);
}

int key_file_create(const char *path, const uint8_t seed[KEY_SEED], struct error *err)
{
    struct buf text = {0};
    int rc = format_file(seed, NULL, NULL, &text, err);
    if (rc == 0)
        rc = key_write_once(path, buf_span(&text), err);
    wipe(&text);
    return rc;
}

int key_file_create_locked(const char *path, const struct key *k, const char *passphrase,
                           struct error *err)
{
    struct buf text = {0};
    int rc = format_file(k->seed, k, passphrase, &text, err);
    if (rc == 0)
        rc = key_write_once(path, buf_span(&text), err);
    wipe(&text);
    return rc;
}

int key_file_replace(const char *path, const struct key *k, const char *passphrase,
                     struct error *err)
{
    struct buf text = {0};
    int rc = format_file(k->seed, k, passphrase, &text, err);
    if (rc == 0)
        rc = file_write_atomic(path, buf_span(&text), 0400, err);
    wipe(&text);
    return rc;
}

static int read_file(const char *path, struct buf *text, struct error *err)
{
    buf_grow(text, 2 * LOCKEDKEY_MAX);
    return file_read_private(path, LOCKEDKEY_MAX, text, err);
}

int key_file_is_locked(const char *path, struct hash *ret, struct error *err)
{
    struct buf text = {0};
    int rc = read_file(path, &text, err), locked = rc == 0 && lockedkey_is(buf_span(&text));
    if (locked && (rc = lockedkey_public(buf_span(&text), ret, err)) < 0)
        error_prefix(err, "key file '%s'", path);
    wipe(&text);
    return rc < 0 ? rc : locked;
}

/* What was opened last, so that a program that reads its key twice asks once. */
static struct opened_key {
    struct hash text;
    uint8_t *seed;
} opened;

static int open_locked(const char *path, struct span text, uint8_t ret_seed[KEY_SEED],
                       struct error *err)
{
    struct hash hash;
    struct hash public_key;
    char passphrase[PASSPHRASE_MAX];
    crypto_generichash(hash.b, sizeof hash.b, text.p, text.n, NULL, 0);
    if (opened.seed && hash_eq(&opened.text, &hash)) {
        memcpy(ret_seed, opened.seed, KEY_SEED);
        return 0;
    }
    int rc = lockedkey_public(text, &public_key, err); /* nobody is asked for a damaged file */
    char *what = mem_printf("the key in %s", path);
    if (rc == 0 && (rc = passphrase_ask(what, passphrase, err)) == 0)
        rc = lockedkey_open(text, passphrase, ret_seed, err);
    if (rc < 0 && rc != -EACCES)
        error_prefix(err, "key file '%s'", path);
    if (rc == 0) {
        if (!opened.seed)
            opened.seed = secret_alloc();
        memcpy(opened.seed, ret_seed, KEY_SEED);
        opened.text = hash;
    }
    sodium_memzero(passphrase, sizeof passphrase);
    mem_free(&what);
    return rc;
}

static int parse_digits(const char *path, struct span text, uint8_t ret_seed[KEY_SEED],
                        struct error *err)
{
    size_t n = text.n, got = 0;
    if (n == 2 * KEY_SEED + 1 && text.p[n - 1] == '\n')
        n--;
    if (n == 2 * KEY_SEED &&
        sodium_hex2bin(ret_seed, KEY_SEED, (const char *)text.p, n, NULL, &got, NULL) == 0 &&
        got == KEY_SEED)
        return 0;
    return error_set(err, -EINVAL,
                     "key file '%s' holds neither 64 hexadecimal digits nor an encrypted key; "
                     "restore it from a backup",
                     path);
}

int key_file_load(const char *path, uint8_t ret_seed[KEY_SEED], struct error *err)
{
    struct buf text = {0};
    uint8_t *seed = secret_alloc();
    int rc = read_file(path, &text, err);
    if (rc == 0 && lockedkey_is(buf_span(&text)))
        rc = open_locked(path, buf_span(&text), seed, err);
    else if (rc == 0)
        rc = parse_digits(path, buf_span(&text), seed, err);
    if (rc == 0)
        memcpy(ret_seed, seed, KEY_SEED);
    secret_free(seed);
    wipe(&text);
    return rc;
}

int key_load(const char *path, struct key *ret, struct error *err)
{
    uint8_t *seed = secret_alloc();
    int rc = key_file_load(path, seed, err);
    if (rc == 0)
        key_from_seed(seed, ret);
    secret_free(seed);
    return rc;
}

int seal_key_load(const char *path, struct seal_key *ret, struct error *err)
{
    uint8_t *seed = secret_alloc();
    int rc = key_file_load(path, seed, err);
    if (rc == 0)
        seal_key_from_seed(seed, ret);
    secret_free(seed);
    return rc;
}

char *key_format(const struct hash *public_key, char out[KEY_TEXT])
{
    return hex_format(public_key->b, sizeof public_key->b, out);
}

int key_parse(const char *text, struct hash *ret, struct error *err)
{
    if (hex_parse(text, ret->b, sizeof ret->b) < 0)
        return error_set(err, -EINVAL,
                         "'%.80s' is not a public key: a key has 64 hexadecimal digits", text);
    return 0;
}

char *key_short(const struct hash *public_key, char out[KEY_SHORT_TEXT])
{
    uint8_t digest[32];
    crypto_generichash(digest, sizeof digest, public_key->b, sizeof public_key->b, NULL, 0);
    return hex_format(digest, (KEY_SHORT_TEXT - 1) / 2, out);
}
