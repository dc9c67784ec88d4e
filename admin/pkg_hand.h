/* pkg_hand.h - a package of a folder, installed in a home that lives as long as it is run by hand:
 * what `lbpkg run` and `lbpkg test` share.
 *
 * The folder is built as `lbpkg build` does, unpacked by lbunpack with a signature of a key that is
 * forgotten at once, and run by a runner of its own (client/handrun.h). */
#ifndef LB_ADMIN_PKG_HAND_H
#define LB_ADMIN_PKG_HAND_H

#include "admin/pkg.h"
#include "client/handrun.h"

struct pkg_hand {
    struct manifest manifest;
    char *home, *settings;
    struct hash package;
};
/* Begins a verb that runs packages: not as root. -1 to go on, else the exit code; the reason is on
 * stderr. */
int pkg_hand_allowed(char **argv);
/* 0; close it, also after a failure, whose reason is on stderr: HANDRUN_REFUSED: the folder is no
 * package; HANDRUN_FAILED: else. */
int pkg_hand_open(char **argv, const char *folder, struct pkg_hand *h);
void pkg_hand_close(char **argv, struct pkg_hand *h);

#endif
