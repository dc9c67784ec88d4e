/* pkg_verify.c - lbpkg verify: would a server that trusts these keys take this file? */
#include <errno.h>
#include <stdio.h>

#include "admin/pkg.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "package/signature.h"

static const struct option_row rows[] = {
    {"key", 'k', OPTION_STR, NULL, 0, 0, false, "FILE", "a builder's public key"},
    {"signers", 0, OPTION_STR, NULL, 0, 0, false, "FILE",
     "public keys, one a line; default: trust/signers in your configuration, or your own "
     "keys/builder.pub"},
};

static const char examples[] =
    "  lbpkg verify extract-1.2.0.lbp                   exit code 0: good; 3: refused\n"
    "  lbpkg verify extract-1.2.0.lbp --key builder.pub   as minisign -V does\n";

static int verify(const char *archive, const struct builder *keys, size_t n, struct buf *out,
                  struct error *err)
{
    struct manifest m = {0};
    struct hash hash;
    struct buf signature = {0};
    uint8_t digest[MINISIGN_DIGEST];
    uint64_t size;
    size_t signer;
    char number[MINISIGN_NUMBER_TEXT], text[PACKAGE_HASH_TEXT],
        *path = mem_printf("%s" SIGNATURE_SUFFIX, archive);
    int rc = archive_digest(archive, &hash, digest, &size, err);
    if (rc == 0 && (rc = file_read(path, LIMIT_SIGNATURE, &signature, err)) == -ENOENT)
        rc = error_set(err, -EBADMSG, "'%s' is not signed: there is no '%s'", archive, path);
    if (rc == 0)
        rc = archive_manifest(archive, &m, NULL, err);
    if (rc == 0 && (rc = signature_verify(buf_span(&signature), keys, n, clock_wall_ms(), &hash,
                                          digest, m.name, m.version, &signer, err)) < 0)
        error_prefix(err, "%s", archive);
    if (rc == 0)
        buf_printf(out, "%s %s %s signed by %s\n", m.name, m.version,
                   package_hash_format(&hash, text),
                   minisign_number(keys[signer].key.number, number));
    mem_free(&path);
    buf_free(&signature);
    manifest_free(&m);
    return rc;
}

int pkg_verify(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    struct buf out = {0};
    struct builder *keys = NULL;
    size_t n = 0;
    int first, rc = pkg_begin(rows, COUNT_OF(rows), argc, argv,
                              "FILE [--key FILE | --signers FILE]", examples, 1, 1, &v, &first);
    if (rc >= 0)
        return rc;
    rc = pkg_trusted(argv, opt_str(&v, "key"), opt_str(&v, "signers"), &keys, &n);
    if (rc == 0 && (rc = verify(argv[first], keys, n, &out, &err)) < 0)
        rc = pkg_fail(argv, rc == -ENOENT ? EXIT_ASKED_WRONGLY : EXIT_REFUSED, &err);
    else if (rc == 0)
        rc = pkg_print(argv, &out);
    buf_free(&out);
    mem_free(&keys);
    options_free(&v);
    return rc;
}
