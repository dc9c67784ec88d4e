/* subsystemfile.h - subsystems.d/NAME.yaml: a way to run steps that a server's administrator adds,
 * or one of those that every server has (trust/subsystem.h) as it is done here; compiled to a
 * d_subsystem.
 *
 *     subsystem: perl                  # in perl.yaml
 *     description: Perl scripts
 *     command: [/usr/bin/perl, -T]     # then the package's entry
 *     text: [/usr/bin/perl, -e]        # then a step's own text; without it, no step may have one
 *     parameters: environment          # or sqlite3, psql, dtexec: how they reach the program
 *     environment: {PERL5LIB: /srv/perl}
 *     needs: [{command: perl}]
 *     exit_codes: {0: succeeded, 3: cancelled, 9: {is: failed, means: it lacks a module}} */
#ifndef LB_PACKAGE_SUBSYSTEMFILE_H
#define LB_PACKAGE_SUBSYSTEMFILE_H

#include "package/manifest.h"

/* As proxyfile_compile. */
int subsystemfile_compile(const char *name, struct span text, struct buf *out,
                          struct problems *problems);

#endif
