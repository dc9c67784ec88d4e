/* pkg_run.c - lbpkg run: runs the package of a folder by hand, on this machine, as a server would.
 *
 * In a home that lives as long as the run: the folder is built as `lbpkg build` does, unpacked by
 * lbunpack with a signature of a key that is forgotten at once, and run by a runner of its own. */
#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "admin/pkg.h"
#include "client/handrun.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/termout.h"
#include "package/signature.h"

extern char **environ;

static const struct option_row rows[] = {HANDRUN_OPTIONS};

static const char examples[] =
    "  lbpkg run extract -p table=orders\n"
    "  lbpkg run extract -p table=orders --dry-run\n"
    "\n"
    "The same path as on a server: parameters, subsystem, limits, sandbox, work\n"
    "folder, outputs, exit codes. The child runs as you, from a copy of the folder\n"
    "that nobody can change, with the environment that children get. No server,\n"
    "broker or signature is needed; the proxy is the built-in one, or\n"
    "proxies.d/default.yaml of your configuration if there is one. Does not run as\n"
    "root.\n"
    "\n" HANDRUN_EXIT_CODES;

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

static int run(char **argv, const struct option_values *values, const char *folder,
               const struct manifest *m)
{
    struct error err = {0};
    char *settings = pkg_config_path(argv, ""), *home = settings ? make_home(&err) : NULL;
    int code = HANDRUN_FAILED;
    struct handrun r = {.program = argv[0],
                        .values = values,
                        .home = home,
                        .settings = settings,
                        .undeployed = true};
    if (!settings)
        return code;
    settings[strlen(settings) - 1] = '\0'; /* the slash */
    if (!home || install(home, folder, m, &r.package, &err) < 0)
        code = pkg_fail(argv, HANDRUN_FAILED, &err);
    else
        code = handrun(&r);
    if (home && file_remove_tree(home, &err) < 0)
        pkg_fail(argv, code, &err);
    mem_free(&home);
    mem_free(&settings);
    return code;
}

int pkg_run(int argc, char **argv)
{
    struct option_values v = {0};
    struct manifest m = {0};
    struct problems ps = {0};
    struct error err = {0};
    int first, rc = pkg_begin(rows, COUNT_OF(rows), argc, argv,
                              "FOLDER [-p NAME=VALUE]... [options]", examples, 1, 1, &v, &first);
    if (rc >= 0)
        return rc;
    if (geteuid() == 0) {
        error_set(&err, -EPERM,
                  "a package that nobody has signed does not run as root: run this as an ordinary "
                  "user");
        options_free(&v);
        return pkg_fail(argv, HANDRUN_REFUSED, &err);
    }
    rc = archive_examine(argv[first], &m, &ps);
    for (size_t i = 0; i < ps.n; i++)
        if (!ps.v[i].warning)
            term_say(stderr, "%s: %s\n", argv[0], ps.v[i].text);
    rc = rc < 0 ? HANDRUN_REFUSED : run(argv, &v, argv[first], &m);
    problems_free(&ps);
    manifest_free(&m);
    options_free(&v);
    return rc;
}
