/* pkg_sign.c - lbpkg sign: a builder signs a package. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "admin/pkg.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/termout.h"
#include "package/signature.h"

static const struct option_row rows[] = {
    {"key", 'k', OPTION_STR, NULL, 0, 0, false, "FILE",
     "the file of the secret key; default: keys/builder.key in your configuration"},
};

static const char examples[] =
    "  lbpkg sign extract-1.2.0.lbp          writes extract-1.2.0.lbp.minisig\n"
    "  lbpkg sign extract-1.2.0.lbp --key ~/.minisign/minisign.key\n"
    "An encrypted key asks for its password.\n";

enum { PASSWORD_MAX = 1024 };

/* A line of standard input; not shown while it is typed on a terminal. */
static bool ask_password(const char *path, char out[PASSWORD_MAX])
{
    struct termios was, quiet;
    bool terminal = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &was) == 0;
    if (terminal) {
        term_say(stderr, "Password of %s: ", path);
        quiet = was;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    bool got = fgets(out, PASSWORD_MAX, stdin) != NULL;
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
        term_say(stderr, "\n");
    }
    if (got)
        out[strcspn(out, "\n")] = 0;
    return got;
}

static int load_key(const char *path, struct minisign_secret *ret, struct error *err)
{
    int rc = minisign_secret_load(path, NULL, ret, err);
    if (rc != -EACCES)
        return rc;
    char password[PASSWORD_MAX];
    if (ask_password(path, password)) /* otherwise the error stays: the key is encrypted */
        rc = minisign_secret_load(path, password, ret, err);
    explicit_bzero(password, sizeof password);
    return rc;
}

static int sign(const char *archive, const char *key, struct buf *comment, struct error *err)
{
    struct manifest m = {0};
    struct minisign_secret secret;
    struct hash hash;
    struct buf out = {0};
    uint8_t digest[MINISIGN_DIGEST];
    uint64_t size;
    int rc = archive_manifest(archive, &m, NULL, err);
    if (rc == 0)
        rc = archive_digest(archive, &hash, digest, &size, err);
    if (rc == 0 && (rc = load_key(key, &secret, err)) == 0) {
        signature_comment(m.name, m.version, &hash, comment);
        rc = minisign_sign(&secret, digest, buf_str(comment), &out, err);
        minisign_forget(&secret);
    }
    if (rc == 0) {
        char *path = mem_printf("%s" SIGNATURE_SUFFIX, archive);
        rc = file_write_atomic(path, buf_span(&out), 0644, err);
        mem_free(&path);
    }
    buf_free(&out);
    manifest_free(&m);
    return rc;
}

int pkg_sign(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    struct buf comment = {0};
    int first, rc = pkg_begin(rows, COUNT_OF(rows), argc, argv, "FILE [--key FILE]", examples, 1, 1,
                              &v, &first);
    if (rc >= 0)
        return rc;
    char *key = opt_str(&v, "key") ? mem_strdup(opt_str(&v, "key"))
                                   : pkg_config_path(argv, "keys/builder.key");
    if (!key)
        rc = EXIT_ASKED_WRONGLY;
    else if (access(key, F_OK) < 0 && !opt_str(&v, "key")) {
        error_set(&err, -ENOENT, "there is no key '%s' to sign with; make one with: lbpkg keygen",
                  key);
        rc = pkg_fail(argv, EXIT_ASKED_WRONGLY, &err);
    } else if ((rc = sign(argv[first], key, &comment, &err)) < 0)
        rc = pkg_fail(argv, pkg_code(rc), &err);
    else {
        term_say(stderr, "Signed: %s\nWrote %s%s. Next: lbpkg deploy %s --to POOL\n",
                 buf_str(&comment), argv[first], SIGNATURE_SUFFIX, argv[first]);
        rc = EXIT_DONE;
    }
    buf_free(&comment);
    mem_free(&key);
    options_free(&v);
    return rc;
}
