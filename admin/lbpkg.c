/* lbpkg.c - the package maker's program: one file a verb, this table. */
#include "admin/pkg.h"
#include "admin/pkg_net.h"

static const struct command verbs[] = {
    {"new", "make a small package to begin with", pkg_new},
    {"lint", "say all that is wrong with a package's folder", pkg_lint},
    {"build", "make one file of a folder, the same bytes for everyone", pkg_build},
    {"keygen", "make a builder's pair of keys", pkg_keygen},
    {"sign", "vouch for a package file", pkg_sign},
    {"verify", "see who vouches for a package file", pkg_verify},
    {"show", "what a package file says of itself", pkg_show},
    {"deploy", "bring a package to servers, by way of the broker", pkg_deploy},
    {"list", "what is in the depot, and who has which", pkg_list},
};

static const char examples[] = "  lbpkg new extract --kind python\n"
                               "  lbpkg build extract && lbpkg sign extract-0.1.0.lbp\n"
                               "  lbpkg deploy extract-0.1.0.lbp --to etl --wait\n";

int main(int argc, char **argv)
{
    return verb_main("lbpkg", "make packages and bring them to servers", examples, verbs,
                     COUNT_OF(verbs), argc, argv);
}
