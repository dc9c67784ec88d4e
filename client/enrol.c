/* enrol.c - see enrol.h. */
#include "client/enrol.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/config.h"
#include "client/enrolask.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/paths.h"

enum { TIMEOUT_MS = 30000, TOKEN_MAX = 64 << 10 };

struct joining {
    const struct enrol_options *o;
    char folder[PATHS_MAX], staged[PATHS_MAX]; /* staged "": none */
    struct token token;
    uint8_t seal_seed[KEY_SEED];
    struct key key;
    struct buf certificate, broker;
};

/* ---- Checks before anything is written */

static int check_free(const struct joining *j, struct error *err)
{
    static const char *const files[] = {SIGN_KEY_FILE, CERTIFICATE_FILE};
    char path[PATHS_MAX];
    struct stat st;
    int rc;

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if ((rc = path_join(path, sizeof path, err, j->folder, files[i], NULL)) < 0)
            return rc;
        if (lstat(path, &st) == 0)
            return error_set(err, -EEXIST,
                             "%s exists: somebody has joined here. --force replaces the identity; "
                             "another LONGBOAT_HOME keeps both",
                             path);
    }
    return 0;
}

static int check_role(const struct joining *j, struct error *err)
{
    if (j->o->server && j->token.role != ROLE_SERVER)
        return error_set(
            err, -EINVAL,
            "this token is for '%s', a %s; a server needs one of: lbctl invite --server NAME",
            j->token.name, role_word(j->token.role));
    if (!j->o->server && j->token.role == ROLE_SERVER)
        return error_set(err, -EINVAL,
                         "this token is for the server '%s'; give it to `lbworker join` there",
                         j->token.name);
    return 0;
}

static int resolve_folder(struct joining *j, struct error *err)
{
    struct paths paths;
    int rc;

    if (j->o->folder)
        return path_join(j->folder, sizeof j->folder, err, j->o->folder, NULL);
    if ((rc = paths_resolve(&paths, err)) < 0)
        return rc;
    memcpy(j->folder, paths.config, sizeof j->folder);
    return 0;
}

static int make_identity(struct joining *j, struct error *err)
{
    struct seal_key seal = {0};
    int rc;

    key_make(&j->key);
    if (j->o->server) {
        key_seed_make(j->seal_seed);
        seal_key_from_seed(j->seal_seed, &seal);
    }
    rc = token_make_certificate(&j->token, &j->key.sign, &seal.public_key, clock_wall_ms(),
                                &j->certificate, err);
    seal_key_forget(&seal);
    return rc;
}

/* ---- Files: staged, then moved into place */

static int stage_file(const struct joining *j, const char *name, struct span content,
                      struct error *err)
{
    char path[PATHS_MAX];
    int rc = path_join(path, sizeof path, err, j->staged, name, NULL);
    return rc < 0 ? rc : file_write_atomic(path, content, 0644, err);
}

static int stage_sign_key(const struct joining *j, struct error *err)
{
    char path[PATHS_MAX];
    int rc = path_join(path, sizeof path, err, j->staged, SIGN_KEY_FILE, NULL);
    return rc < 0 ? rc : key_file_create_locked(path, &j->key, j->o->passphrase, err);
}

static int stage_seal_key(const struct joining *j, struct error *err)
{
    char path[PATHS_MAX];
    int rc = path_join(path, sizeof path, err, j->staged, SEAL_KEY_FILE, NULL);
    return rc < 0 ? rc : key_file_create(path, j->seal_seed, err);
}

static int make_folders(const char *top, struct error *err)
{
    char path[PATHS_MAX];
    int rc;
    if ((rc = path_join(path, sizeof path, err, top, "trust", NULL)) < 0 ||
        (rc = file_make_dirs(path, 0755, err)) < 0 ||
        (rc = path_join(path, sizeof path, err, top, "keys", NULL)) < 0)
        return rc;
    return file_make_dirs(path, 0700, err);
}

static int stage(struct joining *j, struct error *err)
{
    struct buf administrators = {0}, client = {0};
    int rc;

    if ((rc = make_folders(j->folder, err)) < 0)
        return rc;
    if ((rc = path_join(j->staged, sizeof j->staged, err, j->folder, ".joining-XXXXXX", NULL)) < 0)
        return rc;
    if (!mkdtemp(j->staged)) {
        rc = error_errno(err, errno, "cannot make a folder in %s", j->folder);
        j->staged[0] = '\0';
        return rc;
    }
    anchors_format(&j->token.anchors, &administrators);
    client_config_format((const char *const *)j->token.addresses, j->token.n_addresses, &client);
    if ((rc = make_folders(j->staged, err)) == 0 &&
        (rc = stage_file(j, ADMINISTRATORS_FILE, buf_span(&administrators), err)) == 0 &&
        (rc = stage_file(j, CERTIFICATE_FILE, buf_span(&j->certificate), err)) == 0 &&
        (rc = stage_file(j, CLIENT_FILE, buf_span(&client), err)) == 0 &&
        (rc = stage_sign_key(j, err)) == 0 && j->o->server)
        rc = stage_seal_key(j, err);
    buf_free(&administrators);
    buf_free(&client);
    return rc;
}

