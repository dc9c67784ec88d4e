/* person.h - connects programs for people, who may be in the wrong home. */
#ifndef LB_CLIENT_PERSON_H
#define LB_CLIENT_PERSON_H

#include "client/longboat.h"

/* longboat_open with the configuration of this user (paths_resolve), on `loop` or, if it is NULL,
 * on one of its own. -EACCES: the identity there is a server's, which may neither query nor call;
 * the sentence says whose home it is and whose is needed. */
int longboat_open_person(struct longboat **ret, struct loop *loop, struct error *err);

#endif
