/* lbunpack.c - installs one package into a server's store, in a process that can do nothing
 * else.
 *
 * lbrunner starts it. Even if a hostile archive took over the parsers of zstd, tar or JSON, it
 * could only write to the folder of packages and read three files; lbrunner verifies again at
 * every step what lies there. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/termout.h"
#include "package/archive.h"
#include "package/unpack.h"
#include "runner/unpack/confine.h"
#include "trust/keys.h"

enum { EXIT_DONE, EXIT_TROUBLE, EXIT_ASKED_WRONGLY, EXIT_REFUSED };

static const char help[] =
    "usage: lbunpack ARCHIVE HASH TARGET_FOLDER SIGNERS_FILE\n"
    "                [SIGNATURE_FILE [NAME VERSION]]\n"
    "\n"
    "Verifies a package and unpacks it to TARGET_FOLDER/<hash>, completely or not at\n"
    "all. Before it reads the archive it drops every right that it does not need.\n"
    "lbrunner starts it.\n"
    "\n"
    "  ARCHIVE         the package, as lbpkg build makes it\n"
    "  HASH            the hash of the archive, blake2b:...\n"
    "  TARGET_FOLDER   the folder of installed packages\n"
    "  SIGNERS_FILE    the minisign public keys that are trusted, one a line\n"
    "  SIGNATURE_FILE  the signature of the archive; default: ARCHIVE.minisig\n"
    "  NAME VERSION    what the package must be; any other is refused\n"
    "\n"
    "Example:\n"
    "  lbunpack extract-1.2.0.lbp blake2b:6f0c... /var/lib/longboat/packages \\\n"
    "      /etc/longboat/trust/signers\n"
    "\n"
    "Exit codes: 0 installed; 1 not possible here (disk full, no permission); 2 bad\n"
    "usage; 3 refused: wrong hash, no trusted signature, or a malformed archive. One\n"
    "sentence on stderr says why.\n";

static int fail(const struct error *err, int code)
{
    term_say(stderr, "lbunpack: %s\n", err->text);
    return code;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct unpack u = {0};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        term_put(stdout, span_str(help));
        return EXIT_DONE;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        term_say(stdout, "lbunpack %s\n", LB_VERSION);
        return EXIT_DONE;
    }
    if (argc < 5 || argc == 7 || argc > 8) {
        term_say(stderr,
                 "lbunpack: expected ARCHIVE HASH TARGET_FOLDER SIGNERS_FILE [SIGNATURE_FILE "
                 "[NAME VERSION]]; see lbunpack --help\n");
        return EXIT_ASKED_WRONGLY;
    }
    if (package_hash_parse(argv[2], &u.hash, &err) < 0)
        return fail(&err, EXIT_ASKED_WRONGLY);
    char *signature = argc >= 6 ? mem_strdup(argv[5]) : mem_printf("%s" SIGNATURE_SUFFIX, argv[1]);
    u.archive = argv[1];
    u.store = argv[3];
    u.signers = argv[4];
    u.signature = signature;
    u.name = argc == 8 ? argv[6] : NULL;
    u.version = argc == 8 ? argv[7] : NULL;
    const char *const readable[] = {u.archive, u.signature, u.signers, NULL};
    umask(022);
    int rc = trust_init(&err);
    if (rc == 0)
        rc = file_make_dirs(u.store, 0755, &err);
    if (rc == 0)
        rc = confine(readable, u.store, &err);
    if (rc == 0)
        rc = unpack_install(&u, &err);
    mem_free(&signature);
    return rc == 0 ? EXIT_DONE : fail(&err, rc == -EBADMSG ? EXIT_REFUSED : EXIT_TROUBLE);
}
