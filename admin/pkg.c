/* pkg.c - what lbpkg's verbs share. */
#include "admin/pkg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/paths.h"
#include "common/termout.h"
#include "package/signature.h"
#include "trust/keys.h"

int pkg_fail(char **argv, int code, const struct error *err)
{
    return verb_fail(argv, code, err);
}

int pkg_code(int rc)
{
    if (rc == -EBADMSG || rc == -EACCES || rc == -EPERM)
        return EXIT_REFUSED;
    return rc == -ENOENT || rc == -EISDIR || rc == -EINVAL ? EXIT_ASKED_WRONGLY
                                                           : EXIT_RAN_AND_FAILED;
}

int pkg_begin(const struct option_row *rows, size_t n, int argc, char **argv, const char *synopsis,
              const char *examples, int min, int max, struct option_values *values, int *ret_first)
{
    struct error err = {0};
    int code = verb_begin(rows, n, argc, argv, synopsis, examples, min, max, values, ret_first);
    if (code >= 0 || trust_init(&err) == 0)
        return code;
    options_free(values);
    return pkg_fail(argv, EXIT_RAN_AND_FAILED, &err);
}

char *pkg_config_path(char **argv, const char *below)
{
    struct paths *p = mem_alloc(sizeof *p);
    struct error err = {0};
    char *path = NULL;
    if (paths_resolve(p, &err) < 0)
        pkg_fail(argv, EXIT_ASKED_WRONGLY, &err);
    else
        path = mem_printf("%s/%s", p->config, below);
    mem_free(&p);
    return path;
}

static int load(char **argv, const char *path, struct builder **ret, size_t *ret_n)
{
    struct error err = {0};
    int rc = signature_load_signers(path, ret, ret_n, &err);
    if (rc == 0 && *ret_n == 0) {
        mem_free(ret);
        rc = error_set(&err, -EINVAL, "'%s' holds no public key of a builder", path);
    }
    return rc < 0 ? pkg_fail(argv, pkg_code(rc), &err) : 0;
}

int pkg_trusted(char **argv, const char *key, const char *signers, struct builder **ret,
                size_t *ret_n)
{
    static const char *const places[] = {"trust/signers", "keys/builder.pub"};
    if (key || signers)
        return load(argv, key ? key : signers, ret, ret_n);
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        char *path = pkg_config_path(argv, places[i]);
        if (!path)
            return EXIT_ASKED_WRONGLY;
        bool there = access(path, F_OK) == 0;
        int rc = there ? load(argv, path, ret, ret_n) : 0;
        mem_free(&path);
        if (there)
            return rc;
    }
    struct error err = {0};
    error_set(
        &err, -ENOENT,
        "no key to trust: there is neither trust/signers nor keys/builder.pub; name a public key "
        "with --key");
    return pkg_fail(argv, EXIT_ASKED_WRONGLY, &err);
}

int pkg_print(char **argv, const struct buf *out)
{
    int rc = term_put_fd(STDOUT_FILENO, buf_span(out));
    struct error err = {0};
    if (rc == 0 || rc == -EPIPE)
        return EXIT_DONE;
    error_errno(&err, -rc, "cannot write to standard output");
    return pkg_fail(argv, EXIT_RAN_AND_FAILED, &err);
}
