/* pkg_export.c - lbpkg export: takes a package back from the server on which it is installed, as
 * the very file that was installed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/pkg.h"
#include "common/file.h"
#include "common/mem.h"
#include "common/paths.h"
#include "common/termout.h"
#include "package/installed.h"
#include "package/unpack.h"

static const struct option_row rows[] = {
    {"output", 'o', OPTION_STR, NULL, 0, 0, false, "FILE",
     "the file to write; default: NAME-VERSION.lbp, here"},
};

static const char examples[] =
    "  lbpkg export extract                  the one that was installed last\n"
    "  lbpkg export extract@1.2 -o old.lbp   writes old.lbp and old.lbp.minisig\n"
    "Runs on the server, with its LONGBOAT_HOME. The file has the bytes and the hash\n"
    "of the one that was installed, and its signature lies beside it.\n";

static int load_manifest(const struct installed_package *p, struct manifest *ret, struct error *err)
{
    struct buf json = {0};
    char *path = mem_printf("%s/" PACKAGE_MANIFEST, p->folder);
    int rc = file_read(path, LIMIT_MANIFEST, &json, err);
    if (rc == 0 && (rc = manifest_from_json(buf_span(&json), ret, err)) < 0)
        error_prefix(err, "%s", path);
    buf_free(&json);
    mem_free(&path);
    return rc;
}

/* An archive's bytes depend on the libraries that made it, so they are made again and compared. */
static int rebuild(const struct installed_package *p, const struct manifest *m, const char *out,
                   struct error *err)
{
    struct hash hash;
    uint64_t size;
    char *temp = mem_printf("%s.export", out), *files = mem_printf("%s/" PACKAGE_FILES, p->folder);
    int rc = archive_build(files, m, temp, &hash, &size, err);
    if (rc == 0 && !hash_eq(&hash, &p->hash)) {
        rc = error_set(err, -EBADMSG,
                       "the libraries here (libarchive, libzstd) make other bytes of %s %s than "
                       "those that were installed; take the file from where it was built",
                       m->name, m->version);
        unlink(temp);
    }
    if (rc == 0 && rename(temp, out) < 0) {
        rc = error_errno(err, errno, "cannot write '%s'", out);
        unlink(temp);
    }
    mem_free(&temp);
    mem_free(&files);
    return rc;
}

/* Of a package that nobody has signed there is none, and none of another file may stay there. */
static int put_signature(const struct installed_package *p, const char *out, struct error *err)
{
    struct buf signature = {0};
    char *from = mem_printf("%s/" UNPACK_SIGNATURE, p->folder),
         *to = mem_printf("%s" SIGNATURE_SUFFIX, out);
    int rc = file_read(from, LIMIT_SIGNATURE, &signature, err);
    if (rc == 0)
        rc = file_write_atomic(to, buf_span(&signature), 0644, err);
    else if (rc == -ENOENT)
        rc = unlink(to) < 0 && errno != ENOENT ? error_errno(err, errno, "cannot remove '%s'", to)
                                               : 0;
    buf_free(&signature);
    mem_free(&from);
    mem_free(&to);
    return rc;
}

static int export(const struct installed_package *p, const char *output, struct buf *out,
                  struct error *err)
{
    struct manifest m = {0};
    char text[PACKAGE_HASH_TEXT];
    char *path =
        output ? mem_strdup(output) : mem_printf("%s-%s" ARCHIVE_SUFFIX, p->name, p->version);
    int rc = load_manifest(p, &m, err);
    if (rc == 0)
        rc = rebuild(p, &m, path, err);
    if (rc == 0)
        rc = put_signature(p, path, err);
    if (rc == 0)
        buf_printf(out, "%s %s\n", path, package_hash_format(&p->hash, text));
    manifest_free(&m);
    mem_free(&path);
    return rc;
}

static int open_store(struct installed_store **ret, struct error *err)
{
    struct paths *paths = mem_alloc(sizeof *paths);
    int rc = paths_resolve(paths, err);
    if (rc == 0) {
        char *folder = mem_printf("%s/packages", paths->state);
        rc = installed_open(folder, ret, err);
        mem_free(&folder);
    }
    if (rc == 0)
        installed_check_files(*ret);
    mem_free(&paths);
    return rc;
}

int pkg_export(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    struct buf out = {0};
    struct installed_store *store = NULL;
    const struct installed_package *p;
    int first, rc = pkg_begin(rows, COUNT_OF(rows), argc, argv, "NAME[@VERSION] [-o FILE]",
                              examples, 1, 1, &v, &first);
    if (rc >= 0)
        return rc;
    rc = open_store(&store, &err);
    if (rc == 0)
        rc = installed_find(store, argv[first], &p, &err);
    if (rc == 0)
        rc = export(p, opt_str(&v, "output"), &out, &err);
    rc = rc < 0 ? pkg_fail(argv, pkg_code(rc), &err) : pkg_print(argv, &out);
    installed_close(&store);
    buf_free(&out);
    options_free(&v);
    return rc;
}