static void sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        /* the files are in place; if the disk loses one, the next start names it */
        fsync(fd);
        close(fd);
    }
}

/* The certificate goes last: without it, the other files are no identity. */
static int publish(struct joining *j, struct error *err)
{
    static const char *const files[] = {SIGN_KEY_FILE, SEAL_KEY_FILE, ADMINISTRATORS_FILE,
                                        BROKER_FILE,   CLIENT_FILE,   CERTIFICATE_FILE};
    char from[PATHS_MAX], to[PATHS_MAX];
    int rc;

    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (!j->o->server && strcmp(files[i], SEAL_KEY_FILE) == 0)
            continue;
        if ((rc = path_join(from, sizeof from, err, j->staged, files[i], NULL)) < 0 ||
            (rc = path_join(to, sizeof to, err, j->folder, files[i], NULL)) < 0)
            return rc;
        if (rename(from, to) < 0)
            return error_errno(
                err, errno,
                "the broker accepted the certificate, but %s cannot be put in its place", to);
    }
    if (path_join(to, sizeof to, NULL, j->folder, "trust", NULL) == 0)
        sync_folder(to);
    if (path_join(to, sizeof to, NULL, j->folder, "keys", NULL) == 0)
        sync_folder(to);
    sync_folder(j->folder);
    return 0;
}

/* ---- Joining */

static int ask(struct joining *j, struct error *err)
{
    const int64_t timeout_ms = j->o->timeout_ms ? j->o->timeout_ms : TIMEOUT_MS;
    struct loop *own = NULL;

    if (!j->o->loop && !(own = loop_new(err)))
        return -EMFILE;
    int rc = enrol_ask(own ? own : j->o->loop, &j->token, &j->key, buf_span(&j->certificate),
                       timeout_ms, &j->broker, err);
    loop_destroy(&own);
    return rc;
}

static int join(struct joining *j, struct error *err)
{
    int rc;

    if ((rc = trust_init(err)) < 0 || (rc = resolve_folder(j, err)) < 0 ||
        (!j->o->force && (rc = check_free(j, err)) < 0) ||
        (rc = token_parse(j->o->token, &j->token, err)) < 0 || (rc = check_role(j, err)) < 0 ||
        (rc = make_identity(j, err)) < 0 || (rc = stage(j, err)) < 0)
        return rc;
    if ((rc = ask(j, err)) < 0 || (rc = stage_file(j, BROKER_FILE, buf_span(&j->broker), err)) < 0)
        return rc;
    return publish(j, err);
}

int enrol(const struct enrol_options *o, struct enrol_result *ret, struct error *err)
{
    struct joining j = {.o = o};
    int rc = join(&j, err);

    if (rc == 0) {
        memset(ret, 0, sizeof *ret);
        span_copy_str(span_str(j.token.anchors.cluster), ret->cluster, sizeof ret->cluster);
        span_copy_str(span_str(j.token.name), ret->name, sizeof ret->name);
        span_copy_str(span_str(j.folder), ret->folder, sizeof ret->folder);
        ret->role = j.token.role;
    }
    if (j.staged[0])
        file_remove_tree(j.staged, NULL);
    token_free(&j.token);
    key_forget(&j.key);
    sodium_memzero(j.seal_seed, sizeof j.seal_seed);
    buf_free(&j.certificate);
    buf_free(&j.broker);
    return rc;
}

int enrol_read_token(int fd, char **ret, struct error *err)
{
    char *text = mem_zalloc(1, TOKEN_MAX + 1);
    ssize_t n = file_read_all(fd, text, TOKEN_MAX);

    if (n > 0 && n < TOKEN_MAX) {
        *ret = text;
        return 0;
    }
    sodium_memzero(text, TOKEN_MAX);
    mem_free(&text);
    if (n < 0)
        return error_errno(err, (int)-n, "cannot read the token");
    return error_set(
        err, -EINVAL,
        n == 0 ? "no token on standard input; an administrator makes one with lbctl invite"
               : "standard input is too long to be a token");
}
