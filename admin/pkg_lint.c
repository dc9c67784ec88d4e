/* pkg_lint.c - lbpkg lint: reports everything wrong with a package's folder at once. */
#include <stdio.h>

#include "admin/pkg.h"
#include "common/jsontext.h"
#include "common/termout.h"
#include "package/lint.h"

static const struct option_row rows[] = {
    {"json", 0, OPTION_FLAG, NULL, 0, 0, false, NULL, "one JSON object a line"},
};

static const char examples[] =
    "  lbpkg lint extract        exit code 1: there are errors; warnings alone are 0\n"
    "\n"
    "Errors: what keeps a package from being built. Warnings: no timeout; variables\n"
    "of shell scripts outside of quotes; programs and interpreters that no need\n"
    "names; #! lines that do not work; lines that end with CR LF; scripts that are\n"
    "not executable; names of files that other systems refuse.\n";

static void add_problem(struct buf *out, const struct problem *p, bool json)
{
    if (!json) {
        buf_printf(out, "%s%s\n", p->warning ? "warning: " : "", p->text);
        return;
    }
    buf_printf(out, "{\"v\":1,\"severity\":\"%s\",\"text\":", p->warning ? "warning" : "error");
    json_escape(out, span_str(p->text));
    buf_add_str(out, "}\n");
}

int pkg_lint(int argc, char **argv)
{
    struct option_values v = {0};
    struct manifest m = {0};
    struct problems ps = {0};
    struct buf out = {0};
    int first,
        rc = pkg_begin(rows, COUNT_OF(rows), argc, argv, "FOLDER", examples, 1, 1, &v, &first);
    if (rc >= 0)
        return rc;
    if (archive_examine(argv[first], &m, &ps) == 0)
        lint_folder(argv[first], &m, &ps);
    for (size_t i = 0; i < ps.n; i++)
        add_problem(&out, &ps.v[i], opt_flag(&v, "json"));
    rc = pkg_print(argv, &out);
    if (ps.errors)
        rc = EXIT_RAN_AND_FAILED;
    term_say(stderr, "%s: %zu error%s, %zu warning%s\n", argv[0], ps.errors,
             ps.errors == 1 ? "" : "s", ps.n - ps.errors, ps.n - ps.errors == 1 ? "" : "s");
    buf_free(&out);
    problems_free(&ps);
    manifest_free(&m);
    options_free(&v);
    return rc;
}
