/* pkg_run.c - lbpkg run: runs the package of a folder by hand, here, as a server would. */
#include "admin/pkg_hand.h"

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

int pkg_run(int argc, char **argv)
{
    struct option_values v = {0};
    struct pkg_hand h = {.home = NULL};
    int first, rc = pkg_begin(rows, COUNT_OF(rows), argc, argv,
                              "FOLDER [-p NAME=VALUE]... [options]", examples, 1, 1, &v, &first);
    if (rc >= 0)
        return rc;
    if ((rc = pkg_hand_allowed(argv)) < 0 && (rc = pkg_hand_open(argv, argv[first], &h)) == 0)
        rc = handrun(&(struct handrun){.program = argv[0],
                                       .values = &v,
                                       .package = h.package,
                                       .home = h.home,
                                       .settings = h.settings,
                                       .undeployed = true});
    pkg_hand_close(argv, &h);
    options_free(&v);
    return rc;
}
