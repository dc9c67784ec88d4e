/* fixture.c - see fixture.h. */
#include "package/fixture.h"

#include "package/signature.h"
#include "package/unpack.h"

void fixture_put(const char *folder, const char *name, const char *text, mode_t mode)
{
    struct error err = {0};
    char *path = mem_printf("%s/%s", folder, name), *slash = strrchr(path, '/');
    *slash = 0;
    must(file_make_dirs(path, 0755, &err));
    *slash = '/';
    must(file_write_atomic(path, span_str(text), mode, &err));
    mem_free(&path);
}

void fixture_source(const char *folder, const char *yaml)
{
    fixture_put(folder, "package.yaml", yaml, 0644);
    fixture_put(folder, "bin/extract", "#!/bin/sh\necho hello\n", 0755);
    fixture_put(folder, "data/größe.txt", "42\n", 0644);
    fixture_put(folder, "data/empty", "", 0600);
    char *link = mem_printf("%s/bin/data", folder);
    assert_int_equal(symlink("../data", link), 0);
    mem_free(&link);
}

void fixture_build(const char *folder, const char *out, struct hash *ret)
{
    struct error err = {0};
    struct manifest m;
    struct problems ps = {0};
    uint64_t size;
    if (archive_examine(folder, &m, &ps) < 0)
        fail_msg("%s", ps.v[0].text);
    problems_free(&ps);
    must(archive_build(folder, &m, out, ret, &size, &err));
    manifest_free(&m);
}

void fixture_sign(const char *archive, const char *name, const char *version, const char *signers)
{
    struct error err = {0};
    struct minisign_public pub;
    struct minisign_secret secret;
    struct hash hash;
    struct buf comment = {0}, out = {0}, line = {0};
    uint8_t digest[MINISIGN_DIGEST];
    uint64_t size;
    must(trust_init(&err));
    minisign_make(&pub, &secret);
    must(archive_digest(archive, &hash, digest, &size, &err));
    signature_comment(name, version, &hash, &comment);
    must(minisign_sign(&secret, digest, buf_str(&comment), &out, &err));
    char *path = mem_printf("%s" SIGNATURE_SUFFIX, archive);
    must(file_write_atomic(path, buf_span(&out), 0644, &err));
    mem_free(&path);
    if (signers) {
        minisign_public_line(&pub, &line);
        must(file_write_atomic(signers, buf_span(&line), 0644, &err));
    }
    buf_free(&comment);
    buf_free(&out);
    buf_free(&line);
}

int fixture_install(void **state, const char *archive, struct error *err)
{
    struct unpack u = {.archive = archive,
                       .signers = testing_path(state, "signers"),
                       .store = testing_path(state, "store")};
    uint8_t digest[MINISIGN_DIGEST];
    uint64_t size;
    char *signature = mem_printf("%s" SIGNATURE_SUFFIX, archive);
    int rc = archive_digest(archive, &u.hash, digest, &size, err);
    u.signature = signature;
    if (rc == 0)
        rc = unpack_install(&u, err);
    mem_free(&signature);
    return rc;
}
