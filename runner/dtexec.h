/* dtexec.h - the command line of dtexec, which runs packages of SQL Server Integration Services.
 * Pure.
 *
 *     dtexec /File PATH                                  a .dtsx file of the package
 *     dtexec /ISServer \SSISDB\FOLDER\PROJECT\NAME.dtsx  a package of the catalogue
 *         /Server NAME                                   if the step's environment says SSIS_SERVER
 *         /Par $ServerOption::SYNCHRONIZED(Boolean);True it ends when the package has ended
 *         /Par $Package::NAME(TYPE);VALUE                each parameter
 *
 * string and json become String, int Int32 (beyond its range Int64), float Double, bool Boolean,
 * date and datetime DateTime. */
#ifndef LB_RUNNER_DTEXEC_H
#define LB_RUNNER_DTEXEC_H

#include "runner/command.h"

#define DTEXEC_SERVER "SSIS_SERVER"

struct dtexec {
    const char *file;      /* a .dtsx file; NULL: `catalogue` counts */
    struct span catalogue; /* \SSISDB\..., perhaps with white space around it */
    struct span server;    /* empty: dtexec's own default */
    const struct wire_list *parameters, *sensitive; /* of S_LAUNCH */
    const struct wire_list *declared; /* a d_parameter each: types that values do not show */
};
/* Is this an entry that dtexec reads itself? Another one has a path of the catalogue in it. */
bool dtexec_is_file(const char *entry);
/* Appends the arguments behind the program's words. -EINVAL: the path of the catalogue is none, or
 * a parameter is sensitive: everybody on the server could read it. */
int dtexec_arguments(const struct dtexec *d, struct command *c, struct error *err);

#endif
