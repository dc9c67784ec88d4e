/* pkg_keygen.c - lbpkg keygen: a builder's pair of keys, in minisign's formats. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/pkg.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    {"key", 'k', OPTION_STR, NULL, 0, 0, false, "FILE",
     "the file of the secret key; default: keys/builder.key in your configuration. The public key "
     "goes beside it, in .pub"},
};

static const char examples[] =
    "  lbpkg keygen     prints the public key: a line for trust/signers of servers\n"
    "  lbpkg keygen --key ci/release.key\n"
    "The secret key is not encrypted, like one made with minisign -G -W. lbpkg sign\n"
    "also takes keys that minisign has encrypted.\n";

/* "builder.key" to "builder.pub"; another name gets the ending. */
static char *public_path(const char *secret)
{
    size_t n = strlen(secret);
    bool key = n > 4 && strcmp(secret + n - 4, ".key") == 0;
    return mem_printf("%.*s.pub", (int)(key ? n - 4 : n), secret);
}

static int make_folder(const char *path, struct error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return 0;
    char *folder = span_dup_str(span_of(path, (size_t)(slash - path)));
    int rc = file_make_dirs(folder, 0700, err);
    mem_free(&folder);
    return rc;
}

static int make(const char *secret_path, const char *path, struct buf *line, struct error *err)
{
    struct minisign_public pub;
    struct minisign_secret secret;
    struct buf text = {0};
    if (access(path, F_OK) == 0)
        return error_set(err, -EEXIST, "'%s' exists; a key is never overwritten", path);
    minisign_make(&pub, &secret);
    int rc = make_folder(secret_path, err);
    if (rc == 0)
        rc = minisign_secret_create(secret_path, &secret, err);
    minisign_forget(&secret);
    minisign_public_format(&pub, &text);
    if (rc == 0)
        rc = file_write_atomic(path, buf_span(&text), 0644, err);
    if (rc == 0) {
        minisign_public_line(&pub, line);
        if (!line->n || line->p[line->n - 1] != '\n')
            buf_add_str(line, "\n");
    }
    buf_free(&text);
    return rc;
}

int pkg_keygen(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    struct buf line = {0};
    int first, rc = pkg_begin(rows, COUNT_OF(rows), argc, argv, "[--key FILE]", examples, 0, 0, &v,
                              &first);
    if (rc >= 0)
        return rc;
    char *secret = opt_str(&v, "key") ? mem_strdup(opt_str(&v, "key"))
                                      : pkg_config_path(argv, "keys/builder.key");
    char *path = secret ? public_path(secret) : NULL;
    if (!secret)
        rc = EXIT_ASKED_WRONGLY;
    else if ((rc = make(secret, path, &line, &err)) < 0)
        rc = pkg_fail(argv, rc == -EEXIST ? EXIT_ASKED_WRONGLY : EXIT_RAN_AND_FAILED, &err);
    else {
        rc = pkg_print(argv, &line);
        term_say(stderr,
                 "Made %s (keep it secret) and %s. The line above belongs in trust/signers of each "
                 "server that may run your packages.\n",
                 secret, path);
    }
    buf_free(&line);
    mem_free(&secret);
    mem_free(&path);
    options_free(&v);
    return rc;
}
