/* lbpkg.c - the package builder's program: one file a verb, this table. */
#include "admin/pkg.h"
#include "admin/pkg_net.h"

static const struct verb_command verbs[] = {
    {"new", "make a small package to start from", pkg_new},
    {"lint", "check a package's folder", pkg_lint},
    {"run", "run a package of a folder by hand, without deploying it", pkg_run},
    {"test", "run a package's own cases, and judge what comes of them", pkg_test},
    {"build", "make one file of a folder (reproducible)", pkg_build},
    {"keygen", "make a builder's pair of keys", pkg_keygen},
    {"sign", "sign a package file", pkg_sign},
    {"verify", "check the signature of a package file", pkg_verify},
    {"show", "what a package file contains", pkg_show},
    {"deploy", "bring a package to servers, through the broker", pkg_deploy},
    {"export", "take an installed package back, as the file that it was", pkg_export},
    {"list", "the packages in the depot, and which server has which", pkg_list},
};

static const char examples[] = "  lbpkg new extract --kind python\n"
                               "  lbpkg run extract -p table=orders\n"
                               "  lbpkg test extract\n"
                               "  lbpkg build extract && lbpkg sign extract-0.1.0.lbp\n"
                               "  lbpkg deploy extract-0.1.0.lbp --to etl --wait\n";

int main(int argc, char **argv)
{
    return verb_main("lbpkg", "make packages and bring them to servers", examples, verbs,
                     COUNT_OF(verbs), argc, argv);
}
