/* pkg_hand.c - see pkg_hand.h. */
#include "admin/pkg_hand.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/termout.h"
#include "package/signature.h"

extern char **environ;

/* ---- A signature that lbunpack accepts: nobody has to trust this key, for nothing of the home
 * outlives the run */

static int sign(const char *home, const char *archive, const struct manifest *m,
                struct hash *ret_hash, struct error *err)
{
    struct minisign_public public;
    struct minisign_secret secret;
    struct buf text = {0}, signature = {0}, comment = {0};
    uint8_t digest[MINISIGN_DIGEST];
    uint64_t size;
    char *signers = mem_printf("%s/signers", home),
         *beside = mem_printf("%s" SIGNATURE_SUFFIX, archive);
    int rc = archive_digest(archive, ret_hash, digest, &size, err);
    minisign_make(&public, &secret);
    minisign_public_format(&public, &text);
    signature_comment(m->name, m->version, ret_hash, &comment);
    if (rc == 0)
        rc = minisign_sign(&secret, digest, buf_str(&comment), &signature, err);
    minisign_forget(&secret);
    if (rc == 0)
        rc = file_write_atomic(signers, buf_span(&text), 0644, err);
    if (rc == 0)
        rc = file_write_atomic(beside, buf_span(&signature), 0644, err);
    buf_free(&text);
    buf_free(&signature);
    buf_free(&comment);
    mem_free(&signers);
    mem_free(&beside);
    return rc;
}

static int wait_for(pid_t pid, struct error *err)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_errno(err, errno, "cannot wait for lbunpack");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return error_set(err, -EIO, "lbunpack has refused the package, or could not unpack it");
}

static int unpack(const char *home, const char *archive, const struct hash *hash, struct error *err)
{
    char digest[PACKAGE_HASH_TEXT];
    char *program = file_beside_program("lbunpack"), *store = mem_printf("%s/var/packages", home),
         *signers = mem_printf("%s/signers", home), *at = mem_strdup(archive);
    char *argv[] = {program, at, package_hash_format(hash, digest), store, signers, NULL};
    pid_t pid;
    int why = posix_spawn(&pid, program, NULL, NULL, argv, environ);
    int rc = why ? error_errno(err, why, "cannot start '%s'", program) : wait_for(pid, err);
    mem_free(&program);
    mem_free(&store);
    mem_free(&signers);
    mem_free(&at);
    return rc;
}

static int install(const char *home, const char *folder, const struct manifest *m,
                   struct hash *ret_hash, struct error *err)
{
    char *archive = mem_printf("%s/package" ARCHIVE_SUFFIX, home),
         *state = mem_printf("%s/var", home);
    struct hash hash;
    uint64_t size;
    int rc = archive_build(folder, m, archive, &hash, &size, err);
    if (rc == 0)
        rc = sign(home, archive, m, ret_hash, err);
    if (rc == 0)
        rc = file_make_dirs(state, 0700, err);
    if (rc == 0)
        rc = unpack(home, archive, ret_hash, err);
    mem_free(&archive);
    mem_free(&state);
    return rc;
}

/* ---- */

static char *make_home(struct error *err)
{
    const char *folder = secure_getenv("TMPDIR");
    char *home = mem_printf("%s/lbpkg-run-XXXXXX", folder && folder[0] == '/' ? folder : "/tmp");
    if (mkdtemp(home))
        return home;
    error_errno(err, errno, "cannot make the folder '%s'", home);
    mem_free(&home);
    return NULL;
}

int pkg_hand_allowed(char **argv)
{
    struct error err = {0};
    if (geteuid() != 0)
        return -1;
    error_set(&err, -EPERM,
              "a package that nobody has signed does not run as root: run this as an ordinary "
              "user");
    return pkg_fail(argv, HANDRUN_REFUSED, &err);
}

int pkg_hand_open(char **argv, const char *folder, struct pkg_hand *h)
{
    struct problems ps = {0};
    struct error err = {0};
    int rc = archive_examine(folder, &h->manifest, &ps);
    for (size_t i = 0; i < ps.n; i++)
        if (!ps.v[i].warning)
            term_say(stderr, "%s: %s\n", argv[0], ps.v[i].text);
    problems_free(&ps);
    if (rc < 0)
        return HANDRUN_REFUSED;
    if (!(h->settings = pkg_config_path(argv, "")))
        return HANDRUN_FAILED;
    h->settings[strlen(h->settings) - 1] = '\0'; /* the slash */
    h->home = make_home(&err);
    if (!h->home || install(h->home, folder, &h->manifest, &h->package, &err) < 0)
        return pkg_fail(argv, HANDRUN_FAILED, &err);
    return 0;
}

void pkg_hand_close(char **argv, struct pkg_hand *h)
{
    struct error err = {0};
    if (h->home && file_remove_tree(h->home, &err) < 0)
        pkg_fail(argv, HANDRUN_FAILED, &err);
    mem_free(&h->home);
    mem_free(&h->settings);
    manifest_free(&h->manifest);
}
