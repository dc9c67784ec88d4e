/* rights.h - who may send what: one table, judged on each message. What is not in the table is
 * denied.
 *
 * A row names a message, the roles that may send it, the verb that a grant must give, and where in
 * the message the thing stands that the grant must cover. Administrators hold every verb. Pure:
 * (certificate, message, core) -> verdict. */
#ifndef LB_BROKER_SHELL_RIGHTS_H
#define LB_BROKER_SHELL_RIGHTS_H

#include "broker/core/view.h"
#include "trust/certificate.h"

/* Whose message is it? A one-time key has no certificate. */
struct asker {
    const struct certificate *certificate; /* NULL: the holder of an invitation's one-time key */
};

enum rights_verdict {
    RIGHTS_ALLOWED,
    /* the run is not in memory: who answers from the history judges with rights_may_see */
    RIGHTS_LATER,
    RIGHTS_DENIED /* *ret_code and err say why */
};
enum rights_verdict rights_judge(const struct bcore *core, const struct asker *who, uint64_t kind,
                                 struct span message, enum refusal *ret_code, struct error *err);

/* May this principal see something of `owner`, about `job` called at `address` and (unless empty)
 * at `server`? Its own things always; others by `watch`. */
bool rights_may_see(const struct bcore *core, const struct certificate *who, const char *owner,
                    const char *job, const char *address, const char *server);
/* Does a grant cover the verb on job@address? Fills in the pools if the address is a server. */
bool rights_cover(const struct bcore *core, const struct certificate *who, enum verb verb,
                  const char *job, const char *address);

#endif
