/* copy.h - a copy of the audit trail's hashes outside of the broker's reach: in the journal or with
 * syslog. Whoever holds it can say which hash an entry had, whatever the store says later. */
#ifndef LB_BROKER_AUDIT_COPY_H
#define LB_BROKER_AUDIT_COPY_H

#include "trust/audit.h"

#define COPIES(X) X(NONE, "none") X(JOURNALD, "journald") X(SYSLOG, "syslog")
#define X(n, w)   COPY_##n,
enum copy { COPIES(X) };
#undef X

const char *copy_word(enum copy c);
/* -EINVAL: *err names the words. */
int copy_parse(const char *word, enum copy *ret, struct error *err);
/* Sends one line: number, hash, principal, verb, decision, count. A failure is logged; the trail
 * itself does not depend on it. */
void copy_send(enum copy to, const struct d_audit *entry, const struct hash *hash);

#endif
