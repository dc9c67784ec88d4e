/* fixture.h - source folders, archives, signatures and installed packages for tests. For tests
 * only. What cannot be made fails the test, unless the call returns an error. */
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

/* Writes the file <folder>/<name> with `text` and `mode`, and makes the folders that it needs. */
void fixture_put(const char *folder, const char *name, const char *text, mode_t mode);

/* A small source folder with one of each kind that a package may have: files, folders, a link. */
void fixture_source(const char *folder, const char *yaml);

/* Builds the source folder into the archive `out`. */
void fixture_build(const char *folder, const char *out, struct hash *ret_hash);

/* Signs the archive as `name` and `version` with a new key. `signers` (may be NULL): the file of
 * trusted builders, overwritten with that key alone. */
void fixture_sign(const char *archive, const char *name, const char *version, const char *signers);

/* Installs the archive, whatever hash it has, into <folder>/store; <folder>/signers are trusted.
 * Returns and fails as unpack_install(). */
int fixture_install(void **state, const char *archive, struct error *err);

#endif
