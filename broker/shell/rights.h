/* rights.h - may this principal send this message?
 *
 * A rule names a message, the roles that may send it, the verb that a grant must give, and the part
 * of the message that the grant must cover. The rules of all messages are in broker/dispatch.c; a
 * message without a rule is denied. Administrators hold every verb. Pure: (certificate, rule,
 * message, core) -> verdict. */
#ifndef LB_BROKER_SHELL_RIGHTS_H
#define LB_BROKER_SHELL_RIGHTS_H

#include "broker/core/view.h"
#include "broker/shell/about.h"
#include "trust/certificate.h"

/* What the grant must cover. */
enum rights_target {
    RIGHTS_NOTHING,    /* the role is enough */
    RIGHTS_SOMEWHERE,  /* any grant of the verb: the object itself is judged where it is named */
    RIGHTS_EVERYTHING, /* every job at every address */
    RIGHTS_CALL,       /* job@address of the signed call, whose caller must be the sender */
    RIGHTS_RESOLVE,    /* job@address */
    RIGHTS_BEGIN,      /* as SOMEWHERE; the caller of the signed parent must be the sender */
    RIGHTS_RUN,        /* job@address of the run, unless it is the sender's own */
    RIGHTS_PARENT,     /* everything, unless the parent is the sender's own */
    RIGHTS_OPERATE,    /* depends on the operator's verb: a server, a run, or everything */
    RIGHTS_DEPLOY,     /* package@address */
    RIGHTS_SECRET,     /* secret@address */
    RIGHTS_CERTIFICATE /* depends on whose certificate it is and who asks: see PROTOCOL.md */
};

enum { /* roles, as bits */
       RIGHTS_ADM = 1 << ROLE_ADMINISTRATOR,
       RIGHTS_SRV = 1 << ROLE_SERVER,
       RIGHTS_CLL = 1 << ROLE_CALLER,
       RIGHTS_MON = 1 << ROLE_MONITOR,
       RIGHTS_ONE = 1 << ROLE_COUNT, /* the holder of an invitation's one-time key */
       RIGHTS_PEOPLE = RIGHTS_ADM | RIGHTS_CLL | RIGHTS_MON,
       RIGHTS_PEERS = RIGHTS_PEOPLE | RIGHTS_SRV,
       RIGHTS_ALL = RIGHTS_PEERS | RIGHTS_ONE
};

struct rights_rule {
    uint64_t kind;
    unsigned roles;
    enum verb verb;
    enum rights_target target;
};

enum rights_verdict {
    RIGHTS_ALLOWED,
    /* The run is not in memory. What is answered from the history is judged with rights_may_see
     * there, anything else in later.h. */
    RIGHTS_LATER,
    RIGHTS_DENIED /* *ret_code and err say why */
};
/* `who` NULL: a one-time key. `rule` NULL: there is none for this kind and role. */
enum rights_verdict rights_judge(const struct bcore *core, const struct certificate *who,
                                 const struct rights_rule *rule, uint64_t kind, struct span message,
                                 enum refusal *ret_code, struct error *err);
/* The bit of a certificate's role; of NULL: RIGHTS_ONE. */
unsigned rights_role(const struct certificate *who);

/* May this principal see something of `owner`, about `job` called at `address` and (unless empty)
 * at `server`? Its own always; those of others by `watch`. */
bool rights_may_see(const struct bcore *core, const struct certificate *who, const char *owner,
                    const char *job, const char *address, const char *server);
/* The same for a run or parent whose first record is at hand; false if it is unknown. */
bool rights_may_see_about(const struct bcore *core, const struct certificate *who,
                          const struct about *about);
/* Does a grant cover the verb on job@address? Fills in the pools if the address is a server. */
bool rights_cover(const struct bcore *core, const struct certificate *who, enum verb verb,
                  const char *job, const char *address);

/* May this principal do to the run or parent what takes `verb`, as rights_judge judges it while it
 * is in memory? about->known. REFUSAL_NONE, or the code, and *err says why. */
enum refusal rights_judge_about(const struct bcore *core, const struct certificate *who,
                                enum verb verb, const struct about *about, struct error *err);

#endif
