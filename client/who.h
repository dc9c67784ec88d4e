/* who.h - an empty listing: is there nothing, or may the asker see nothing? */
#ifndef LB_CLIENT_WHO_H
#define LB_CLIENT_WHO_H

#include <stdbool.h>

#include "client/longboat.h"

struct who {
    char name[LIMIT_NAME + 1];
    char *grants; /* "call *@etl, watch load@wh1"; "none" */
    bool administrator;
    bool may_watch; /* some server: an administrator, or a grant watch, operate or admin */
};

/* Asks the broker who we are to it. */
int who_ask(struct longboat *lb, struct who *ret, struct error *err);
void who_free(struct who *w);

/* "'anna' may not watch any server (grants: ...). An administrator can run: ..." on stderr. */
void who_may_not_watch(const struct who *w, const char *command);
/* The same for a listing of runs or events, which has at least the asker's own. */
void who_sees_own(const struct who *w, const char *command);

#endif
