/* rivals.h - another worker under a server's name: see rivals.c. For inside.h. */
#ifndef LB_BROKER_CORE_RIVALS_H
#define LB_BROKER_CORE_RIVALS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/messages.h"

struct attempt;
struct bcore;
struct server;

/* Another worker under a server's name, refused while the first is live. */
struct rival {
    char *process, *address; /* NULL: there was none */
    int64_t at;              /* wall, of its last HELLO */
};

/* True if this HELLO comes from another home than the last one did. */
bool rival_is_another(const struct server *s, const struct m_hello *hello);
/* True if another worker under this name is live, or may be: this one has been refused. */
bool rival_refused(struct bcore *c, struct server *s, const struct m_hello *hello);
void rival_forget(struct server *s);
/* True if it was handed to another home than the one whose worker is here now. */
bool rival_has(const struct attempt *a);

#endif
