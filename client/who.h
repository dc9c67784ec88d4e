/* who.h - why a listing is empty: there is nothing, or the asker may see nothing. */
#ifndef LB_CLIENT_WHO_H
#define LB_CLIENT_WHO_H

#include <stdbool.h>

#include "client/longboat.h"

struct who {
    char name[LIMIT_NAME + 1];
    char *grants; /* "call *@etl, watch load@wh1"; "none" */
    bool administrator;
    bool may_watch; /* at least one server: an administrator, or a grant watch, operate or admin */
};

/* Asks the broker for our name, role and grants. */
int who_ask(struct longboat *lb, struct who *ret, struct error *err);
void who_free(struct who *w);

/* "'anna' may not watch any server (grants: ...). An administrator can run: ..." on stderr. */
void who_may_not_watch(const struct who *w, const char *command);
/* The same for a listing of runs or events, which has at least the asker's own. */
void who_sees_own(const struct who *w, const char *command);

#endif
