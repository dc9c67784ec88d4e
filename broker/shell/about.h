/* about.h - what a run's first record says: its owner, and the call or parent as signed. Pure. */
#ifndef LB_BROKER_SHELL_ABOUT_H
#define LB_BROKER_SHELL_ABOUT_H

#include "proto/messages.h"

/* The spans point into the record. */
struct about {
    bool known; /* false: the record is missing or of another kind, and nothing else is set */
    bool is_parent;
    struct span principal;
    struct d_call call;     /* of a run */
    struct d_parent parent; /* of a parent */
    int64_t begun_at;
};
/* An empty record: it no longer exists. */
void about_of(struct span first_record, struct about *ret);

#endif
