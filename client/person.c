/* person.c - see person.h. */
#include "client/person.h"

#include <errno.h>
#include <stdlib.h>

#include "common/paths.h"

int longboat_open_person(struct longboat **ret, struct loop *loop, struct error *err)
{
    int rc = longboat_open(ret, NULL, loop, err);
    if (rc < 0 || longboat_me(*ret)->role != ROLE_SERVER)
        return rc;
    struct paths paths;
    const char *home = getenv("LONGBOAT_HOME");
    if (!home || !*home)
        home = paths_resolve(&paths, NULL) == 0 ? paths.config : "this user's configuration";
    error_set(err, -EACCES,
              "%s belongs to server '%s', whose identity is for lbworker; set LONGBOAT_HOME to the "
              "home of an administrator, a caller or a monitor",
              home, longboat_me(*ret)->name);
    longboat_close(ret);
    return -EACCES;
}
