/* pkg_build.c - lbpkg build: turns a folder into one file, the same bytes for everyone. */
#include <stdio.h>
#include <string.h>

#include "admin/pkg.h"
#include "common/duration.h"
#include "common/mem.h"
#include "common/termout.h"

static const struct option_row rows[] = {
    {"output", 'o', OPTION_STR, NULL, 0, 0, false, "FILE",
     "the file to write; default: NAME-VERSION.lbp, here"},
};

static const char examples[] =
    "  lbpkg build extract             writes extract-1.2.0.lbp, prints name and hash\n"
    "  lbpkg build extract -o /tmp/x.lbp\n"
    "Left out: .git, .hg, .svn, __pycache__, empty folders and, at the top, *.lbp and\n"
    "*.lbp.minisig.\n";

static int build(char **argv, const char *folder, const char *output, const struct manifest *m)
{
    char *path =
        output ? mem_strdup(output) : mem_printf("%s-%s" ARCHIVE_SUFFIX, m->name, m->version);
    struct error err = {0};
    struct hash hash;
    struct buf out = {0};
    char text[PACKAGE_HASH_TEXT], size_text[DURATION_TEXT];
    uint64_t size;
    int rc = archive_build(folder, m, path, &hash, &size, &err);
    if (rc < 0) {
        rc = pkg_fail(argv, EXIT_RAN_AND_FAILED, &err);
    } else {
        buf_printf(&out, "%s %s\n", path, package_hash_format(&hash, text));
        rc = pkg_print(argv, &out);
        term_say(stderr, "%s %s: %zu files, %s. Next: lbpkg sign %s\n", m->name, m->version,
                 m->n_files, size_format((int64_t)size, size_text), path);
    }
    buf_free(&out);
    mem_free(&path);
    return rc;
}

int pkg_build(int argc, char **argv)
{
    struct option_values v = {0};
    struct manifest m = {0};
    struct problems ps = {0};
    int first, rc = pkg_begin(rows, COUNT_OF(rows), argc, argv, "FOLDER [-o FILE]", examples, 1, 1,
                              &v, &first);
    if (rc >= 0)
        return rc;
    rc = archive_examine(argv[first], &m, &ps);
    for (size_t i = 0; i < ps.n; i++)
        term_say(stderr, "%s: %s%s\n", argv[0], ps.v[i].warning ? "warning: " : "", ps.v[i].text);
    rc = rc < 0 ? EXIT_RAN_AND_FAILED : build(argv, argv[first], opt_str(&v, "output"), &m);
    problems_free(&ps);
    manifest_free(&m);
    options_free(&v);
    return rc;
}
