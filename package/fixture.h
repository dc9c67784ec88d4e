/* fixture.h - what the unit tests of this room share: source folders, builders, installed packages.
 * For *_test.c only. */
#ifndef LB_PACKAGE_FIXTURE_H
#define LB_PACKAGE_FIXTURE_H

#include "common/testing.h"

#include <sys/stat.h>
#include <unistd.h>

#include "package/archive.h"
#include "package/signature.h"
#include "package/unpack.h"

#define FIXTURE_YAML \
    "name: extract\nversion: 1.2.0\nsubsystem: exec\nentry: bin/extract\nlimits: {timeout: 1m}\n" \
    "parameters:\n  table: {type: string, required: true}\n"

#define must(call) \
    do { \
        if ((call) < 0) \
            fail_msg("%s: %s", #call, err.text); \
    } while (0)

__attribute__((unused)) static void put(const char *folder, const char *name, const char *text,
                                        mode_t mode)
{
    struct error err = {0};
    char *path = mem_printf("%s/%s", folder, name), *slash = strrchr(path, '/');
    *slash = 0;
    must(file_make_dirs(path, 0755, &err));
    *slash = '/';
    must(file_write_atomic(path, span_str(text), mode, &err));
    mem_free(&path);
}

/* A small package with everything that may be in one. */
__attribute__((unused)) static void put_source(const char *folder, const char *yaml)
{
    put(folder, "package.yaml", yaml, 0644);
    put(folder, "bin/extract", "#!/bin/sh\necho hello\n", 0755);
    put(folder, "data/größe.txt", "42\n", 0644);
    put(folder, "data/empty", "", 0600);
    char *link = mem_printf("%s/bin/data", folder);
    assert_int_equal(symlink("../data", link), 0);
    mem_free(&link);
}

__attribute__((unused)) static void build(const char *folder, const char *out, struct hash *ret)
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

/* Signs the file as what `name` and `version` say and puts the key into the list of signers, unless
   that is NULL. */
__attribute__((unused)) static void sign_as(const char *archive, const char *name,
                                            const char *version, const char *signers)
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

/* Installs the archive, whatever hash it has, into <folder>/store. */
__attribute__((unused)) static int install(void **state, const char *archive, struct error *err)
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

#endif
