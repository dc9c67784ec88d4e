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

int main(int argc, char **argv)
{
    return verb_main("lbpkg", "make packages and bring them to servers", verbs, COUNT_OF(verbs), argc, argv);
}
