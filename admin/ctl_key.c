/* ctl_key.c - lbctl key passphrase: sets, changes or removes the passphrase of this home's key. The
 * key stays the same, so nobody else notices. */
#include "admin/ctl.h"

#include <errno.h>
#include <string.h>

#include "client/config.h"
#include "common/paths.h"
#include "common/termout.h"
#include "trust/passphrase.h"

static const struct option_row rows[] = {
    {"remove", 0, OPTION_FLAG, NULL, 0, 0, false, NULL,
     "leave the key unencrypted, for a machine that nobody attends"},
    {"passphrase-file", 0, OPTION_STR, NULL, 0, 0, false, "FILE",
     "the passphrase that the key has now is this file's first line"},
    {"new-passphrase-file", 0, OPTION_STR, NULL, 0, 0, false, "FILE", "the same for the new one"},
};

static const char examples[] =
    "  lbctl key passphrase             asks for the old one and twice for the new\n"
    "  lbctl key passphrase --remove\n";

static int change(const struct option_values *v, char path[PATHS_MAX], struct error *err)
{
    struct paths paths;
    struct key key = {0};
    struct hash unused;
    char text[PASSPHRASE_MAX];
    const char *passphrase = opt_flag(v, "remove") ? NULL : text;
    int rc = trust_init(err);
    if (rc == 0)
        rc = paths_resolve(&paths, err);
    if (rc == 0)
        rc = path_join(path, PATHS_MAX, err, paths.config, SIGN_KEY_FILE, NULL);
    passphrase_use_file(opt_str(v, "passphrase-file"));
    const bool locked = rc == 0 && key_file_is_locked(path, &unused, NULL) > 0;
    if (rc == 0)
        rc = key_load(path, &key, err);
    if (opt_str(v, "new-passphrase-file"))
        passphrase_use_file(opt_str(v, "new-passphrase-file"));
    else if (rc == 0 && passphrase && locked && passphrase_has_file())
        rc = error_set(err, -EINVAL,
                       "the old passphrase comes from a file; name the file of the new one with "
                       "--new-passphrase-file");
    if (rc == 0 && passphrase)
        rc = passphrase_ask_new("your key", text, err);
    if (rc == 0)
        rc = key_file_replace(path, &key, passphrase, err);
    explicit_bzero(text, sizeof text);
    key_forget(&key);
    return rc;
}

int ctl_key(int argc, char **argv)
{
    struct option_values v = {0};
    struct error err = {0};
    char path[PATHS_MAX] = "";
    int first, code = ctl_begin(rows, COUNT_OF(rows), argc, argv, "passphrase [options]", examples,
                                1, 1, &v, &first);
    if (code >= 0)
        return code;
    if (strcmp(argv[first], "passphrase") != 0) {
        error_set(&err, -EINVAL, "usage: %s passphrase [options]", argv[0]);
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    } else if (opt_flag(&v, "remove") && opt_str(&v, "new-passphrase-file")) {
        error_set(&err, -EINVAL, "--remove and --new-passphrase-file exclude each other");
        code = ctl_fail(argv, EXIT_ASKED_WRONGLY, &err);
    } else if ((code = change(&v, path, &err)) < 0) {
        code = ctl_fail(argv, ctl_code(code, REFUSAL_NONE), &err);
    } else if (opt_flag(&v, "remove")) {
        term_say(stdout, "%s is not encrypted any more: whoever reads it is you\n", path);
    } else {
        term_say(stdout,
                 "%s is encrypted with the new passphrase; copies of it still have the old one\n",
                 path);
    }
    options_free(&v);
    return code;
}
