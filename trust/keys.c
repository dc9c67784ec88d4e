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
    memcpy(ret->seed, seed, KEY_SEED);
    crypto_sign_seed_keypair(ret->sign.b, ret->sign_secret, seed);
    int rc = crypto_sign_ed25519_sk_to_curve25519(ret->transport_secret, ret->sign_secret);
    rc |= crypto_sign_ed25519_pk_to_curve25519(ret->transport.b, ret->sign.b);
    assert(rc == 0); /* only fails for public keys that crypto_sign_seed_keypair never makes */
    (void)rc;
}

void key_make(struct key *ret)
{
    uint8_t seed[KEY_SEED];
    key_seed_make(seed);
    key_from_seed(seed, ret);
    sodium_memzero(seed, sizeof seed);
}

void key_forget(struct key *k)
{
    sodium_memzero(k, sizeof *k);
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
    crypto_box_seed_keypair(ret->public_key.b, ret->secret, seed);
}

void seal_key_forget(struct seal_key *k)
{
    sodium_memzero(k, sizeof *k);
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

int key_file_create(const char *path, const uint8_t seed[KEY_SEED], struct error *err)
{
    char text[2 * KEY_SEED + 2];
    sodium_bin2hex(text, sizeof text, seed, KEY_SEED);
    text[2 * KEY_SEED] = '\n';
    int rc = key_write_once(path, span_of(text, 2 * KEY_SEED + 1), err);
    sodium_memzero(text, sizeof text);
    return rc;
}

int key_file_load(const char *path, uint8_t ret_seed[KEY_SEED], struct error *err)
{
    struct buf text = {0};
    buf_grow(&text, 256); /* at once, so that no copy of a secret stays behind in freed memory */
    uint8_t seed[KEY_SEED];
    int rc = file_read_private(path, 128, &text, err);
    if (rc == 0) {
        size_t n = text.n;
        if (n == 2 * KEY_SEED + 1 && text.p[n - 1] == '\n')
            n--;
        size_t got = 0;
        if (n != 2 * KEY_SEED ||
            sodium_hex2bin(seed, sizeof seed, (char *)text.p, n, NULL, &got, NULL) != 0 ||
            got != KEY_SEED)
            rc = error_set(
                err, -EINVAL,
                "key file '%s' does not hold 64 hexadecimal digits; restore it from a backup",
                path);
    }
    if (rc == 0)
        memcpy(ret_seed, seed, KEY_SEED);
    sodium_memzero(seed, sizeof seed);
    if (text.p)
        sodium_memzero(text.p, text.cap);
    buf_free(&text);
    return rc;
}

int key_load(const char *path, struct key *ret, struct error *err)
{
    uint8_t seed[KEY_SEED];
    int rc = key_file_load(path, seed, err);
    if (rc < 0)
        return rc;
    key_from_seed(seed, ret);
    sodium_memzero(seed, sizeof seed);
    return 0;
}

int seal_key_load(const char *path, struct seal_key *ret, struct error *err)
{
    uint8_t seed[KEY_SEED];
    int rc = key_file_load(path, seed, err);
    if (rc < 0)
        return rc;
    seal_key_from_seed(seed, ret);
    sodium_memzero(seed, sizeof seed);
    return 0;
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
